"""Names of the keys in Redis and the Lua scripts that change several of them at once.

Every script declares every key it touches, all of them in one cluster slot. Times are the server's.
Each may run twice: a repeated command after a lost answer changes nothing more.
"""

from dataclasses import dataclass

from segmenter.storage.redis import TOGETHER

GROUP = "workers"
# Notices in one process's reply stream and dead letters kept; older ones are trimmed. A caller that
# misses a notice still finds the answer when it reconnects or its time is up.
MAX_NOTICES = 10_000
MAX_DEAD_LETTERS = 1000
# After the last one: long enough to look into, short because they hold what callers asked for.
DEAD_LETTERS_TTL_S = 24 * 3600


@dataclass(frozen=True)
class Keys:
    """Key names under one prefix; the braces put them into one slot."""

    prefix: str

    @property
    def queue(self) -> str:
        """Stream of jobs; its length is what is queued plus what runs."""
        return f"{{{self.prefix}}}:queue"

    @property
    def dead_letters(self) -> str:
        """Stream of jobs that were given up."""
        return f"{{{self.prefix}}}:dead"

    @property
    def heartbeats(self) -> str:
        """Sorted set: worker id by the time of its last heartbeat, milliseconds."""
        return f"{{{self.prefix}}}:workers"

    @property
    def presences(self) -> str:
        """Hash: worker id to its presence as JSON."""
        return f"{{{self.prefix}}}:presences"

    @property
    def probe(self) -> str:
        """String: written to see whether anything can be."""
        return f"{{{self.prefix}}}:probe"

    def job(self, job_id: str) -> str:
        """Hash: deadline, attempts, state."""
        return f"{{{self.prefix}}}:job:{job_id}"

    def answer(self, job_id: str) -> str:
        """String: the first answer as JSON."""
        return f"{{{self.prefix}}}:answer:{job_id}"

    def replies(self, caller_id: str) -> str:
        """Stream: ids of one caller's answered jobs."""
        return f"{{{self.prefix}}}:replies:{caller_id}"

    def of_job(self, job_id: str) -> list[str]:
        """Keys of the queue, of a job and of its answer."""
        return [self.queue, self.job(job_id), self.answer(job_id)]


_NOW_MS = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
"""

# KEYS queue, job, answer, heartbeats, then records to be stored in the same step. ARGV job id,
# body, caller id, timeout ms, depth, ttl ms, alive ms, 1 to forget an earlier job of this id; then
# the records.
# Answers {1 stored | 0 known already | -1 full | 1 + n: the key of the n-th record is taken,
# depth, live workers}.
SUBMIT = (
    _NOW_MS
    + TOGETHER
    + """
local found = taken(5, 9)
if found == -1 then return {0, 0, 0} end
if found > 0 then return {1 + found, 0, 0} end
if ARGV[8] == '1' then redis.call('DEL', KEYS[2], KEYS[3]) end
if redis.call('EXISTS', KEYS[2]) == 1 then return {0, 0, 0} end
local depth = redis.call('XLEN', KEYS[1])
if depth >= tonumber(ARGV[5]) then
  return {-1, depth, redis.call('ZCOUNT', KEYS[4], now - ARGV[7], '+inf')}
end
store(5, 9)
redis.call('HSET', KEYS[2], 'deadline', now + ARGV[4], 'timeout', ARGV[4], 'attempts', 0,
  'state', 'queued')
redis.call('PEXPIRE', KEYS[2], ARGV[6])
redis.call('XADD', KEYS[1], '*', 'id', ARGV[1], 'body', ARGV[2], 'caller', ARGV[3])
return {1, depth + 1, 0}
"""
)

# KEYS job, answer, heartbeats. ARGV alive ms.
# Answers {answer or nil, 0 no such job | 1 known | 2 nobody is at it, and its deadline has passed}.
LOOK = (
    _NOW_MS
    + """
local answer = redis.call('GET', KEYS[2])
if answer then return {answer, 1} end
local deadline, state, worker =
  unpack(redis.call('HMGET', KEYS[1], 'deadline', 'state', 'worker'))
if not deadline then return {false, 0} end
if now <= tonumber(deadline) then return {false, 1} end
local beat = state == 'running' and redis.call('ZSCORE', KEYS[3], worker)
if beat and tonumber(beat) >= now - ARGV[1] then return {false, 1} end
return {false, 2}
"""
)

# KEYS job, answer. ARGV worker id.
# Answers {0 unknown or answered, -, -} or {1, attempt, 1 if the deadline has passed}.
START = (
    _NOW_MS
    + """
local deadline = redis.call('HGET', KEYS[1], 'deadline')
if not deadline or redis.call('EXISTS', KEYS[2]) == 1 then return {0, 0, 0} end
redis.call('HSET', KEYS[1], 'state', 'running', 'worker', ARGV[1])
local late = 0
if now > tonumber(deadline) then late = 1 end
return {1, redis.call('HINCRBY', KEYS[1], 'attempts', 1), late}
"""
)

# KEYS queue, job, answer. ARGV group, entry id, worker id, ttl ms.
# Renews the lease and the deadline and resets the attempts, if the lease is still this worker's.
# Answers 1 while there is no answer.
PROGRESS = (
    _NOW_MS
    + """
if redis.call('EXISTS', KEYS[2]) == 0 or redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
local rows = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1)
if rows[1] and rows[1][2] == ARGV[3] then
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[3], 0, ARGV[2], 'JUSTID')
  local timeout = redis.call('HGET', KEYS[2], 'timeout')
  if timeout then redis.call('HSET', KEYS[2], 'deadline', now + timeout) end
  redis.call('HSET', KEYS[2], 'attempts', 1)
  if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[4]) then
    redis.call('PEXPIRE', KEYS[2], ARGV[4])
  end
end
return 1
"""
)

# KEYS queue, job, answer, replies. ARGV group, entry id ('' = none), answer, job id, ttl ms,
# notices. The first answer wins; a job nobody knows any more is only removed. Answers 1 if first.
FINISH = """
if ARGV[2] ~= '' then
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
  redis.call('XDEL', KEYS[1], ARGV[2])
end
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
if not redis.call('SET', KEYS[3], ARGV[3], 'NX', 'PX', ARGV[5]) then return 0 end
redis.call('HSET', KEYS[2], 'state', 'answered')
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[6], '*', 'id', ARGV[4])
redis.call('PEXPIRE', KEYS[4], ARGV[5])
return 1
"""

# KEYS queue, dead letters. ARGV group, entry id, body, reason ('' = just remove it), worker id,
# letters, their ttl ms.
BURY = """
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 1 and ARGV[4] ~= '' then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[6], '*',
    'entry', ARGV[2], 'body', ARGV[3], 'reason', ARGV[4], 'worker', ARGV[5])
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
end
return redis.call('XDEL', KEYS[1], ARGV[2])
"""

# KEYS queue, job. ARGV group, entry id, job id, body, caller id, worker id. Only if the lease is
# still this worker's. A new entry, because a pending one would wait for somebody's next claim.
RELEASE = """
local rows = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1)
if not rows[1] or rows[1][2] ~= ARGV[6] then return 0 end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[2], 'attempts', -1)
redis.call('HSET', KEYS[2], 'state', 'queued')
redis.call('XADD', KEYS[1], '*', 'id', ARGV[3], 'body', ARGV[4], 'caller', ARGV[5])
return 1
"""

# KEYS queue, heartbeats, presences. ARGV group, worker id, presence ('' = not to be counted on),
# forget ms, entry ids...
# Renews only leases that are still this worker's; workers silent for long are forgotten. Removing
# comes first: after a write that needs no memory Redis lets a script go on although it is full, so
# that a full Redis does not look like one without workers.
BEAT = (
    _NOW_MS
    + """
local gone = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[4])
redis.call('ZREM', KEYS[2], '', unpack(gone))
redis.call('HDEL', KEYS[3], '', unpack(gone))
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[2], ARGV[2])
else
  redis.call('ZADD', KEYS[2], now, ARGV[2])
  redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
end
for i = 5, #ARGV do
  local rows = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)
  if rows[1] and rows[1][2] == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
  end
end
return 1
"""
)

# KEYS heartbeats, presences. ARGV alive ms.
WORKERS = (
    _NOW_MS
    + """
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], now - ARGV[1], '+inf')
if #ids == 0 then return {} end
return redis.call('HMGET', KEYS[2], unpack(ids))
"""
)

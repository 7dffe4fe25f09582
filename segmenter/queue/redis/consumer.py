"""The queue on Redis as a worker sees it; see `segmenter.queue.contract.Consumer`.

Isolated: one `RedisWorker` belongs to one worker and its event loop. Shared: the table of held
leases with the thread of `segmenter.queue.redis.heartbeat`. Guaranteed: an entry stays pending in
the stream's consumer group until its job is answered, buried or handed back, so a crash loses
nothing; whatever a foreign writer puts into the stream is checked before it names a key.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from segmenter.errors import JobFailed, TransportDown
from segmenter.queue.contract import Lease, judge, refusal
from segmenter.queue.messages import Answer, MalformedMessage, WorkerInfo, failed
from segmenter.queue.redis.entries import Entry, checked_job, read_entries, to_entry
from segmenter.queue.redis.heartbeat import Heartbeat
from segmenter.queue.redis.scripts import (
    BURY,
    DEAD_LETTERS_TTL_S,
    FINISH,
    GROUP,
    MAX_DEAD_LETTERS,
    MAX_NOTICES,
    PROGRESS,
    RELEASE,
    START,
    Keys,
)
from segmenter.redis_connection import Backoff, open_client, retried
from segmenter.settings import QueueSettings

logger = logging.getLogger(__name__)

# A finished job is worth waiting for Redis, but not for ever: its lease lapses and it runs again.
ANSWER_TIMEOUT_S = 60.0
# Whoever waits for a job of a dead worker waits for its lease, and little more.
CLAIMS_A_LEASE = 4
# A worker that is told to stop has seconds, not minutes.
RELEASE_TIMEOUT_S = 5.0


@asynccontextmanager
async def open_worker(
    url: str,
    settings: QueueSettings,
    worker_id: str,
    *,
    on_hang: Callable[[], None] | None = None,
) -> AsyncIterator["RedisWorker"]:
    """Open the workers' side for one worker; closes its connections on leaving.

    When a job is held longer than `max_hold_s`, `on_hang` is called in a thread of its own.
    """
    commands = open_client(url)
    reading = open_client(url, blocking_s=settings.poll_s)
    try:
        keeper = partial(Heartbeat, url, settings=settings, on_hang=on_hang)
        yield RedisWorker(commands, reading, settings, worker_id, keeper=keeper)
    finally:
        await reading.aclose()
        await commands.aclose()


class RedisWorker:
    """Workers' side over Redis Streams; made by `open_worker`."""

    def __init__(
        self,
        commands: Redis,
        reading: Redis,
        settings: QueueSettings,
        worker_id: str,
        *,
        keeper: Callable[[WorkerInfo], Heartbeat],
    ) -> None:
        self._make_keeper = keeper
        self._commands = commands
        self._reading = reading
        self._settings = settings
        self._id = worker_id
        self._keys = Keys(settings.prefix)
        self._ttl_ms = round(settings.job_ttl_s * 1000)
        self._keeper: Heartbeat | None = None
        self._leased: dict[str, Entry] = {}
        self._claim_from = "0-0"
        self._next_claim = 0.0
        self._backoff = Backoff()
        self._start = commands.register_script(START)
        self._finish = commands.register_script(FINISH)
        self._progress = commands.register_script(PROGRESS)
        self._bury_script = commands.register_script(BURY)
        self._release = commands.register_script(RELEASE)

    @asynccontextmanager
    async def alive(self, presence: WorkerInfo) -> AsyncIterator[None]:
        """See `segmenter.queue.contract.Consumer`."""
        self._keeper = self._make_keeper(presence)
        await asyncio.to_thread(self._keeper.start)
        try:
            yield
        finally:
            await asyncio.to_thread(self._keeper.stop)
            self._keeper = None

    async def lease(self, *, limit: int, wait_s: float) -> Sequence[Lease]:
        """See `segmenter.queue.contract.Consumer`."""
        leases: list[Lease] = []
        try:
            for entry in await self._claim() or await self._read(limit, wait_s):
                if self._keeper is not None and self._keeper.renews(entry.id):
                    # Claimed from oneself after an outage: it is still being worked on.
                    continue
                if (lease := await self._admit(entry)) is not None:
                    leases.append(lease)
            self._backoff = Backoff()
        except RedisError as error:
            # What was read but not admitted stays pending and is claimed after its lease.
            await self._recover(error)
        return leases

    async def wanted(self, lease: Lease) -> bool:
        """See `segmenter.queue.contract.Consumer`."""
        key = self._keys.answer(lease.job.id)
        try:
            return not await retried(lambda: self._commands.exists(key), timeout_s=ANSWER_TIMEOUT_S)
        except TransportDown:
            # Nobody will answer it under this lease; one kept on would be renewed for ever.
            self._let_go(lease.receipt)
            raise

    async def progressed(self, lease: Lease) -> bool:
        """See `segmenter.queue.contract.Consumer`."""
        entry = self._leased[lease.receipt]
        if self._keeper is not None:
            self._keeper.hold(entry.id)
        keys = self._keys.of_job(entry.job_id)
        arguments: list[str | int] = [GROUP, entry.id, self._id, self._ttl_ms]
        going_on = await retried(
            lambda: self._progress(keys=keys, args=arguments), timeout_s=ANSWER_TIMEOUT_S
        )
        return bool(going_on)

    async def answer(self, lease: Lease, answer: Answer) -> bool:
        """See `segmenter.queue.contract.Consumer`."""
        entry = self._let_go(lease.receipt)
        return await retried(lambda: self._leave(entry, answer), timeout_s=ANSWER_TIMEOUT_S)

    async def release(self, lease: Lease) -> None:
        """See `segmenter.queue.contract.Consumer`."""
        entry = self._let_go(lease.receipt)
        keys = [self._keys.queue, self._keys.job(entry.job_id)]
        arguments = [GROUP, entry.id, entry.job_id, entry.body, entry.caller_id, self._id]
        await retried(lambda: self._release(keys=keys, args=arguments), timeout_s=RELEASE_TIMEOUT_S)

    async def _read(self, limit: int, wait_s: float) -> list[Entry]:
        # Redis takes 0 for "for ever".
        block_ms = max(1, round(min(wait_s, self._settings.poll_s) * 1000))
        reply = await self._reading.xreadgroup(
            GROUP, self._id, {self._keys.queue: ">"}, count=limit, block=block_ms
        )
        return [to_entry(*row) for row in read_entries(reply)]

    async def _claim(self) -> list[Entry]:
        """Take over what silent workers hold, often; keep the cursor between calls.

        One at a time: what ended its worker may be among them, and takes no other along again.
        """
        if time.monotonic() < self._next_claim:
            return []
        lease_ms = round(self._settings.lease_s * 1000)
        reply = await self._commands.xautoclaim(
            self._keys.queue, GROUP, self._id, lease_ms, start_id=self._claim_from, count=1
        )
        entries = [to_entry(*row) for row in read_entries(reply[1])]
        self._claim_from = bytes(reply[0]).decode()
        if not entries and self._claim_from == "0-0":
            # Spreads the workers' claims over time.
            pause_s = self._settings.lease_s / CLAIMS_A_LEASE * random.uniform(0.8, 1.2)
            self._next_claim = time.monotonic() + pause_s
        return entries

    async def _admit(self, entry: Entry) -> Lease | None:
        # What comes again was lost before; only what is leased below is held.
        self._forget(entry.id)
        try:
            job = checked_job(entry)
        except MalformedMessage as error:
            await self._refuse(entry, failed(JobFailed(str(error))), "malformed")
            return None
        keys = [self._keys.job(entry.job_id), self._keys.answer(entry.job_id)]
        unanswered, attempt, late = cast("list[int]", await self._start(keys=keys, args=[self._id]))
        if not unanswered:
            await self._bury(entry, "")
            return None
        limit = self._settings.max_attempts
        verdict = judge(late=bool(late), attempt=attempt, max_attempts=limit)
        if verdict == "run":
            self._leased[entry.id] = entry
            if self._keeper is not None:
                self._keeper.hold(entry.id)
            return Lease(job, entry.id, attempt)
        reason = "attempts" if verdict == "dead" else ""
        await self._refuse(entry, refusal(verdict, max_attempts=limit), reason)
        return None

    async def _refuse(self, entry: Entry, answer: Answer, reason: str) -> None:
        # Answer first: a crash in between leaves an entry that is dropped, not a silent caller.
        if entry.job_id and entry.caller_id:
            await self._leave(Entry("", entry.job_id, entry.caller_id, ""), answer)
        await self._bury(entry, reason)

    async def _bury(self, entry: Entry, reason: str) -> None:
        """Remove an entry; with a reason it becomes a dead letter."""
        arguments: list[str | int] = [GROUP, entry.id, entry.body, reason, self._id]
        arguments += [MAX_DEAD_LETTERS, DEAD_LETTERS_TTL_S * 1000]
        await self._bury_script(keys=[self._keys.queue, self._keys.dead_letters], args=arguments)

    async def _leave(self, entry: Entry, answer: Answer) -> bool:
        keys = [*self._keys.of_job(entry.job_id), self._keys.replies(entry.caller_id)]
        arguments: list[str | int] = [GROUP, entry.id, answer.model_dump_json()]
        arguments += [entry.job_id, self._ttl_ms, MAX_NOTICES]
        return bool(await self._finish(keys=keys, args=arguments))

    def _let_go(self, receipt: str) -> Entry:
        entry = self._leased[receipt]
        self._forget(receipt)
        return entry

    def _forget(self, entry_id: str) -> None:
        if self._keeper is not None:
            self._keeper.drop(entry_id)
        self._leased.pop(entry_id, None)

    async def _recover(self, error: RedisError) -> None:
        if isinstance(error, ResponseError) and str(error).startswith("NOGROUP"):
            await self._create_group()
            return
        # Nobody could renew a lease while Redis was out: the heartbeats come first.
        self._next_claim = time.monotonic() + self._settings.lease_s / 2
        # Also "UNBLOCKED": the stream was deleted under a blocking read.
        logger.warning("queue interrupted", extra={"error": type(error).__name__})
        await asyncio.sleep(self._backoff.next_s())

    async def _create_group(self) -> None:
        """Create the group from the start of the stream: jobs may have come before any worker."""
        try:
            await self._commands.xgroup_create(self._keys.queue, GROUP, id="0", mkstream=True)
        except RedisError as error:
            # Another worker was first, or Redis went out; the next read tells.
            logger.info("group not created", extra={"error": type(error).__name__})

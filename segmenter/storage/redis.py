"""A store on Redis, shared by every process.

Every command may run twice and is retried, except storing a new record: after a lost answer the
repeated command would find the record of the first and deny it. What is stored together needs one
server, not a cluster. The server makes no room by itself (`noeviction`), so that to hold something
is to let it live long enough.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

from redis.asyncio import Redis

from segmenter.contract import Entry, Hold
from segmenter.redis_connection import open_client, retried
from segmenter.storage.contract import Bounds, Room, check_item

# A request waits no longer for a store than a person would for a page.
STORE_TIMEOUT_S = 10.0
# The server's ``maxmemory`` bounds the sum, so that rooms only keep keys apart.
KEY_KINDS: dict[Room, str] = {
    "blobs": "blob",
    "records": "record",
    "volume_blobs": "blob",
    "volume_records": "record",
}
# Entries begin at KEYS[first] and have three of ARGV from `argument` on: content, ttl ms, and 1 if
# new. `taken` returns 0 if all may be stored, -1 if they are, or which one's key is taken.
TOGETHER = """
local function taken(first, argument)
  for i = first, #KEYS do
    local at = argument + 3 * (i - first)
    local there = ARGV[at + 2] == '1' and redis.call('GET', KEYS[i])
    if there and i == first and there == ARGV[at] then return -1 end
    if there then return i - first + 1 end
  end
  return 0
end
local function store(first, argument)
  for i = first, #KEYS do
    local at = argument + 3 * (i - first)
    redis.call('SET', KEYS[i], ARGV[at], 'PX', ARGV[at + 1])
  end
end
"""
PUT_TOGETHER = (
    TOGETHER
    + """
local found = taken(1, 1)
if found == 0 then store(1, 1) end
return found
"""
)
# KEYS record. ARGV ttl ms. Never shortens a life. Answers 1 if it is there.
TOUCH = """
local left = redis.call('PTTL', KEYS[1])
if left == -2 then return 0 end
if left < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1
"""
# KEYS record. ARGV old content, ttl ms, new content or nothing to delete it. Answers 1 if the
# record is as wanted, perhaps by an earlier try whose answer was lost.
SWAP = """
local there = redis.call('GET', KEYS[1])
if there == (ARGV[3] or false) then return 1 end
if there ~= ARGV[1] then return 0 end
if ARGV[3] then
  local left_ms = math.max(redis.call('PTTL', KEYS[1]), ARGV[2])
  redis.call('SET', KEYS[1], ARGV[3], 'PX', left_ms)
else
  redis.call('DEL', KEYS[1])
end
return 1
"""
GLOB = str.maketrans({sign: f"\\{sign}" for sign in "*?[]^\\"})


@asynccontextmanager
async def open_store_client(url: str) -> AsyncIterator[Redis]:
    """Open the client that stores use; closes it on leaving."""
    client = open_client(url)
    try:
        yield client
    finally:
        await client.aclose()


class RedisStore:
    """`segmenter.storage.contract.Store` on Redis."""

    def __init__(self, client: Redis, prefix: str, room: Room, bounds: Bounds) -> None:
        self._client = client
        self._prefix = f"{prefix}:{KEY_KINDS[room]}:"
        self._max_item_bytes = bounds.max_item_bytes
        self._put_together = client.register_script(PUT_TOGETHER)
        self._swap = client.register_script(SWAP)

    async def put(self, key: str, record: bytes, *, ttl_s: float, hold: Hold | None = None) -> None:
        """See `segmenter.storage.contract.Store`."""
        check_item(record, self._max_item_bytes)
        life_ms = _life_ms(ttl_s, hold)
        await retried(
            lambda: self._client.set(self._prefix + key, record, px=life_ms),
            timeout_s=STORE_TIMEOUT_S,
        )

    async def put_new(self, key: str, record: bytes, *, ttl_s: float) -> bool:
        """See `segmenter.storage.contract.Store`."""
        check_item(record, self._max_item_bytes)
        stored = await retried(
            lambda: self._client.set(self._prefix + key, record, px=_ms(ttl_s), nx=True),
            timeout_s=0.0,
        )
        return bool(stored)

    async def put_together(self, entries: Sequence[Entry]) -> str | None:
        """See `segmenter.contract.RecordStore`."""
        keys, arguments = self.arguments(entries)
        found = cast(
            "int",
            await retried(
                lambda: self._put_together(keys=keys, args=arguments), timeout_s=STORE_TIMEOUT_S
            ),
        )
        return entries[found - 1].key if found > 0 else None

    def arguments(self, entries: Sequence[Entry]) -> tuple[list[str], list[bytes | int]]:
        """Return KEYS and ARGV of `TOGETHER` for some entries; raises ItemTooLarge."""
        for one in entries:
            check_item(one.record, self._max_item_bytes)
        keys = [self._prefix + one.key for one in entries]
        return keys, [
            part for one in entries for part in (one.record, _ms(one.ttl_s), int(one.new))
        ]

    async def get(self, key: str, *, renew_s: float | None = None) -> bytes | None:
        """See `segmenter.storage.contract.Store`."""
        if renew_s is not None:
            await self.touch(key, ttl_s=renew_s)
        content = await retried(
            lambda: self._client.get(self._prefix + key), timeout_s=STORE_TIMEOUT_S
        )
        return cast("bytes | None", content)

    async def touch(self, *keys: str, ttl_s: float, hold: Hold | None = None) -> bool:
        """See `segmenter.storage.contract.Store`."""
        life_ms = _life_ms(ttl_s, hold)
        found = await retried(lambda: self._touch(keys, life_ms), timeout_s=STORE_TIMEOUT_S)
        return all(found)

    async def release(self, holder: str) -> None:
        """See `segmenter.storage.contract.Store`; a life that was lengthened stays so."""

    async def swap(self, key: str, old: bytes, new: bytes | None, *, ttl_s: float) -> bool:
        """See `segmenter.storage.contract.Store`."""
        check_item(new or b"", self._max_item_bytes)
        arguments: list[bytes | int] = [old, _ms(ttl_s), *(() if new is None else (new,))]
        swapped = await retried(
            lambda: self._swap(keys=[self._prefix + key], args=arguments),
            timeout_s=STORE_TIMEOUT_S,
        )
        return bool(swapped)

    async def delete(self, key: str) -> None:
        """See `segmenter.storage.contract.Store`."""
        await retried(lambda: self._client.delete(self._prefix + key), timeout_s=STORE_TIMEOUT_S)

    async def keys(self, prefix: str) -> list[str]:
        """See `segmenter.storage.contract.Store`."""
        return await retried(lambda: self._scan(prefix), timeout_s=STORE_TIMEOUT_S)

    async def _touch(self, keys: Sequence[str], life_ms: int) -> list[int]:
        async with self._client.pipeline(transaction=False) as commands:
            for key in keys:
                commands.eval(TOUCH, 1, self._prefix + key, life_ms)
            return cast("list[int]", await commands.execute())

    async def _scan(self, prefix: str) -> list[str]:
        pattern = (self._prefix + prefix).translate(GLOB) + "*"
        # A key may come twice.
        found = {cast("bytes", key).decode() async for key in self._client.scan_iter(match=pattern)}
        return sorted(key.removeprefix(self._prefix) for key in found)


def _life_ms(ttl_s: float, hold: Hold | None) -> int:
    return _ms(ttl_s if hold is None else max(ttl_s, hold.seconds))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

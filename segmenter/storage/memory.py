"""A store inside one process: bounded in bytes, expiring; for one event loop."""

import time
from collections.abc import Callable, Iterable, Sequence

from segmenter.contract import Entry, Hold
from segmenter.storage.contract import check_item, no_room
from segmenter.storage.lru import SizedLru

# What a key, its record's header and the table cost beside the content; bounds tiny records too.
OVERHEAD_BYTES = 512


class MemoryStore:
    """`segmenter.storage.contract.Store` in memory."""

    def __init__(
        self,
        *,
        max_bytes: int,
        max_item_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_item_bytes = min(max_item_bytes, max_bytes - OVERHEAD_BYTES)
        self._clock = clock
        # By holder and key, until when.
        self._holds: dict[str, dict[str, float]] = {}
        self._items: SizedLru[str, bytes] = SizedLru(max_bytes, clock=clock, held=self._held)

    async def put(self, key: str, record: bytes, *, ttl_s: float, hold: Hold | None = None) -> None:
        """See `segmenter.storage.contract.Store`."""
        check_item(record, self._max_item_bytes)
        size_bytes = len(record) + OVERHEAD_BYTES
        if not self._items.put(key, record, size_bytes, ttl_s=_life_s(ttl_s, hold)):
            raise no_room(self._max_bytes)
        self._hold((key,), hold)

    async def put_new(self, key: str, record: bytes, *, ttl_s: float) -> bool:
        """See `segmenter.storage.contract.Store`."""
        if key in self._items:
            return False
        await self.put(key, record, ttl_s=ttl_s)
        return True

    async def put_together(self, entries: Sequence[Entry]) -> str | None:
        """See `segmenter.contract.RecordStore`."""
        if self._items.get(entries[0].key) == entries[0].record:
            return None
        taken = next((one.key for one in entries if one.new and one.key in self._items), None)
        for one in entries:
            check_item(one.record, self._max_item_bytes)
        for one in entries if taken is None else ():
            await self.put(one.key, one.record, ttl_s=one.ttl_s)
        return taken

    async def get(self, key: str, *, renew_s: float | None = None) -> bytes | None:
        """See `segmenter.storage.contract.Store`."""
        if renew_s is not None:
            self._items.touch(key, ttl_s=renew_s)
        return self._items.get(key)

    async def touch(self, *keys: str, ttl_s: float, hold: Hold | None = None) -> bool:
        """See `segmenter.storage.contract.Store`."""
        if not all(key in self._items for key in keys):
            return False
        for key in keys:
            self._items.touch(key, ttl_s=_life_s(ttl_s, hold))
        self._hold(keys, hold)
        return True

    async def release(self, holder: str) -> None:
        """See `segmenter.storage.contract.Store`."""
        self._holds.pop(holder, None)

    async def swap(self, key: str, old: bytes, new: bytes | None, *, ttl_s: float) -> bool:
        """See `segmenter.storage.contract.Store`."""
        there = self._items.get(key)
        if there == old and new is not None:
            await self.put(key, new, ttl_s=max(ttl_s, self._items.left_s(key)))
        elif there == old:
            self._items.drop(key)
        return there in (old, new)

    async def delete(self, key: str) -> None:
        """See `segmenter.storage.contract.Store`."""
        self._items.drop(key)

    async def keys(self, prefix: str) -> list[str]:
        """See `segmenter.storage.contract.Store`."""
        return sorted(key for key in self._items if key.startswith(prefix))

    def _hold(self, keys: Iterable[str], hold: Hold | None) -> None:
        if hold is not None:
            until = self._clock() + hold.seconds
            self._holds.setdefault(hold.holder, {}).update(dict.fromkeys(keys, until))

    def _held(self) -> set[str]:
        now = self._clock()
        for holder, keys in tuple(self._holds.items()):
            if max(keys.values()) <= now:
                del self._holds[holder]
        return {key for keys in self._holds.values() for key, until in keys.items() if until > now}


def _life_s(ttl_s: float, hold: Hold | None) -> float:
    return ttl_s if hold is None else max(ttl_s, hold.seconds)

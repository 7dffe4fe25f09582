"""A store inside one process: bounded in bytes, expiring; for one event loop."""

import time
from collections.abc import Callable, Sequence

from segmenter.contract import Entry
from segmenter.storage.contract import check_item
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
        self._max_item_bytes = min(max_item_bytes, max_bytes - OVERHEAD_BYTES)
        self._items: SizedLru[str, bytes] = SizedLru(max_bytes, clock=clock)

    async def put(self, key: str, record: bytes, *, ttl_s: float) -> None:
        """See `segmenter.storage.contract.Store`."""
        check_item(record, self._max_item_bytes)
        self._items.put(key, record, len(record) + OVERHEAD_BYTES, ttl_s=ttl_s)

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

    async def touch(self, key: str, *, ttl_s: float) -> bool:
        """See `segmenter.storage.contract.Store`."""
        return self._items.touch(key, ttl_s=ttl_s)

    async def delete(self, key: str) -> None:
        """See `segmenter.storage.contract.Store`."""
        self._items.drop(key)

    async def keys(self, prefix: str) -> list[str]:
        """See `segmenter.storage.contract.Store`."""
        return sorted(key for key in self._items if key.startswith(prefix))

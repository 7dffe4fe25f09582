"""Stores inside one process: bounded in bytes, expiring; for one event loop."""

import time
from collections.abc import Callable

from segmenter.errors import ImageTooLarge
from segmenter.storage.lru import SizedLru

# What a key, its record's header and the table cost beside the content; bounds tiny records too.
OVERHEAD_BYTES = 512


def check_blob(blob: bytes, max_bytes: int) -> None:
    """Refuse a blob that no store takes.

    Raises:
        ImageTooLarge.
    """
    if len(blob) > max_bytes:
        raise ImageTooLarge(f"{len(blob)} bytes, the store takes {max_bytes}")


def check_record(record: bytes, max_bytes: int) -> None:
    """Refuse a record that no store takes; whoever writes records has to bound them.

    Raises:
        ValueError.
    """
    if len(record) > max_bytes:
        raise ValueError(f"record of {len(record)} bytes, the store takes {max_bytes}")


class MemoryBlobStore:
    """`segmenter.storage.images.BlobStore` in memory; the least recently used blob makes room."""

    def __init__(
        self,
        *,
        max_bytes: int,
        max_item_bytes: int,
        ttl_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_item_bytes = min(max_item_bytes, max_bytes - OVERHEAD_BYTES)
        self._ttl_s = ttl_s
        self._blobs: SizedLru[str, bytes] = SizedLru(max_bytes, clock=clock)

    async def put(self, key: str, blob: bytes) -> None:
        """See `segmenter.storage.images.BlobStore`."""
        check_blob(blob, self._max_item_bytes)
        self._blobs.put(key, blob, len(blob) + OVERHEAD_BYTES, ttl_s=self._ttl_s)

    async def get(self, key: str) -> bytes | None:
        """See `segmenter.storage.images.BlobStore`."""
        self._blobs.touch(key, ttl_s=self._ttl_s)
        return self._blobs.get(key)

    async def touch(self, key: str) -> bool:
        """See `segmenter.storage.images.BlobStore`."""
        return self._blobs.touch(key, ttl_s=self._ttl_s)

    async def delete(self, key: str) -> None:
        """See `segmenter.storage.images.BlobStore`."""
        self._blobs.drop(key)


class MemoryRecordStore:
    """`segmenter.contract.RecordStore` in memory; the least recently used record makes room."""

    def __init__(
        self,
        *,
        max_bytes: int,
        max_item_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_item_bytes = min(max_item_bytes, max_bytes - OVERHEAD_BYTES)
        self._records: SizedLru[str, bytes] = SizedLru(max_bytes, clock=clock)

    async def put(self, key: str, record: bytes, *, ttl_s: float) -> None:
        """See `segmenter.contract.RecordStore`."""
        check_record(record, self._max_item_bytes)
        self._records.put(key, record, len(record) + OVERHEAD_BYTES, ttl_s=ttl_s)

    async def put_new(self, key: str, record: bytes, *, ttl_s: float) -> bool:
        """See `segmenter.contract.RecordStore`."""
        if key in self._records:
            return False
        await self.put(key, record, ttl_s=ttl_s)
        return True

    async def get(self, key: str) -> bytes | None:
        """See `segmenter.contract.RecordStore`."""
        return self._records.get(key)

    async def delete(self, key: str) -> None:
        """See `segmenter.contract.RecordStore`."""
        self._records.drop(key)

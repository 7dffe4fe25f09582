"""Stores on Redis, shared by every process; blobs carry no hash tag, so they spread over a cluster.

Every command may run twice and is retried, except storing a new record: after a lost answer the
repeated command would find the record of the first and deny it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from redis.asyncio import Redis as RedisClient

from segmenter.redis_connection import open_client, retried
from segmenter.storage.memory import check_blob, check_record

__all__ = ["RedisBlobStore", "RedisClient", "RedisRecordStore", "open_store_client"]

# A request waits no longer for a store than a person would for a page.
STORE_TIMEOUT_S = 10.0


@asynccontextmanager
async def open_store_client(url: str) -> AsyncIterator[RedisClient]:
    """Open the client both stores use; closes it on leaving."""
    client = open_client(url)
    try:
        yield client
    finally:
        await client.aclose()


class RedisBlobStore:
    """`segmenter.storage.images.BlobStore` on Redis; the server's ``maxmemory`` bounds the sum."""

    def __init__(
        self, client: RedisClient, *, prefix: str, max_item_bytes: int, ttl_s: float
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._max_item_bytes = max_item_bytes
        self._ttl_ms = round(ttl_s * 1000)

    async def put(self, key: str, blob: bytes) -> None:
        """See `segmenter.storage.images.BlobStore`."""
        check_blob(blob, self._max_item_bytes)
        await retried(
            lambda: self._client.set(self._key(key), blob, px=self._ttl_ms),
            timeout_s=STORE_TIMEOUT_S,
        )

    async def get(self, key: str) -> bytes | None:
        """See `segmenter.storage.images.BlobStore`."""
        blob = await retried(
            lambda: self._client.getex(self._key(key), px=self._ttl_ms), timeout_s=STORE_TIMEOUT_S
        )
        return cast("bytes | None", blob)

    async def touch(self, key: str) -> bool:
        """See `segmenter.storage.images.BlobStore`."""
        return bool(
            await retried(
                lambda: self._client.pexpire(self._key(key), self._ttl_ms),
                timeout_s=STORE_TIMEOUT_S,
            )
        )

    async def delete(self, key: str) -> None:
        """See `segmenter.storage.images.BlobStore`."""
        await retried(lambda: self._client.delete(self._key(key)), timeout_s=STORE_TIMEOUT_S)

    def _key(self, key: str) -> str:
        return f"{self._prefix}:blob:{key}"


class RedisRecordStore:
    """`segmenter.contract.RecordStore` on Redis."""

    def __init__(self, client: RedisClient, *, prefix: str, max_item_bytes: int) -> None:
        self._client = client
        self._prefix = prefix
        self._max_item_bytes = max_item_bytes

    async def put(self, key: str, record: bytes, *, ttl_s: float) -> None:
        """See `segmenter.contract.RecordStore`."""
        check_record(record, self._max_item_bytes)
        await retried(
            lambda: self._client.set(self._key(key), record, px=round(ttl_s * 1000)),
            timeout_s=STORE_TIMEOUT_S,
        )

    async def put_new(self, key: str, record: bytes, *, ttl_s: float) -> bool:
        """See `segmenter.contract.RecordStore`."""
        check_record(record, self._max_item_bytes)
        stored = await retried(
            lambda: self._client.set(self._key(key), record, px=round(ttl_s * 1000), nx=True),
            timeout_s=0.0,
        )
        return bool(stored)

    async def get(self, key: str) -> bytes | None:
        """See `segmenter.contract.RecordStore`."""
        record = await retried(lambda: self._client.get(self._key(key)), timeout_s=STORE_TIMEOUT_S)
        return cast("bytes | None", record)

    async def delete(self, key: str) -> None:
        """See `segmenter.contract.RecordStore`."""
        await retried(lambda: self._client.delete(self._key(key)), timeout_s=STORE_TIMEOUT_S)

    def _key(self, key: str) -> str:
        return f"{self._prefix}:record:{key}"

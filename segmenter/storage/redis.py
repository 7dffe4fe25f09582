"""A store on Redis, shared by every process; keys carry no hash tag, so they spread over a cluster.

Every command may run twice and is retried, except storing a new record: after a lost answer the
repeated command would find the record of the first and deny it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from redis.asyncio import Redis

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

    async def put(self, key: str, record: bytes, *, ttl_s: float) -> None:
        """See `segmenter.storage.contract.Store`."""
        check_item(record, self._max_item_bytes)
        await retried(
            lambda: self._client.set(self._prefix + key, record, px=_ms(ttl_s)),
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

    async def get(self, key: str, *, renew_s: float | None = None) -> bytes | None:
        """See `segmenter.storage.contract.Store`."""
        life_ms = None if renew_s is None else _ms(renew_s)
        content = await retried(
            lambda: self._client.getex(self._prefix + key, px=life_ms), timeout_s=STORE_TIMEOUT_S
        )
        return cast("bytes | None", content)

    async def touch(self, key: str, *, ttl_s: float) -> bool:
        """See `segmenter.storage.contract.Store`."""
        renewed = await retried(
            lambda: self._client.pexpire(self._prefix + key, _ms(ttl_s)), timeout_s=STORE_TIMEOUT_S
        )
        return bool(renewed)

    async def delete(self, key: str) -> None:
        """See `segmenter.storage.contract.Store`."""
        await retried(lambda: self._client.delete(self._prefix + key), timeout_s=STORE_TIMEOUT_S)

    async def keys(self, prefix: str) -> list[str]:
        """See `segmenter.storage.contract.Store`."""
        return await retried(lambda: self._scan(prefix), timeout_s=STORE_TIMEOUT_S)

    async def _scan(self, prefix: str) -> list[str]:
        pattern = (self._prefix + prefix).translate(GLOB) + "*"
        # A key may come twice.
        found = {cast("bytes", key).decode() async for key in self._client.scan_iter(match=pattern)}
        return sorted(key.removeprefix(self._prefix) for key in found)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

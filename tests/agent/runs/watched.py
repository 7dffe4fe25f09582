"""A record store that tells of every change once it is kept: where a process may die."""

from collections.abc import Awaitable, Callable

from segmenter.contract import RecordStore


class WatchedRecords:
    """`segmenter.contract.RecordStore` around another one; `kept` is told the key of a change."""

    def __init__(self, records: RecordStore, kept: Callable[[str], Awaitable[None]]) -> None:
        self._records = records
        self._kept = kept

    async def put(self, key: str, record: bytes, *, ttl_s: float) -> None:
        changes = await self._records.get(key) != record
        await self._records.put(key, record, ttl_s=ttl_s)
        if changes:
            await self._kept(key)

    async def put_new(self, key: str, record: bytes, *, ttl_s: float) -> bool:
        is_new = await self._records.put_new(key, record, ttl_s=ttl_s)
        if is_new:
            await self._kept(key)
        return is_new

    async def get(self, key: str) -> bytes | None:
        return await self._records.get(key)

    async def delete(self, key: str) -> None:
        await self._records.delete(key)

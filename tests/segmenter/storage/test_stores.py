"""Both blob stores and both record stores, held to the same tests."""

import asyncio

import pytest

from segmenter.errors import ImageTooLarge
from segmenter.storage.memory import MemoryBlobStore, MemoryRecordStore
from segmenter.storage.redis import RedisBlobStore, RedisRecordStore, open_store_client
from segmenter.storage.sql import SqliteBlobStore, SqliteRecordStore, open_file

MAX_ITEM_BYTES = 1000


@pytest.fixture(params=["memory", "redis", "sqlite"])
def with_stores(request, prefix, tmp_path):
    """Run a scenario with a blob store and a record store; blobs live `ttl_s`."""

    def start(scenario, ttl_s: float = 60.0):
        async def in_memory():
            limits = {"max_bytes": 10_000, "max_item_bytes": MAX_ITEM_BYTES}
            await scenario(MemoryBlobStore(**limits, ttl_s=ttl_s), MemoryRecordStore(**limits))

        async def on_redis():
            url = request.getfixturevalue("redis_server").url
            async with open_store_client(url) as client:
                limits = {"prefix": prefix, "max_item_bytes": MAX_ITEM_BYTES}
                blobs = RedisBlobStore(client, **limits, ttl_s=ttl_s)
                await scenario(blobs, RedisRecordStore(client, **limits))

        async def in_a_file():
            async with open_file(tmp_path / "stores.db") as file:
                limits = {"max_bytes": 10_000, "max_item_bytes": MAX_ITEM_BYTES}
                blobs = SqliteBlobStore(file, **limits, ttl_s=ttl_s)
                await scenario(blobs, SqliteRecordStore(file, **limits))

        ways = {"memory": in_memory, "redis": on_redis, "sqlite": in_a_file}
        asyncio.run(ways[request.param]())

    return start


def test_a_blob_comes_back_as_it_went_in(with_stores):
    async def scenario(blobs, _records):
        await blobs.put("a", b"\x00\xffbytes")
        assert await blobs.get("a") == b"\x00\xffbytes"
        assert await blobs.get("b") is None

    with_stores(scenario)


def test_a_deleted_blob_is_gone_and_deleting_again_is_no_error(with_stores):
    async def scenario(blobs, _records):
        await blobs.put("a", b"1")
        await blobs.delete("a")
        await blobs.delete("a")
        assert await blobs.get("a") is None
        assert not await blobs.touch("a")

    with_stores(scenario)


def test_a_blob_expires_some_time_after_its_last_use(with_stores):
    async def scenario(blobs, _records):
        await blobs.put("a", b"1")
        for _ in range(3):
            await asyncio.sleep(0.4)
            assert await blobs.touch("a")
        assert await blobs.get("a") == b"1"
        await asyncio.sleep(1.1)
        assert await blobs.get("a") is None

    with_stores(scenario, ttl_s=1.0)


def test_a_blob_over_the_bound_is_refused(with_stores):
    async def scenario(blobs, _records):
        with pytest.raises(ImageTooLarge, match="1001 bytes, the store takes 1000"):
            await blobs.put("a", b"x" * 1001)

    with_stores(scenario)


def test_a_record_comes_back_and_can_be_replaced(with_stores):
    async def scenario(_blobs, records):
        assert await records.get("run:1") is None
        await records.put("run:1", b"first", ttl_s=60)
        await records.put("run:1", b"second", ttl_s=60)
        assert await records.get("run:1") == b"second"

    with_stores(scenario)


def test_of_many_who_store_a_new_record_at_once_one_succeeds(with_stores):
    async def scenario(_blobs, records):
        tries = [records.put_new("key", str(n).encode(), ttl_s=60) for n in range(20)]
        stored = await asyncio.gather(*tries)
        assert sum(stored) == 1
        assert await records.get("key") == str(stored.index(True)).encode()

    with_stores(scenario)


def test_an_expired_record_is_gone_and_its_key_free(with_stores):
    async def scenario(_blobs, records):
        await records.put("key", b"1", ttl_s=0.1)
        await asyncio.sleep(0.2)
        assert await records.get("key") is None
        assert await records.put_new("key", b"2", ttl_s=60)

    with_stores(scenario)


def test_a_deleted_record_is_gone_and_deleting_again_is_no_error(with_stores):
    async def scenario(_blobs, records):
        await records.put("key", b"1", ttl_s=60)
        await records.delete("key")
        await records.delete("key")
        assert await records.get("key") is None

    with_stores(scenario)


def test_a_record_over_the_bound_is_refused_aloud(with_stores):
    async def scenario(_blobs, records):
        with pytest.raises(ValueError, match="1001 bytes, the store takes 1000"):
            await records.put("key", b"x" * 1001, ttl_s=60)

    with_stores(scenario)


def test_in_memory_the_least_recently_used_blob_makes_room():
    async def scenario():
        blobs = MemoryBlobStore(max_bytes=3 * 1000, max_item_bytes=600, ttl_s=60)
        for key in ("a", "b"):
            await blobs.put(key, b"x" * 600)
        await blobs.get("a")
        await blobs.put("c", b"x" * 600)
        return [key for key in "abc" if await blobs.get(key)]

    assert asyncio.run(scenario()) == ["a", "c"]


def test_a_file_outlives_its_process_and_has_one_owner(tmp_path):
    path = tmp_path / "deep" / "stores.db"

    async def scenario():
        async with open_file(path) as file:
            limits = {"max_bytes": 5_000, "max_item_bytes": MAX_ITEM_BYTES}
            records = SqliteRecordStore(file, **limits)
            for number in range(9):
                await records.put(f"run:{number}", bytes(700), ttl_s=60.0)
            assert await records.keys("run:") == [f"run:{number}" for number in range(2, 9)]
            with pytest.raises(OSError, match="another process"):
                async with open_file(path):
                    pass
        async with open_file(path) as file:
            records = SqliteRecordStore(file, **limits)
            assert await records.get("run:8") == bytes(700)
            assert await records.keys("other:") == []

    asyncio.run(scenario())
    assert path.stat().st_mode & 0o077 == 0

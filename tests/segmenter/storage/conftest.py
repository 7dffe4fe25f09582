"""Every kind of store, as a parameter."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from segmenter.storage.database import open_database
from segmenter.storage.memory import MemoryStore
from segmenter.storage.redis import RedisStore, open_store_client
from segmenter.storage.sql import SqlStore


@pytest.fixture(params=["memory", "redis", "sqlite", "postgres"])
def with_rooms(request, prefix, tmp_path):
    """Run a scenario with what opens stores of any room, of one kind and within bounds."""

    @asynccontextmanager
    async def in_memory(bounds):
        yield lambda room: MemoryStore(**bounds._asdict())

    @asynccontextmanager
    async def on_redis(bounds):
        async with open_store_client(request.getfixturevalue("redis_server").url) as client:
            yield lambda room: RedisStore(client, prefix, room, bounds)

    @asynccontextmanager
    async def in_sql(bounds):
        is_file = request.param == "sqlite"
        url = f"sqlite:///{tmp_path}/stores.db" if is_file else request.getfixturevalue("postgres")
        async with open_database(url, alone=False) as database:
            yield lambda room: SqlStore(database, room, bounds)

    opened = {"memory": in_memory, "redis": on_redis}.get(request.param, in_sql)

    def start(scenario, bounds):
        async def within():
            async with opened(bounds) as open_room:
                return await scenario(open_room)

        return asyncio.run(within())

    return start

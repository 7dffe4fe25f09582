"""Where the state of running runs is kept after every step: a SQLite file, or PostgreSQL.

One file serves every process of one machine, PostgreSQL several machines. What is kept of a run is
forgotten when it ends. States are plain values, and nothing else comes back out of the store: with
an empty list of allowed types the serializer builds none.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

SCHEMES = ("sqlite", "postgres", "postgresql")
# The state holds ids, small records and words; masks are kept elsewhere.
MAX_STATE_BYTES = 64 * 1024
CONNECT_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 4


class Checkpoints:
    """States by run, through LangGraph's saver."""

    def __init__(self, saver: BaseCheckpointSaver[str]) -> None:
        self.saver = saver

    async def forget(self, run_id: str) -> None:
        """Forget the states of a run."""
        await self.saver.adelete_thread(run_id)


@asynccontextmanager
async def open_checkpoints(url: str | None) -> AsyncIterator[Checkpoints | None]:
    """Open the store a URL names; None without one.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql://...``.

    Raises:
        ValueError: another scheme.
        OSError: the file or the server cannot be opened.
    """
    if url is None:
        yield None
        return
    if urlsplit(url).scheme == "sqlite":
        async with _open_sqlite(sqlite_path(url)) as opened:
            yield opened
    elif urlsplit(url).scheme in SCHEMES:
        async with _open_postgres(url) as opened:
            yield opened
    else:
        raise ValueError("must be sqlite:///FILE or postgresql://HOST/DATABASE")


def sqlite_path(url: str) -> Path:
    """Return the file that a sqlite URL names."""
    return Path(urlsplit(url).path.removeprefix("/"))


def strict_serializer() -> JsonPlusSerializer:
    """Return a serializer that builds nothing but plain values."""
    return JsonPlusSerializer(
        pickle_fallback=False, allowed_json_modules=None, allowed_msgpack_modules=None
    )


@asynccontextmanager
async def _open_sqlite(path: Path) -> AsyncIterator[Checkpoints]:
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    path.parent.mkdir(parents=True, exist_ok=True)
    # Requests are patient data: the file is its owner's alone, from its first byte on.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    async with aiosqlite.connect(path, timeout=CONNECT_TIMEOUT_S) as connection:
        saver = AsyncSqliteSaver(connection, serde=strict_serializer())
        await saver.setup()
        yield Checkpoints(saver)


@asynccontextmanager
async def _open_postgres(url: str) -> AsyncIterator[Checkpoints]:
    import psycopg
    import psycopg_pool
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg.rows import dict_row

    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool: psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[dict[str, object]]]
    pool = psycopg_pool.AsyncConnectionPool(
        url, kwargs=options, min_size=1, max_size=MAX_CONNECTIONS, open=False
    )
    try:
        await pool.open(wait=True, timeout=CONNECT_TIMEOUT_S)
    except psycopg_pool.PoolTimeout as error:
        await pool.close()
        raise OSError("PostgreSQL does not answer") from error
    try:
        saver = AsyncPostgresSaver(pool, serde=strict_serializer())
        await saver.setup()
        yield Checkpoints(saver)
    finally:
        await pool.close()

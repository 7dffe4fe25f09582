"""A database: a SQLite file of one process, or PostgreSQL shared by many; every room is a table.

Shared: one `Database` by all stores of one event loop; to a file goes one command at a time.
Guaranteed: every command is one transaction, and nobody waits for it longer than `STORE_TIMEOUT_S`.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar, get_args
from urllib.parse import urlsplit

from sqlalchemy import Column, Double, LargeBinary, MetaData, Table, Text, event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from segmenter.errors import TransportDown
from segmenter.storage.contract import Room
from segmenter.storage.holds import holds_table

# Twice what PostgreSQL took for the largest upload, 64 MiB, on two busy cores.
STORE_TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 5
# After it the server itself, or the kernel, ends a command that nobody waits for any more.
TIMEOUT_MS = round(STORE_TIMEOUT_S * 1000)
CLOSE_S = 2.0
# The server lets go of a lock some time after the process that had it has gone.
OWNER_WAIT_S, OWNER_PAUSE_S = 3.0, 0.1
# Of one process, beside the one that holds the lock of an owner.
MAX_CONNECTIONS = 4
# Advisory locks of PostgreSQL are numbers; these have no meaning.
OWNER_LOCK, TABLES_LOCK, SWEEP_LOCK = 7_306_551, 7_306_552, 7_306_553
METADATA = MetaData()
Result = TypeVar("Result")


def _table(room: Room) -> Table:
    return Table(
        room,
        METADATA,
        Column("key", Text, primary_key=True),
        Column("content", LargeBinary, nullable=False),
        # Seconds since 1970.
        Column("used", Double),
        Column("expires", Double),
    )


TABLES: dict[Room, Table] = {room: _table(room) for room in get_args(Room)}
HOLDS = holds_table(METADATA)


def is_file(url: str) -> bool:
    """Tell whether a URL names a SQLite file, which one process can have."""
    return urlsplit(url).scheme == "sqlite"


class Database:
    """An opened database; made by `open_database`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.is_shared = engine.dialect.name == "postgresql"
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, command: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """Run a command as one transaction, which goes on when the caller gives up.

        Drivers take an interruption badly: one leaves a lock on the file, another waits for a
        server that is not there.

        Raises:
            TransportDown: the database fails, or does not answer in time.
        """
        task = asyncio.create_task(self._transact(command))
        self._running.add(task)
        task.add_done_callback(self._forget)
        await asyncio.wait({task}, timeout=STORE_TIMEOUT_S)
        if not task.done():
            raise TransportDown(f"the database did not answer within {STORE_TIMEOUT_S:.1f} s")
        return task.result()

    async def _transact(self, command: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        with _translated():
            async with self.engine.begin() as connection:
                return await command(connection)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            # Asked for, or asyncio would report what nobody waited for.
            task.exception()

    async def scrub(self) -> None:
        """Empty the log beside a file: until then it still shows what was erased.

        Another process that looks into the file at this moment puts it off until the next time.

        Raises:
            TransportDown: as `run`.
        """
        if not self.is_shared:
            command = "PRAGMA wal_checkpoint(TRUNCATE)"
            await self.run(lambda connection: connection.exec_driver_sql(command))

    async def close(self) -> None:
        """Give what is running some time to end, and close all connections."""
        # The first interruption asks the server to stop, the second does not wait for its answer.
        for _ in range(3):
            if self._running:
                await asyncio.wait(self._running, timeout=CLOSE_S)
            for task in self._running:
                task.cancel()
        await self.engine.dispose()


@asynccontextmanager
async def open_database(url: str, *, alone: bool) -> AsyncIterator[Database]:
    """Open a database and make the tables it lacks.

    Args:
        url: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql://...``.
        alone: no other process may have it alone at the same time: two would both go on with what
            a third one left undone. A file is always its process's alone.

    Raises:
        OSError: it cannot be opened, is of something else, or another process has it.
    """
    async with AsyncExitStack() as stack:
        if is_file(url):
            path = Path(urlsplit(url).path.removeprefix("/"))
            stack.enter_context(_claimed(path))
            database = Database(_file_engine(path))
        else:
            database = Database(_server_engine(url))
        stack.push_async_callback(database.close)
        try:
            await database.run(_make_tables)
            if alone and database.is_shared:
                with _translated():
                    await _own(await stack.enter_async_context(database.engine.connect()))
        except TransportDown as error:
            raise OSError(f"MEDSAM3_STATE_URL does not open: {error}") from None
        yield database


@contextmanager
def _translated() -> Iterator[None]:
    """Turn errors of SQLAlchemy, whose words may hold the address, into ours."""
    try:
        yield
    except SQLAlchemyError as error:
        raise TransportDown(f"the database failed: {type(error).__name__}") from None


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    """Make the file its owner's, as it holds pictures of patients, and this process's alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    claim = os.open(path.with_name(path.name + "-claim"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"another process has {path.name}; several need MEDSAM3_REDIS_URL"
            raise OSError(message) from error
        yield
    finally:
        os.close(claim)


def _file_engine(path: Path) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        hide_parameters=True,
        pool_size=1,
        max_overflow=0,
        pool_timeout=STORE_TIMEOUT_S,
        # Another process may be looking into the file.
        connect_args={"timeout": STORE_TIMEOUT_S},
    )
    # What is erased is overwritten.
    _prepare(engine, "PRAGMA journal_mode=WAL", "PRAGMA secure_delete=ON")
    return engine


def _server_engine(url: str) -> AsyncEngine:
    try:
        engine = create_async_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            hide_parameters=True,
            pool_size=MAX_CONNECTIONS,
            max_overflow=1,
            pool_timeout=STORE_TIMEOUT_S,
            # A server that was restarted has closed what is in the pool.
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "tcp_user_timeout": TIMEOUT_MS},
        )
    except ModuleNotFoundError as error:
        raise OSError("PostgreSQL needs pip install 'medsam3-agent[postgres]'") from error
    except (SQLAlchemyError, ValueError):
        raise OSError("MEDSAM3_STATE_URL is no address of PostgreSQL") from None
    _prepare(engine, f"SET statement_timeout = {TIMEOUT_MS}")
    return engine


def _prepare(engine: AsyncEngine, *commands: str) -> None:
    """Let each new connection begin with some commands."""

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: DBAPIConnection, record: object) -> None:
        cursor = connection.cursor()
        for command in commands:
            cursor.execute(command)
        cursor.close()
        connection.commit()


async def _make_tables(connection: AsyncConnection) -> None:
    if connection.dialect.name == "postgresql":
        # Two that create a table at once would fail.
        await connection.execute(select(func.pg_advisory_xact_lock(TABLES_LOCK)))
    else:
        # Version 0.1 kept states of runs in the file, requests included; nobody else erases them.
        for name in ("checkpoints", "writes"):
            await connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
    await connection.run_sync(METADATA.create_all)
    for table in (*TABLES.values(), HOLDS):
        # Fails if a table of this name has other columns.
        await connection.execute(select(table).limit(0))


async def _own(connection: AsyncConnection) -> None:
    """Take the lock that a connection has until it is closed.

    Raises:
        OSError: another process has it.
    """
    last_try = time.monotonic() + OWNER_WAIT_S
    while True:
        taken = await connection.scalar(select(func.pg_try_advisory_lock(OWNER_LOCK)))
        await connection.commit()
        if taken:
            return
        if time.monotonic() > last_try:
            raise OSError("another process has the database; several need MEDSAM3_REDIS_URL")
        await asyncio.sleep(OWNER_PAUSE_S)

"""A store in a database: a SQLite file of one process, or PostgreSQL shared by many.

Bounded in bytes and expiring; every room is a table. Shared: one `Database` by all stores of one
event loop; to a file goes one command at a time. Guaranteed: every command is one transaction,
nobody waits for it longer than `STORE_TIMEOUT_S`, and of many processes that store a new record one
succeeds. Expiry goes by the clock of whoever asks: machines that share a database have to agree on
the time.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar, get_args
from urllib.parse import urlsplit

from sqlalchemy import (
    Case,
    Column,
    Double,
    LargeBinary,
    MetaData,
    Table,
    Text,
    case,
    delete,
    event,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.dml import ReturningInsert

from segmenter.contract import Entry, Hold
from segmenter.errors import TransportDown
from segmenter.storage.contract import Bounds, Room, check_item, no_room
from segmenter.storage.holds import holding, holds_table, is_held, releasing

# Twice what PostgreSQL took for the largest upload, 64 MiB, on two busy cores.
STORE_TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 5
# After it the server itself, or the kernel, ends a command that nobody waits for any more.
TIMEOUT_MS = round(STORE_TIMEOUT_S * 1000)
CLOSE_S = 2.0
# Of one process, beside the one that holds the lock of an owner.
MAX_CONNECTIONS = 4
# Advisory locks of PostgreSQL are numbers; these have no meaning.
OWNER_LOCK, TABLES_LOCK, SWEEP_LOCK = 7_306_551, 7_306_552, 7_306_553
INSERTS: dict[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
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
# What is erased of these is not in the file's log any more either.
PICTURES: frozenset[Room] = frozenset({"blobs", "volume_blobs"})


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
    taken = await connection.scalar(select(func.pg_try_advisory_lock(OWNER_LOCK)))
    await connection.commit()
    if not taken:
        raise OSError("another process has the database; several need MEDSAM3_REDIS_URL")


class _KeyTaken(Exception):
    """A transaction ends here: a key is taken; None if all was stored before."""

    def __init__(self, key: str | None) -> None:
        super().__init__(key)
        self.key = key


class SqlStore:
    """`segmenter.storage.contract.Store` in a table of a database."""

    def __init__(self, database: Database, room: Room, bounds: Bounds) -> None:
        self._database = database
        self._table = TABLES[room]
        self._max_bytes = bounds.max_bytes
        self._max_item_bytes = min(bounds)

    async def put(self, key: str, record: bytes, *, ttl_s: float, hold: Hold | None = None) -> None:
        """See `segmenter.storage.contract.Store`."""
        await self._put(key, record, ttl_s, new=False, hold=hold)

    async def put_new(self, key: str, record: bytes, *, ttl_s: float) -> bool:
        """See `segmenter.storage.contract.Store`."""
        return await self._put(key, record, ttl_s, new=True)

    async def put_together(self, entries: Sequence[Entry]) -> str | None:
        """See `segmenter.contract.RecordStore`."""
        for one in entries:
            check_item(one.record, self._max_item_bytes)
        now = time.time()

        async def store(connection: AsyncConnection) -> None:
            for number, one in enumerate(entries):
                upsert = self._upsert(one.key, one.record, one.ttl_s, now, new=one.new)
                if await connection.scalar(upsert) is None:
                    is_repeated = number == 0 and one.record == await connection.scalar(
                        select(self._table.c.content).where(self._table.c.key == one.key)
                    )
                    # Leaving the transaction takes back what was stored.
                    raise _KeyTaken(None if is_repeated else one.key)
            await self._sweep(connection, entries[0].key, now)

        try:
            await self._database.run(store)
        except _KeyTaken as taken:
            return taken.key
        return None

    async def get(self, key: str, *, renew_s: float | None = None) -> bytes | None:
        """See `segmenter.storage.contract.Store`."""
        if renew_s is not None:
            await self.touch(key, ttl_s=renew_s)
        columns = self._table.c
        asked = select(columns.content).where(columns.key == key, columns.expires > time.time())
        content: bytes | None = await self._database.run(
            lambda connection: connection.scalar(asked)
        )
        return content

    async def touch(self, *keys: str, ttl_s: float, hold: Hold | None = None) -> bool:
        """See `segmenter.storage.contract.Store`."""
        columns, now = self._table.c, time.time()
        alive = columns.key.in_(keys) & (columns.expires > now)
        # In one order, or two that use the same ones could wait for each other.
        look = select(columns.key).where(alive).order_by(columns.key).with_for_update()
        expires = _later(columns.expires, now + _life_s(ttl_s, hold))
        renewal = update(self._table).where(alive).values(used=now, expires=expires)

        async def renew(connection: AsyncConnection) -> bool:
            if self._database.is_shared and len(keys) > 1:
                await connection.execute(look)
            if (await connection.execute(renewal)).rowcount < len(keys):
                return False
            await self._hold(connection, keys, hold, now)
            return True

        return await self._database.run(renew)

    async def release(self, holder: str) -> None:
        """See `segmenter.storage.contract.Store`."""
        removal = releasing(HOLDS, self._table.name, holder, time.time())
        await self._database.run(lambda connection: connection.execute(removal))

    async def swap(self, key: str, old: bytes, new: bytes | None, *, ttl_s: float) -> bool:
        """See `segmenter.storage.contract.Store`."""
        check_item(new or b"", self._max_item_bytes)
        columns, now = self._table.c, time.time()
        is_key = (columns.key == key) & (columns.expires > now)
        values = {"content": new, "used": now, "expires": _later(columns.expires, now + ttl_s)}
        change = delete(self._table) if new is None else update(self._table).values(**values)
        look = select(columns.content).where(is_key)

        async def exchange(connection: AsyncConnection) -> bool:
            changed = await connection.execute(change.where(is_key, columns.content == old))
            return changed.rowcount == 1 or await connection.scalar(look) == new

        return await self._database.run(exchange)

    async def delete(self, key: str) -> None:
        """See `segmenter.storage.contract.Store`."""
        removal = delete(self._table).where(self._table.c.key == key)
        await self._database.run(lambda connection: connection.execute(removal))
        if self._table.name in PICTURES:
            await self._database.scrub()

    async def keys(self, prefix: str) -> list[str]:
        """See `segmenter.storage.contract.Store`."""
        columns = self._table.c
        begins = func.substr(columns.key, 1, len(prefix)) == prefix
        asked = select(columns.key).where(begins, columns.expires > time.time())
        if not self._database.is_shared:
            # The same again, as an index of bytes understands it; PostgreSQL may sort by language.
            asked = asked.where(columns.key >= prefix, columns.key < prefix + "\U0010ffff")
        found = await self._database.run(lambda connection: connection.scalars(asked))
        return sorted(found)

    async def _put(
        self, key: str, content: bytes, ttl_s: float, *, new: bool, hold: Hold | None = None
    ) -> bool:
        check_item(content, self._max_item_bytes)
        now = time.time()
        upsert = self._upsert(key, content, _life_s(ttl_s, hold), now, new=new)

        async def store(connection: AsyncConnection) -> bool:
            is_stored = await connection.scalar(upsert) is not None
            await self._hold(connection, (key,), hold, now)
            await self._sweep(connection, key, now)
            return is_stored

        return await self._database.run(store)

    def _upsert(
        self, key: str, content: bytes, ttl_s: float, now: float, *, new: bool
    ) -> ReturningInsert[tuple[str]]:
        """Return the command that stores a content, and gives no key if a `new` one is taken."""
        columns = self._table.c
        insertion = INSERTS[self._database.engine.dialect.name](self._table).values(
            key=key, content=content, used=now, expires=now + ttl_s
        )
        return insertion.on_conflict_do_update(
            index_elements=["key"],
            set_={name: insertion.excluded[name] for name in ("content", "used", "expires")},
            where=columns.expires <= now if new else None,
        ).returning(columns.key)

    async def _hold(
        self, connection: AsyncConnection, keys: Sequence[str], hold: Hold | None, now: float
    ) -> None:
        if hold is not None:
            insertion = INSERTS[self._database.engine.dialect.name](HOLDS)
            await connection.execute(holding(insertion, self._table.name, keys, hold, now))

    async def _sweep(self, connection: AsyncConnection, key: str, now: float) -> None:
        """Delete what has expired, then what was used longest ago until the bound is kept.

        Raises:
            StoreFull: what is held takes all the room, and none is left for `key`.
        """
        if self._database.is_shared:
            # Two that delete many rows could wait for each other; one is enough.
            alone = select(func.pg_try_advisory_xact_lock(SWEEP_LOCK))
            if not await connection.scalar(alone):
                return
        columns = self._table.c
        await connection.execute(delete(self._table).where(columns.expires <= now))
        size = func.length(columns.content)
        total = await connection.scalar(select(func.sum(size)))
        if total is None or total <= self._max_bytes:
            return
        rank = case((columns.key == key, 1), (is_held(HOLDS, self._table, now), 2), else_=0)
        order = [rank.desc(), columns.used.desc(), columns.key]
        so_far = func.sum(size).over(order_by=order).label("so_far")
        sizes = select(columns.key, columns.used, rank.label("rank"), so_far).subquery()
        over = sizes.c.so_far > self._max_bytes
        if await connection.scalar(select(sizes.c.key).where(over, sizes.c.key == key)):
            # Leaving the transaction takes back what was stored.
            raise no_room(self._max_bytes)
        too_old = select(sizes.c.key, sizes.c.used).where(over, sizes.c.rank == 0)
        # One that is used at this moment is locked, or has another time by now.
        unused = (
            select(columns.key)
            .where(tuple_(columns.key, columns.used).in_(too_old))
            .with_for_update(skip_locked=True)
        )
        await connection.execute(delete(self._table).where(columns.key.in_(unused)))


def _life_s(ttl_s: float, hold: Hold | None) -> float:
    return ttl_s if hold is None else max(ttl_s, hold.seconds)


def _later(expires: Column[float], other: float) -> Case[float]:
    """Return the later of two times: a use never shortens a life."""
    return case((expires > other, expires), else_=other)

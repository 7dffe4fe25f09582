"""A store in a table of a database, bounded in bytes and expiring.

Guaranteed: of many processes that store a new record one succeeds. Expiry goes by the clock of
whoever asks: machines that share a database have to agree on the time.
"""

import time
from collections.abc import Callable, Sequence

from sqlalchemy import Case, Column, Table, case, delete, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from segmenter.contract import Entry, Hold
from segmenter.storage.contract import Bounds, Room, check_item, no_room
from segmenter.storage.database import HOLDS, SWEEP_LOCK, TABLES, Database
from segmenter.storage.holds import holding, is_held, releasing

INSERTS: dict[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
# What is erased of these is not in the file's log any more either.
PICTURES: frozenset[Room] = frozenset({"blobs", "volume_blobs"})


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

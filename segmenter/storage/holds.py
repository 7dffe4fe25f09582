"""Holds in a database: which rows make no room while somebody works on them.

A row of its own for each holder and key, so that one who lets go lets go only what it held itself.
"""

from collections.abc import Sequence

from sqlalchemy import Column, Delete, Double, Exists, MetaData, Table, Text, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from segmenter.contract import Hold

Insert = sqlite.Insert | postgresql.Insert


def holds_table(metadata: MetaData) -> Table:
    """Declare the table; it has the holds of all rooms."""
    return Table(
        "holds",
        metadata,
        Column("room", Text, primary_key=True),
        Column("holder", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        # Seconds since 1970.
        Column("expires", Double),
    )


def holding(insertion: Insert, room: str, keys: Sequence[str], hold: Hold, now: float) -> Insert:
    """Return the command that keeps a hold on keys; `insertion` is one into the table of holds."""
    own = {"room": room, "holder": hold.holder, "expires": now + hold.seconds}
    rows = insertion.values([{**own, "key": key} for key in keys])
    return rows.on_conflict_do_update(
        index_elements=["room", "holder", "key"], set_={"expires": rows.excluded.expires}
    )


def releasing(holds: Table, room: str, holder: str, now: float) -> Delete:
    """Return the command that lets go all one holds, and what nobody let go in time."""
    is_own = (holds.c.room == room) & (holds.c.holder == holder)
    return delete(holds).where(or_(is_own, holds.c.expires <= now))


def is_held(holds: Table, table: Table, now: float) -> Exists:
    """Return the condition on a row of a room's table that somebody holds it."""
    return (
        select(holds.c.key)
        .where(holds.c.room == table.name, holds.c.key == table.c.key, holds.c.expires > now)
        .exists()
    )

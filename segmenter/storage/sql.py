"""Stores in one SQLite file, for a service that keeps all in one process and outlives its end.

Bounded in bytes, expiring, for one event loop; the file is touched in a thread, one command at a
time. Blobs and records have a table each: what was used longest ago makes room.
"""

import asyncio
import fcntl
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Lock
from typing import Literal, TypeVar

from segmenter.storage.memory import check_blob, check_record

Table = Literal["blobs", "records"]
Result = TypeVar("Result")
# Another process may be looking into the file.
LOCKED_TIMEOUT_S = 10.0


class SqliteFile:
    """The file; made by `open_file`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = Lock()

    async def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do some work as one transaction."""

        def locked() -> Result:
            with self._lock, self._connection:
                return work(self._connection)

        return await asyncio.to_thread(locked)


@asynccontextmanager
async def open_file(path: Path) -> AsyncIterator[SqliteFile]:
    """Open or make the file; it is its owner's alone, as it holds pictures of patients.

    One process has it at a time: two would both go on with what a third one left undone.

    Raises:
        OSError: it cannot be opened, or another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    claim = os.open(path.with_name(path.name + "-claim"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(claim)
        raise OSError(f"another process has {path.name}; several need MEDSAM3_REDIS_URL") from error
    connection = sqlite3.connect(path, timeout=LOCKED_TIMEOUT_S, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        # What is erased is overwritten.
        connection.execute("PRAGMA secure_delete=ON")
        for table in ("blobs", "records"):
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {table}"
                " (key TEXT PRIMARY KEY, content BLOB NOT NULL, used REAL, expires REAL)"
            )
        connection.commit()
        yield SqliteFile(connection)
    finally:
        connection.close()
        os.close(claim)


class _Store:
    def __init__(
        self, file: SqliteFile, table: Table, *, max_bytes: int, max_item_bytes: int
    ) -> None:
        self._file = file
        self._table = table
        self._max_bytes = max_bytes
        self._max_item_bytes = min(max_item_bytes, max_bytes)

    async def delete(self, key: str) -> None:
        """Forget what is under a key."""
        await self._file.run(
            lambda file: file.execute(f"DELETE FROM {self._table} WHERE key = ?", (key,))
        )

    async def _put(self, key: str, content: bytes, ttl_s: float, *, new: bool = False) -> bool:
        verb = "INSERT OR IGNORE" if new else "INSERT OR REPLACE"

        def work(file: sqlite3.Connection) -> bool:
            now = time.time()
            file.execute(f"DELETE FROM {self._table} WHERE expires <= ?", (now,))
            row = (key, content, now, now + ttl_s)
            stored = file.execute(f"{verb} INTO {self._table} VALUES (?, ?, ?, ?)", row).rowcount
            self._make_room(file, key)
            return stored == 1

        return await self._file.run(work)

    def _make_room(self, file: sqlite3.Connection, key: str) -> None:
        (total,) = file.execute(
            f"SELECT COALESCE(SUM(LENGTH(content)), 0) FROM {self._table}"
        ).fetchone()
        if total <= self._max_bytes:
            return
        rows = file.execute(
            f"SELECT key, LENGTH(content) FROM {self._table} WHERE key != ? ORDER BY used", (key,)
        ).fetchall()
        for old, size in rows:
            if total <= self._max_bytes:
                return
            file.execute(f"DELETE FROM {self._table} WHERE key = ?", (old,))
            total -= size

    async def _get(self, key: str) -> bytes | None:
        def work(file: sqlite3.Connection) -> bytes | None:
            row = file.execute(
                f"SELECT content FROM {self._table} WHERE key = ? AND expires > ?",
                (key, time.time()),
            ).fetchone()
            return None if row is None else bytes(row[0])

        return await self._file.run(work)


class SqliteRecordStore(_Store):
    """`segmenter.contract.RecordStore` in a file."""

    def __init__(self, file: SqliteFile, *, max_bytes: int, max_item_bytes: int) -> None:
        super().__init__(file, "records", max_bytes=max_bytes, max_item_bytes=max_item_bytes)

    async def put(self, key: str, record: bytes, *, ttl_s: float) -> None:
        """See `segmenter.contract.RecordStore`."""
        check_record(record, self._max_item_bytes)
        await self._put(key, record, ttl_s)

    async def put_new(self, key: str, record: bytes, *, ttl_s: float) -> bool:
        """See `segmenter.contract.RecordStore`."""
        check_record(record, self._max_item_bytes)
        return await self._put(key, record, ttl_s, new=True)

    async def get(self, key: str) -> bytes | None:
        """See `segmenter.contract.RecordStore`."""
        return await self._get(key)

    async def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, in their order."""
        now, end = time.time(), prefix + "\U0010ffff"
        return await self._file.run(
            lambda file: [
                str(row[0])
                for row in file.execute(
                    "SELECT key FROM records WHERE key >= ? AND key < ? AND expires > ?"
                    " ORDER BY key",
                    (prefix, end, now),
                )
            ]
        )


class SqliteBlobStore(_Store):
    """`segmenter.storage.images.BlobStore` in a file."""

    def __init__(
        self, file: SqliteFile, *, max_bytes: int, max_item_bytes: int, ttl_s: float
    ) -> None:
        super().__init__(file, "blobs", max_bytes=max_bytes, max_item_bytes=max_item_bytes)
        self._ttl_s = ttl_s

    async def put(self, key: str, blob: bytes) -> None:
        """See `segmenter.storage.images.BlobStore`."""
        check_blob(blob, self._max_item_bytes)
        await self._put(key, blob, self._ttl_s)

    async def get(self, key: str) -> bytes | None:
        """See `segmenter.storage.images.BlobStore`."""
        await self.touch(key)
        return await self._get(key)

    async def touch(self, key: str) -> bool:
        """See `segmenter.storage.images.BlobStore`."""
        now = time.time()
        values = (now, now + self._ttl_s, key, now)
        return await self._file.run(
            lambda file: (
                file.execute(
                    "UPDATE blobs SET used = ?, expires = ? WHERE key = ? AND expires > ?", values
                ).rowcount
                == 1
            )
        )

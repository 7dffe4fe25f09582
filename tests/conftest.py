"""Fixtures of the whole suite."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.postgres import PostgresServer
from tests.redis_server import RedisServer

# Networks of the tests are so small that handing their work to a second thread costs several times
# the work itself. Before torch is imported; test processes inherit it.
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run what is marked slow")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their length: a packed file holds the second in which it was packed.

    Workers that collect in another second would see other tests.
    """
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="slow: run with --slow")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server for the whole run; tests stay apart by their prefix."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def durable_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of one's own, to be killed and started again."""
    server = RedisServer(tmp_path, durable=True)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One server for the whole run."""
    server = PostgresServer(tmp_path_factory.mktemp("pg"))
    yield server
    server.stop()


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> str:
    """The URL of a database nobody else uses."""
    return postgres_server.new_database()


@pytest.fixture
def prefix() -> str:
    """A key prefix nobody else uses."""
    return f"test-{uuid4().hex[:12]}"

"""A Redis that answers and refuses: each refusal has words of its own, and they come soon."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from segmenter.errors import BrokerDenied, BrokerFull, BrokerReadOnly, BrokerRefusal
from segmenter.queue.contract import until_workers
from segmenter.redis_connection import open_client, refusal_of
from segmenter.settings import QueueSettings
from tests.redis_server import RedisServer
from tests.segmenter.queue.queues import (
    PATIENCE_S,
    Queue,
    lease_one,
    new_job,
    presence,
    redis_queue,
    run,
    some_answer,
)

SECRET = "a-secret-of-redis"
# A job may wait for its queue much longer than for an answer that will not change.
SUBMIT_S = 60.0
SOON_S = 20.0


@pytest.fixture
def guarded_redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, password=SECRET)
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AuthenticationError("invalid username-password pair"), BrokerDenied),
        (ResponseError("Protocol error: unauthenticated bulk length"), BrokerDenied),
        (ResponseError("NOPERM this user has no permissions"), BrokerDenied),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), BrokerReadOnly),
        (ResponseError("MISCONF Errors writing to the AOF file"), BrokerReadOnly),
        (ResponseError("Error running script: @user_script:5: -READONLY You"), BrokerReadOnly),
        (OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), BrokerFull),
        (ResponseError("Error running script: -OOM command not allowed"), BrokerFull),
        (ResponseError("WRONGTYPE Operation against a key"), type(None)),
        (RedisConnectionError("Connection refused"), type(None)),
        (BusyLoadingError("Redis is loading the dataset in memory"), type(None)),
    ],
)
def test_a_refusal_is_told_from_an_outage(error: RedisError, kind: type) -> None:
    assert type(refusal_of(error)) is kind


def submit_fails(url: str, prefix: str, kind: type[BrokerRefusal]) -> str:
    """Return the words a caller gets, which must come soon."""
    words: list[str] = []

    async def scenario(queue: Queue) -> None:
        started = time.monotonic()
        with pytest.raises(kind) as caught:
            await queue.caller.submit(new_job(), timeout_s=SUBMIT_S)
        with pytest.raises(kind):
            await queue.caller.probe(timeout_s=SUBMIT_S)
        # Not that nobody works.
        with pytest.raises(kind):
            await until_workers(queue.caller, 0.1, "nobody")
        assert time.monotonic() - started < SOON_S
        words.append(str(caught.value))

    run(scenario, lambda: redis_queue(url, QueueSettings(prefix=prefix, poll_s=0.1)))
    return words[0]


@pytest.mark.parametrize("login", ["", ":wrong-one@", "nobody:wrong-one@"])
def test_a_missing_or_wrong_password_is_a_refused_login(
    guarded_redis: RedisServer, prefix: str, login: str
) -> None:
    url = guarded_redis.stranger_url.replace("://", f"://{login}")
    words = submit_fails(url, prefix, BrokerDenied)
    assert words.startswith("Redis refuses the login")
    assert "wrong-one" not in words


async def configured(url: str, *command: str) -> None:
    async with open_client(url) as client:
        await client.execute_command(*command)


def test_a_replica_takes_no_writes_until_it_is_the_primary(
    durable_redis: RedisServer, prefix: str
) -> None:
    async def demote(queue: Queue) -> None:
        await configured(durable_redis.url, "REPLICAOF", "127.0.0.1", "1")

    async def promote(queue: Queue) -> None:
        await configured(durable_redis.url, "REPLICAOF", "NO", "ONE")
        await queue.caller.submit(new_job(), timeout_s=PATIENCE_S)

    settings = QueueSettings(prefix=prefix, poll_s=0.1)
    run(demote, lambda: redis_queue(durable_redis.url, settings))
    assert "no writes" in submit_fails(durable_redis.url, prefix, BrokerReadOnly)
    run(promote, lambda: redis_queue(durable_redis.url, settings))


def test_a_primary_that_misses_its_replicas_takes_no_writes(
    durable_redis: RedisServer, prefix: str
) -> None:
    async def orphan(queue: Queue) -> None:
        await configured(durable_redis.url, "CONFIG", "SET", "min-replicas-to-write", "1")

    run(orphan, lambda: redis_queue(durable_redis.url, QueueSettings(prefix=prefix)))
    assert "no writes" in submit_fails(durable_redis.url, prefix, BrokerReadOnly)


def test_a_full_redis_says_so_and_keeps_its_workers_and_their_answers(
    durable_redis: RedisServer, prefix: str
) -> None:
    async def scenario(queue: Queue) -> None:
        worker, job = await queue.worker("a"), new_job()
        async with worker.alive(presence("a")):
            await queue.caller.submit(job, timeout_s=PATIENCE_S)
            lease = await lease_one(worker)
            await configured(durable_redis.url, "CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(BrokerFull, match="Redis is full"):
                await queue.caller.submit(new_job(), timeout_s=SUBMIT_S)
            with pytest.raises(BrokerFull):
                await queue.caller.probe(timeout_s=SUBMIT_S)
            # Longer than a lease.
            assert await lease_one(await queue.worker("b"), wait_s=1.5) is None
            assert await queue.caller.workers(timeout_s=PATIENCE_S) == (presence("a"),)
            assert await worker.answer(lease, some_answer())
            assert await queue.caller.wait(job.id, timeout_s=PATIENCE_S) == some_answer()

    settings = QueueSettings(prefix=prefix, poll_s=0.1, lease_s=0.9)
    run(scenario, lambda: redis_queue(durable_redis.url, settings))

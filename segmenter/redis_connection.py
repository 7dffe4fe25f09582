"""The connection to Redis: client settings, what counts as an outage or a refusal, retries.

redis-py retries by itself unless told otherwise and so could repeat a command that ran; here it
never does. Every retry is ours, has a deadline, and repeats only commands that may run twice.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import redis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from segmenter.errors import (
    BrokerDenied,
    BrokerFull,
    BrokerReadOnly,
    BrokerRefusal,
    TransportDown,
)

Value = TypeVar("Value")

# The server is down or starting: the same command may work soon.
OUTAGE = (RedisConnectionError, RedisTimeoutError)
# What the server refuses, by the class redis-py gives it or by a code in its words: redis-py has no
# class for some, and Redis 6.2 wraps what a script meets.
REFUSALS: tuple[tuple[type[BrokerRefusal], tuple[type[RedisError], ...], tuple[str, ...], str], ...]
REFUSALS = (
    (
        BrokerDenied,
        (AuthenticationError, NoPermissionError),
        # Long commands are not even read before a login: "unauthenticated multibulk length".
        ("NOAUTH", "WRONGPASS", "NOPERM", "unauthenticated"),
        "Redis refuses the login: user or password are missing, wrong, or lack a permission;"
        " correct them in its URL",
    ),
    (
        BrokerReadOnly,
        (ReadOnlyError, MasterDownError),
        ("READONLY", "MASTERDOWN", "NOREPLICAS", "MISCONF"),
        "Redis takes no writes: it is a replica, misses replicas, or cannot write to its disk;"
        " name the primary in its URL, or see its log",
    ),
    (
        BrokerFull,
        (OutOfMemoryError,),
        ("OOM command not allowed",),
        "Redis is full: its maxmemory is used up; raise it, or wait until what it keeps expires",
    ),
)
# A failover takes seconds, and until then the old primary takes no writes.
READ_ONLY_PATIENCE_S = 3.0

# A reachable server answers our commands within milliseconds; 20 MB of upload take 0.2 s.
COMMAND_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2.0
FIRST_DELAY_S = 0.05
# Long enough to spare a server that is starting, short enough to notice it within a second.
MAX_DELAY_S = 1.0


def open_client(url: str, *, blocking_s: float = 0.0) -> "Redis":
    """Make an asyncio client; `blocking_s` is the longest blocking read it will do.

    RESP2 is pinned because answers of stream reads differ in shape between the protocols.
    """
    return Redis.from_url(
        url,
        protocol=2,
        decode_responses=False,
        socket_timeout=COMMAND_TIMEOUT_S + blocking_s,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=AsyncRetry(NoBackoff(), 0),
    )


def open_sync_client(url: str, *, timeout_s: float) -> "redis.Redis":
    """Make a client for a thread of its own; no command takes longer than `timeout_s`."""
    return redis.Redis.from_url(
        url,
        protocol=2,
        decode_responses=False,
        socket_timeout=timeout_s,
        socket_connect_timeout=min(timeout_s, CONNECT_TIMEOUT_S),
        retry=Retry(NoBackoff(), 0),
    )


class Backoff:
    """Delays that double up to `MAX_DELAY_S`, each shortened by chance so that clients spread."""

    def __init__(self) -> None:
        self._delay_s = FIRST_DELAY_S

    def next_s(self) -> float:
        """Return the next delay in seconds."""
        delay_s, self._delay_s = self._delay_s, min(2 * self._delay_s, MAX_DELAY_S)
        # Spreads load, decides nothing: no need for a source of secrets.
        return delay_s * random.uniform(0.5, 1.0)


async def retried(command: Callable[[], Awaitable[Value]], *, timeout_s: float) -> Value:
    """Run a command that may safely run twice, again and again while Redis is out.

    Raises:
        TransportDown: still out after `timeout_s`.
        BrokerRefusal: it answers, and refuses.
    """
    started = time.monotonic()
    backoff = Backoff()
    while True:
        try:
            return await command()
        except RedisError as error:
            delay_s = backoff.next_s()
            patience_s, failure = _judge(error, timeout_s)
            if time.monotonic() - started + delay_s >= patience_s:
                raise failure from error
        await asyncio.sleep(delay_s)


def refusal_of(error: RedisError) -> BrokerRefusal | None:
    """Return what a server that answers refuses; None for other errors, such as outages."""
    words = str(error)
    for kind, classes, codes, message in REFUSALS:
        if isinstance(error, classes) or any(code in words for code in codes):
            return kind(message)
    return None


def _judge(error: RedisError, timeout_s: float) -> tuple[float, TransportDown]:
    """Return for how many seconds a failed command is repeated, and what is raised then."""
    refusal = refusal_of(error)
    if isinstance(refusal, BrokerReadOnly):
        return min(timeout_s, READ_ONLY_PATIENCE_S), refusal
    if refusal is not None:
        return 0.0, refusal
    if isinstance(error, OUTAGE):
        return timeout_s, TransportDown(f"Redis was out for {timeout_s:.1f} s")
    return 0.0, TransportDown(f"Redis refused: {type(error).__name__}")

"""One run of the benchmark: a reference undisturbed, the load while all is killed, the last look.

Everything has a limit: the load and the last look together that of the whole benchmark.
"""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import redis

from benchmarks.chaos.cases import Case, load_cases
from benchmarks.chaos.client import Client
from benchmarks.chaos.ledger import CallEntry, Ledger, RunEntry
from benchmarks.chaos.processes import Fleet
from benchmarks.chaos.verdict import Reference, Verdict, judge

Entry = TypeVar("Entry", RunEntry, CallEntry)

WORKERS = 2
START_S = 120.0
# Requests under way at once, of each kind; streams that are followed are not counted.
AT_ONCE = 6
# Between two random kills, in shares of what all processes together need to start here, so that
# on a slow machine too the deployment is up most of the time; and at most, in seconds.
KILL_EVERY = (0.2, 0.6)
KILL_EVERY_S = (3.0, 10.0)
# Every so many runs are asynchronous, and every so many of them have the process killed that
# answers 202.
ASYNC_EVERY = 2
KILLS_EVERY = 12
PROGRESS_S = 0.1
# One that is lost is looked for to the end, and is not to keep others from being seen.
LOOKS_AT_ONCE = 64
# When Redis is restarted, as shares of all requests, and how.
OUTAGES = ((1 / 3, signal.SIGTERM), (2 / 3, signal.SIGKILL))
# A run that was accepted may wait for two restarts of everything.
RUN_PATIENCE_S = 90.0
# What the last look may take; nothing is killed any more.
LOOK_S = 120.0
SETTINGS = {
    "MEDSAM3_MAX_REQUESTS": "256",
    "MEDSAM3_SEGMENT_TIMEOUT_S": "60",
    "MEDSAM3_RUN_SLOTS": "4",
}


class Size(NamedTuple):
    """How much is asked for, and for how long at most."""

    runs: int
    calls: int
    limit_s: float


class Outcome(NamedTuple):
    """What came of it."""

    ledger: Ledger
    verdict: Verdict
    kills: Counter[str]
    own_ends: Counter[str]
    kills_on_202: int
    load_s: float


def plan(size: Size, cases: Iterable[str], rng: random.Random) -> Ledger:
    """Write down what will be asked for: half of the runs asynchronously."""
    names = sorted(cases)
    runs = [
        RunEntry(
            key=f"chaos-{number}-{rng.getrandbits(32):08x}",
            case=rng.choice(names),
            is_async=number % ASYNC_EVERY == 0,
            kills_acceptor=number % KILLS_EVERY == 0,
        )
        for number in range(size.runs)
    ]
    return Ledger(runs, [CallEntry(rng.choice(names)) for _ in range(size.calls)])


def pauses_s(start_s: float) -> tuple[float, float]:
    """Return the shortest and the longest pause between two kills, in seconds.

    Args:
        start_s: what all processes together needed to start.
    """
    shares = zip(KILL_EVERY, KILL_EVERY_S, strict=True)
    shortest, longest = (min(share * start_s, most_s) for share, most_s in shares)
    return shortest, longest


async def carry_out(size: Size, seed: int, logs: Path) -> Outcome:
    """Run everything; what does not end in time stands unanswered in the ledger."""
    rng, cases, started = random.Random(seed), load_cases(), time.monotonic()
    fleet = Fleet(logs, rng, SETTINGS)
    ledger = plan(size, cases, rng)
    client = Client(fleet.urls, cases, ledger, rng, fleet.kill_at)
    try:
        fleet.start()
        supervisor = asyncio.create_task(fleet.supervise())
        await client.ready(WORKERS, START_S)
        start_s = time.monotonic() - started
        reference = await _undisturbed(fleet, cases, rng)
        before = _kept_runs(fleet.redis_url)
        load_started = time.monotonic()
        fire = partial(_kill_at_random, fleet, rng, pauses_s(start_s))
        await _under_fire(fleet, client, ledger, fire, started + size.limit_s - LOOK_S)
        load_s = time.monotonic() - load_started
        await _last_look(client, ledger, started + size.limit_s)
        kept = _kept_runs(fleet.redis_url) - before
        supervisor.cancel()
    finally:
        await client.close()
        fleet.stop()
    verdict = judge(ledger, reference, kept_runs=kept)
    on_202 = sum(run.kills_acceptor and bool(run.ids) for run in ledger.runs)
    return Outcome(ledger, verdict, fleet.kills, fleet.own_ends, on_202, load_s)


async def _undisturbed(fleet: Fleet, cases: Mapping[str, Case], rng: random.Random) -> Reference:
    """Ask for every case once, before anything is killed."""
    runs = [RunEntry(f"reference-{name}", name, is_async=False) for name in cases]
    calls = [CallEntry(name) for name in cases]
    client = Client(fleet.urls, cases, Ledger(runs, calls), rng, fleet.kill_at)
    try:
        async with asyncio.timeout(START_S):
            for run, call in zip(runs, calls, strict=True):
                await client.run(run)
                await client.call(call)
    finally:
        await client.close()
    return Reference(
        {run.case: run.digests[0] for run in runs}, {call.case: call.digests[0] for call in calls}
    )


async def _under_fire(
    fleet: Fleet,
    client: Client,
    ledger: Ledger,
    fire: Callable[[], Coroutine[Any, Any, None]],
    deadline: float,
) -> None:
    """Send everything while processes are killed; ends when all is answered, or at the deadline."""
    total = len(ledger.runs) + len(ledger.calls)
    done: Counter[str] = Counter()
    following: set[asyncio.Task[None]] = set()

    async def run(entry: RunEntry) -> None:
        await client.run(entry)
        if entry.ids and entry.is_async:
            following.add(asyncio.create_task(client.follow(entry, RUN_PATIENCE_S)))

    load = asyncio.gather(
        _in_turn(ledger.runs, run, done), _in_turn(ledger.calls, client.call, done)
    )
    killers = [
        asyncio.create_task(fire()),
        asyncio.create_task(_restart_redis(fleet, lambda: done.total() / total)),
    ]
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
            await load
            killers[0].cancel()
            await asyncio.gather(*following)
    for task in (*killers, *following):
        task.cancel()
    await asyncio.gather(*killers, *following, return_exceptions=True)


async def _in_turn(
    entries: Iterable[Entry], ask: Callable[[Entry], Awaitable[None]], done: Counter[str]
) -> None:
    left = iter(entries)

    async def ask_on() -> None:
        for entry in left:
            entry.is_asked = True
            await ask(entry)
            done[type(entry).__name__] += 1

    await asyncio.gather(*(ask_on() for _ in range(AT_ONCE)))


async def _kill_at_random(fleet: Fleet, rng: random.Random, between_s: tuple[float, float]) -> None:
    """Kill one process after another, each before any comes again."""
    while True:
        for child in rng.sample(fleet.children, len(fleet.children)):
            await asyncio.sleep(rng.uniform(*between_s))
            fleet.kill(child)


async def _restart_redis(fleet: Fleet, progress: Callable[[], float]) -> None:
    for share, sign in OUTAGES:
        while progress() < share:  # noqa: ASYNC110 - a share is reached by many, nobody says when
            await asyncio.sleep(PROGRESS_S)
        await fleet.restart_redis(sign)


async def _last_look(client: Client, ledger: Ledger, deadline: float) -> None:
    """Read every accepted run, and the streams that were not followed before."""
    left_s = max(1.0, deadline - time.monotonic())
    places = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def look(entry: RunEntry) -> None:
        async with places:
            await asyncio.gather(client.look(entry, left_s), client.follow(entry, left_s))

    with suppress(TimeoutError):
        async with asyncio.timeout(left_s):
            await client.ready(WORKERS, left_s)
            await asyncio.gather(*(look(entry) for entry in ledger.runs if entry.ids))


def _kept_runs(url: str) -> int:
    """Count the records of runs in Redis, whoever asked for them."""
    with redis.Redis.from_url(url) as client:
        return sum(1 for _ in client.scan_iter(match="medsam3:record:run:*", count=1000))

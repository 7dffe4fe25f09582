"""What is accepted is kept and queued, what is refused is neither; over memory and a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import pytest

from segmenter.contract import Entry, JobEvent
from segmenter.errors import JobFailed, QueueFull
from segmenter.queue.contract import Consumer
from segmenter.queue.jobs import Jobs, StoredThenQueued
from segmenter.queue.memory import MemoryTransport
from segmenter.queue.records import JobRecord, JobStore
from segmenter.queue.redis.consumer import open_worker
from segmenter.queue.redis.producer import open_caller
from segmenter.settings import QueueSettings
from segmenter.storage.contract import Bounds
from segmenter.storage.memory import MemoryStore
from segmenter.storage.redis import RedisStore, open_store_client
from tests.segmenter.queue.queues import lease_one

BOUNDS = Bounds(2**20, 2**16)
CREATED = JobEvent(name="run.created")
Scenario = Callable[[Jobs, Consumer], Awaitable[None]]


class Run(JobRecord):
    kind: Literal["run"] = "run"


def record(number: int = 1) -> Run:
    return Run(id=f"{number:032x}", created_at=datetime.now(UTC), fingerprint="")


@pytest.fixture(params=["memory", "redis"])
def over(request, prefix) -> Callable[..., None]:
    """Run a scenario with jobs that are not begun after `timeout_s`, and a worker."""
    settings = QueueSettings(prefix=prefix, poll_s=0.1, max_depth=1)

    @asynccontextmanager
    async def opened(timeout_s: float) -> AsyncIterator[tuple[Jobs, Consumer]]:
        if request.param == "memory":
            store, queue = MemoryStore(**BOUNDS._asdict()), MemoryTransport(settings)
            jobs = JobStore(store, ttl_s=60.0)
            yield (
                Jobs(jobs, queue, StoredThenQueued(store, queue), timeout_s),
                queue.worker("a"),
            )
            return
        url = request.getfixturevalue("redis_server").url
        async with (
            open_store_client(url) as client,
            open_caller(url, settings) as caller,
            open_worker(url, settings, "a") as worker,
        ):
            records = RedisStore(client, prefix, "records", BOUNDS)
            accepted = partial(caller.accept, records)
            yield Jobs(JobStore(records, ttl_s=60.0), caller, accepted, timeout_s), worker

    def start(scenario: Scenario, timeout_s: float = 60.0) -> None:
        async def within() -> None:
            async with opened(timeout_s) as (jobs, worker):
                await scenario(jobs, worker)

        asyncio.run(within())

    return start


def test_an_accepted_job_is_kept_and_queued_once(over) -> None:
    async def scenario(jobs: Jobs, worker: Consumer) -> None:
        first = record()
        beside = [Entry("lock", b"1", 60.0, new=True)]
        assert await jobs.accept(first, events=[CREATED], beside=beside) == (first, None)
        assert await jobs.accept(first, events=[CREATED], beside=beside) == (first, None)
        assert await jobs.store.record(first.public_id, Run) == first
        assert await jobs.store.events(first.public_id) == [CREATED]
        assert await jobs.store.all_under_way("run") == [first.public_id]
        lease = await lease_one(worker)
        assert lease is not None
        assert lease.job.id == first.id
        assert await lease_one(worker, wait_s=0.2) is None

    over(scenario)


def test_a_job_whose_id_is_taken_is_the_one_that_stands(over) -> None:
    async def scenario(jobs: Jobs, worker: Consumer) -> None:
        first, second = record(), record()
        await jobs.accept(first)
        assert await jobs.accept(second) == (first, None)

    over(scenario)


def test_a_job_that_lacks_what_it_needs_leaves_nothing(over) -> None:
    async def scenario(jobs: Jobs, worker: Consumer) -> None:
        await jobs.store.records.put("lock", b"2", ttl_s=60.0)
        one = record()
        assert await jobs.accept(one, beside=[Entry("lock", b"1", 60.0, new=True)]) == (one, "lock")
        assert await jobs.store.record(one.public_id, Run) is None
        assert await lease_one(worker, wait_s=0.2) is None

    over(scenario)


def test_a_job_that_a_full_queue_refuses_leaves_nothing(over) -> None:
    async def scenario(jobs: Jobs, worker: Consumer) -> None:
        await jobs.accept(record(1))
        with pytest.raises(QueueFull):
            await jobs.accept(record(2), beside=[Entry("lock", b"2", 60.0, new=True)])
        assert await jobs.store.record(record(2).public_id, Run) is None
        assert await jobs.store.records.get("lock") is None

    over(scenario)


def test_a_job_that_the_queue_lost_is_queued_again_until_its_time_is_over(over) -> None:
    async def scenario(jobs: Jobs, worker: Consumer) -> None:
        one = record()
        entries = jobs.store.opening(one)
        assert await jobs.store.records.put_together(entries) is None
        with pytest.raises(JobFailed):
            await jobs.queue.look(one.id)
        assert await jobs.last(one) == (0, None)
        assert await lease_one(worker) is not None

    over(scenario)


def test_a_job_that_nobody_works_on_ends_in_its_time_for_all_who_look(over) -> None:
    async def scenario(jobs: Jobs, worker: Consumer) -> None:
        one = record()
        await jobs.accept(one)
        assert await jobs.last(one) == (0, None)
        await asyncio.sleep(0.3)
        number, event = await jobs.last(one)
        assert number == 1
        assert event is not None
        assert (event.name, event.state) == ("run.failed", "failed")
        assert event.failure is not None
        assert event.failure.error == "DeadlineExceeded"
        assert await jobs.store.last(one.public_id) == (1, event)
        assert await jobs.store.all_under_way("run") == []
        assert await lease_one(worker, wait_s=0.2) is None

    over(scenario, timeout_s=0.2)


def test_a_relay_queues_what_is_under_way_and_no_more(over) -> None:
    async def scenario(jobs: Jobs, worker: Consumer) -> None:
        one, ended = record(1), record(2)
        await jobs.store.records.put_together(jobs.store.opening(one))
        for _ in range(2):
            await jobs.relay("run", Run)
        lease = await lease_one(worker)
        assert lease is not None
        assert await lease_one(worker, wait_s=0.2) is None
        await jobs.store.end(one, "cancelled")
        await jobs.relay("run", Run)
        assert await jobs.store.all_under_way("run") == []
        # Its record has expired.
        mark = jobs.store.under_way(ended.public_id)
        await jobs.store.records.put(mark.key, mark.record, ttl_s=60.0)
        await jobs.relay("run", Run)
        assert await jobs.store.all_under_way("run") == []

    over(scenario)

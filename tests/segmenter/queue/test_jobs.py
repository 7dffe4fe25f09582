"""The log of a job: numbers without gaps, one end, whoever writes and whatever the store does."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from segmenter.contract import JobEvent
from segmenter.errors import DeadlineExceeded, TransportDown
from segmenter.queue.contract import cancelled
from segmenter.queue.jobs import Jobs, StoredThenQueued
from segmenter.queue.memory import MemoryTransport
from segmenter.queue.messages import Answer, failed
from segmenter.queue.records import JobEnd, JobRecord, JobStore
from segmenter.storage.memory import MemoryStore

HEX = "0" * 31 + "1"
ID = f"vol_{HEX}"
DONE = JobEvent(name="volume.completed", number=9, state="done")


class Volume(JobRecord):
    kind: Literal["volume"] = "volume"


def record(**changes: object) -> Volume:
    values = {"id": HEX, "created_at": datetime.now(UTC), "fingerprint": "a"}
    return Volume.model_validate(values | changes)


def progress(number: int) -> JobEvent:
    return JobEvent(name="volume.progress", number=number)


class LosesAnswers(MemoryStore):
    """Every second new record is stored and said to be lost, or lost and said so."""

    calls = 0

    async def put_new(self, key: str, record: bytes, *, ttl_s: float) -> bool:
        self.calls += 1
        if self.calls % 4 == 1:
            await super().put_new(key, record, ttl_s=ttl_s)
            raise TransportDown("after")
        if self.calls % 4 == 3:
            raise TransportDown("before")
        return await super().put_new(key, record, ttl_s=ttl_s)


def store(kind: type[MemoryStore] = MemoryStore) -> JobStore:
    return JobStore(kind(max_bytes=2**20, max_item_bytes=2**16), ttl_s=60.0)


@pytest.mark.parametrize("kind", [MemoryStore, LosesAnswers])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7, 8, 9, 100])
def test_the_latest_event_is_found_among_any_number(count: int, kind: type[MemoryStore]) -> None:
    async def scenario() -> None:
        jobs = store(kind)
        log = await jobs.writer(ID)
        for number in range(1, count + 1):
            assert await log.tell(progress(number))
        latest = progress(count) if count else None
        assert await jobs.last(ID) == (count, latest)
        assert [event.number for event in await jobs.events(ID)] == list(range(1, count + 1))
        assert await jobs.events(ID, after=count) == []

    asyncio.run(scenario())


def test_whoever_ends_a_job_first_has_ended_it() -> None:
    async def scenario() -> None:
        jobs, kept = store(), record()
        log = await jobs.writer(ID)
        assert await log.tell(progress(3))
        assert not await log.is_ended()
        assert await jobs.end(kept, "cancelled", cancelled().failure)
        assert await log.is_ended()
        assert not await jobs.end(kept, "failed")
        assert not await log.tell(progress(4))
        assert not await log.tell(DONE)
        names = [(event.name, event.number) for event in await jobs.events(ID)]
        assert names == [("volume.progress", 3), ("volume.cancelled", 3)]

    asyncio.run(scenario())


def test_ends_at_the_same_time_are_one() -> None:
    async def scenario() -> None:
        jobs = store()
        states: list[JobEnd] = ["done", "failed", "cancelled"]
        won = await asyncio.gather(*(jobs.end(record(), state) for state in states))
        assert sum(won) == 1
        assert len(await jobs.events(ID)) == 1

    asyncio.run(scenario())


def test_its_own_end_is_no_end_by_another_and_what_was_told_is_not_told_again() -> None:
    async def scenario() -> None:
        jobs = store()
        for _ in range(2):
            log = await jobs.writer(ID)
            assert await log.tell(progress(1)) is not log.events[-1].is_end
            assert await log.tell(DONE)
            assert not await log.is_ended()
        assert len(await jobs.events(ID)) == 2

    asyncio.run(scenario())


def test_the_same_id_again_is_the_job_that_stands() -> None:
    async def scenario() -> None:
        jobs, first, second = jobs_on(MemoryTransport()), record(), record(fingerprint="b")
        assert (await jobs.accept(first))[0] is first
        assert (await jobs.accept(second))[0] == first
        await jobs.store.forget(ID)
        assert (await jobs.accept(second))[0] is second

    asyncio.run(scenario())


def jobs_on(transport: MemoryTransport) -> Jobs:
    records = MemoryStore(max_bytes=2**20, max_item_bytes=2**16)
    accepted = StoredThenQueued(records, transport)
    return Jobs(JobStore(records, ttl_s=60.0), transport, accepted, timeout_s=60.0)


Scenario = Callable[[Jobs, MemoryTransport], Awaitable[tuple[int, JobEvent | None]]]


def outcome(scenario: Scenario) -> JobEvent | None:
    async def within() -> JobEvent | None:
        transport = MemoryTransport()
        _, event = await scenario(jobs_on(transport), transport)
        return event

    return asyncio.run(within())


def test_a_job_that_the_queue_gave_up_has_failed() -> None:
    async def scenario(jobs: Jobs, queue: MemoryTransport) -> tuple[int, JobEvent | None]:
        await jobs.submit(record())
        assert await jobs.last(record()) == (0, None)
        queue.finish(HEX, failed(DeadlineExceeded("too late")))
        return await jobs.last(record())

    event = outcome(scenario)
    assert event is not None
    assert (event.name, event.state) == ("volume.failed", "failed")
    assert event.failure is not None
    assert event.failure.error == "DeadlineExceeded"


def test_a_job_whose_end_could_not_be_noted_is_done() -> None:
    async def scenario(jobs: Jobs, queue: MemoryTransport) -> tuple[int, JobEvent | None]:
        await jobs.submit(record())
        queue.finish(HEX, Answer(volume=HEX))
        return await jobs.last(record())

    event = outcome(scenario)
    assert event is not None
    assert event.state == "done"


@pytest.mark.parametrize(("age_s", "error"), [(1.0, None), (600.0, "JobFailed")])
def test_a_job_no_queue_knows_is_lost_unless_it_is_new(age_s: float, error: str | None) -> None:
    created_at = datetime.now(UTC) - timedelta(seconds=age_s)

    async def scenario(jobs: Jobs, queue: MemoryTransport) -> tuple[int, JobEvent | None]:
        return await jobs.last(record(created_at=created_at))

    event = outcome(scenario)
    assert (event.failure.error if event and event.failure else None) == error


def test_a_job_that_is_given_up_is_not_started() -> None:
    async def scenario(jobs: Jobs, queue: MemoryTransport) -> tuple[int, JobEvent | None]:
        await jobs.submit(record())
        event = await jobs.cancel(record())
        assert await jobs.cancel(record()) == event
        assert list(await queue.worker("w").lease(limit=1, wait_s=0.0)) == []
        return 1, event

    event = outcome(scenario)
    assert event is not None
    assert event.state == "cancelled"

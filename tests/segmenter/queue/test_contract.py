"""What both queues guarantee; every test runs over memory and over a real Redis."""

import asyncio
import gc
import weakref

import pytest

from segmenter.errors import DeadlineExceeded, JobFailed, QueueFull
from segmenter.queue.memory import MemoryTransport
from segmenter.queue.messages import WorkerInfo, to_error
from segmenter.settings import QueueSettings
from tests.segmenter.queue.queues import (
    PATIENCE_S,
    Queue,
    lease_one,
    memory_queue,
    new_job,
    presence,
    redis_queue,
    run,
    some_answer,
)


@pytest.fixture(params=["memory", "redis"])
def over(request, prefix):
    """Run a scenario over a fresh queue with the given settings."""

    def start(scenario, **settings):
        chosen = QueueSettings(prefix=prefix, poll_s=0.1, **settings)
        if request.param == "memory":
            run(scenario, lambda: memory_queue(chosen))
            return
        server = request.getfixturevalue("redis_server")
        run(scenario, lambda: redis_queue(server.url, chosen))

    return start


def test_an_answer_reaches_its_caller(over):
    async def scenario(queue: Queue):
        worker, job = await queue.worker("a"), new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        waiting = asyncio.create_task(queue.caller.wait(job.id, timeout_s=PATIENCE_S))
        lease = await lease_one(worker)
        assert (lease.job, lease.attempt) == (job, 1)
        assert await worker.answer(lease, some_answer())
        assert await waiting == some_answer()

    over(scenario)


def test_an_answer_that_came_before_the_wait_is_found(over):
    async def scenario(queue: Queue):
        worker, job = await queue.worker("a"), new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        await worker.answer(await lease_one(worker), some_answer())
        assert await queue.caller.wait(job.id, timeout_s=PATIENCE_S) == some_answer()

    over(scenario)


def test_many_callers_get_their_own_answers(over):
    async def scenario(queue: Queue):
        worker, jobs = await queue.worker("a"), [new_job() for _ in range(30)]
        for job in jobs:
            await queue.caller.submit(job, timeout_s=PATIENCE_S)
        waits = [queue.caller.wait(job.id, timeout_s=PATIENCE_S) for job in jobs]
        waiting = asyncio.gather(*waits)
        for _ in jobs:
            lease = await lease_one(worker)
            await worker.answer(lease, some_answer(lease.job.id))
        answers = await waiting
        assert [answer.capabilities.concepts[0] for answer in answers] == [job.id for job in jobs]

    over(scenario)


def test_jobs_are_handed_out_in_order_and_in_batches_of_what_is_queued(over):
    async def scenario(queue: Queue):
        worker, jobs = await queue.worker("a"), [new_job() for _ in range(5)]
        assert await worker.lease(limit=8, wait_s=0.05) == []
        for job in jobs:
            await queue.caller.submit(job, timeout_s=PATIENCE_S)
        first = [await lease_one(worker)]
        rest = await worker.lease(limit=3, wait_s=1.0)
        last = await worker.lease(limit=3, wait_s=1.0)
        assert [lease.job for lease in [*first, *rest, *last]] == jobs

    over(scenario)


def test_a_job_of_a_silent_worker_goes_to_another_one(over):
    async def scenario(queue: Queue):
        silent, job = await queue.worker("silent"), new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        assert await lease_one(silent) is not None
        other = await queue.worker("other")
        lease = await lease_one(other)
        assert (lease.job, lease.attempt) == (job, 2)
        await other.answer(lease, some_answer())
        assert await queue.caller.wait(job.id, timeout_s=PATIENCE_S) == some_answer()

    over(scenario, lease_s=0.4)


def test_a_job_longer_than_its_lease_stays_with_its_live_worker(over):
    async def scenario(queue: Queue):
        busy, job = await queue.worker("busy"), new_job()
        other = await queue.worker("other")
        async with busy.alive(presence("busy")):
            await queue.caller.submit(job, timeout_s=PATIENCE_S)
            lease = await lease_one(busy)
            assert await lease_one(other, wait_s=2.0) is None
            assert await busy.answer(lease, some_answer())

    over(scenario, lease_s=0.9)


def test_a_job_that_kills_its_workers_becomes_a_dead_letter_and_a_failure(over):
    async def scenario(queue: Queue):
        job = new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        for attempt in (1, 2):
            worker = await queue.worker(f"victim-{attempt}")
            assert (await lease_one(worker)).attempt == attempt
        survivor = await queue.worker("survivor")
        waiting = asyncio.create_task(queue.caller.wait(job.id, timeout_s=PATIENCE_S))
        assert await lease_one(survivor, wait_s=1.0) is None
        failure = (await waiting).failure
        assert failure is not None
        assert isinstance(to_error(failure), JobFailed)
        assert await queue.dead_letters() == 1

    over(scenario, lease_s=0.3, max_attempts=2)


def test_a_wait_ends_at_its_deadline_and_cancels_the_job(over):
    async def scenario(queue: Queue):
        worker, job = await queue.worker("a"), new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        with pytest.raises(DeadlineExceeded, match=r"0\.1 s"):
            await queue.caller.wait(job.id, timeout_s=0.1)
        assert await lease_one(worker, wait_s=0.3) is None

    over(scenario)


def test_a_job_past_its_deadline_is_not_started(over):
    async def scenario(queue: Queue):
        worker, job = await queue.worker("a"), new_job()
        await queue.caller.submit(job, timeout_s=0.05)
        await asyncio.sleep(0.1)
        assert await lease_one(worker, wait_s=0.3) is None
        failure = (await queue.caller.wait(job.id, timeout_s=PATIENCE_S)).failure
        assert failure is not None
        assert isinstance(to_error(failure), DeadlineExceeded)

    over(scenario)


def test_a_cancelled_job_is_not_started(over):
    async def scenario(queue: Queue):
        worker, job, next_job = await queue.worker("a"), new_job(), new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        await queue.caller.submit(next_job, timeout_s=PATIENCE_S)
        await queue.caller.cancel(job.id)
        assert (await lease_one(worker)).job == next_job
        answer = await queue.caller.wait(job.id, timeout_s=PATIENCE_S)
        assert answer.failure.error == "JobCancelled"

    over(scenario)


def test_a_running_job_that_is_cancelled_is_unwanted_and_its_answer_void(over):
    async def scenario(queue: Queue):
        worker, job = await queue.worker("a"), new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        lease = await lease_one(worker)
        assert await worker.wanted(lease)
        await queue.caller.cancel(job.id)
        assert not await worker.wanted(lease)
        assert not await worker.answer(lease, some_answer())

    over(scenario)


def test_of_two_workers_that_finish_the_same_job_the_first_answers(over):
    async def scenario(queue: Queue):
        slow, job = await queue.worker("slow"), new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        lost = await lease_one(slow)
        quick = await queue.worker("quick")
        assert await quick.answer(await lease_one(quick), some_answer("quick"))
        assert not await slow.answer(lost, some_answer("slow"))
        assert await queue.caller.wait(job.id, timeout_s=PATIENCE_S) == some_answer("quick")

    over(scenario, lease_s=0.3)


def test_a_full_queue_refuses_and_says_when_to_come_back(over):
    async def scenario(queue: Queue):
        for _ in range(2):
            await queue.caller.submit(new_job(), timeout_s=PATIENCE_S)
        refused = new_job()
        with pytest.raises(QueueFull, match="2 jobs are queued, the limit is 2") as caught:
            await queue.caller.submit(refused, timeout_s=PATIENCE_S)
        assert caught.value.retry_after_s > 0
        with pytest.raises(JobFailed, match="no job"):
            await queue.caller.wait(refused.id, timeout_s=PATIENCE_S)

    over(scenario, max_depth=2)


def test_an_answered_job_makes_room(over):
    async def scenario(queue: Queue):
        worker = await queue.worker("a")
        await queue.caller.submit(new_job(), timeout_s=PATIENCE_S)
        await worker.answer(await lease_one(worker), some_answer())
        await queue.caller.submit(new_job(), timeout_s=PATIENCE_S)

    over(scenario, max_depth=1)


def test_a_job_submitted_twice_runs_once(over):
    async def scenario(queue: Queue):
        worker, job = await queue.worker("a"), new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        await worker.answer(await lease_one(worker), some_answer())
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        assert await lease_one(worker, wait_s=0.3) is None

    over(scenario)


def test_the_memory_queue_keeps_no_answer_that_was_delivered(prefix):
    transport = MemoryTransport(QueueSettings(prefix=prefix, poll_s=0.1))

    async def scenario():
        worker, job = transport.worker("a"), new_job()
        await transport.submit(job, timeout_s=PATIENCE_S)
        answer = some_answer()
        kept = weakref.ref(answer)
        await worker.answer(await lease_one(worker), answer)
        assert await transport.wait(job.id, timeout_s=PATIENCE_S) is answer
        del answer
        gc.collect()
        assert kept() is None
        # Its id is still known: the job does not run again.
        await transport.submit(job, timeout_s=PATIENCE_S)
        assert await lease_one(worker, wait_s=0.2) is None

    asyncio.run(scenario())


def test_waiting_for_an_unknown_job_fails_at_once(over):
    async def scenario(queue: Queue):
        with pytest.raises(JobFailed, match="no job"):
            await queue.caller.wait(new_job().id, timeout_s=PATIENCE_S)

    over(scenario)


def test_cancelling_an_unknown_job_changes_nothing(over):
    async def scenario(queue: Queue):
        await queue.caller.cancel(new_job().id)

    over(scenario)


def test_workers_are_seen_while_they_live(over):
    async def scenario(queue: Queue):
        worker = await queue.worker("a")
        assert await queue.caller.workers(timeout_s=PATIENCE_S) == ()
        async with worker.alive(presence("a")):
            assert await queue.caller.workers(timeout_s=PATIENCE_S) == (presence("a"),)
        assert await queue.caller.workers(timeout_s=PATIENCE_S) == ()

    over(scenario)


def test_a_worker_whose_job_hangs_is_not_seen_until_it_lets_it_go(over):
    async def scenario(queue: Queue):
        worker, job = await queue.worker("a"), new_job()
        async with worker.alive(presence("a")):
            await queue.caller.submit(job, timeout_s=0.1)
            lease = await lease_one(worker)
            with pytest.raises(DeadlineExceeded):
                await queue.caller.wait(job.id, timeout_s=0.1)
            # The caller has left, the model has not.
            await workers_seen(queue, ())
            assert not await worker.answer(lease, some_answer())
            await workers_seen(queue, (presence("a"),))

    over(scenario, lease_s=0.6, max_hold_s=0.3)


def test_a_job_that_hangs_goes_to_another_worker_although_its_own_lives(over):
    async def scenario(queue: Queue):
        hanging, job = await queue.worker("hanging"), new_job()
        other = await queue.worker("other")
        async with hanging.alive(presence("hanging")):
            await queue.caller.submit(job, timeout_s=PATIENCE_S)
            assert await lease_one(hanging) is not None
            assert (await lease_one(other)).attempt == 2

    over(scenario, lease_s=0.6, max_hold_s=0.5)


def test_a_worker_long_at_one_job_keeps_it_and_is_not_counted_on(over):
    async def scenario(queue: Queue):
        busy, job = await queue.worker("busy"), new_job()
        other = await queue.worker("other")
        async with busy.alive(presence("busy")):
            await queue.caller.submit(job, timeout_s=PATIENCE_S)
            lease = await lease_one(busy)
            await workers_seen(queue, ())
            assert await lease_one(other, wait_s=1.0) is None
            assert await busy.answer(lease, some_answer())
            await workers_seen(queue, (presence("busy"),))

    over(scenario, lease_s=0.6, max_step_s=0.3)


def test_a_queue_that_takes_jobs_says_so(over):
    async def scenario(queue: Queue):
        await queue.caller.probe(timeout_s=PATIENCE_S)

    over(scenario)


async def workers_seen(queue: Queue, expected: tuple[WorkerInfo, ...]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if await queue.caller.workers(timeout_s=PATIENCE_S) == expected:
                return
            await asyncio.sleep(0.02)


def test_a_job_handed_back_is_free_at_once_and_costs_no_attempt(over):
    async def scenario(queue: Queue):
        leaving, job = await queue.worker("leaving"), new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        await leaving.release(await lease_one(leaving))
        lease = await lease_one(await queue.worker("other"), wait_s=5.0)
        assert (lease.job, lease.attempt) == (job, 1)

    over(scenario, lease_s=30.0)


def test_a_job_taken_over_by_another_worker_cannot_be_handed_back(over):
    async def scenario(queue: Queue):
        slow, job = await queue.worker("slow"), new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        lost = await lease_one(slow)
        quick = await queue.worker("quick")
        async with quick.alive(presence("quick")):
            lease = await lease_one(quick)
            await slow.release(lost)
            assert await lease_one(slow, wait_s=0.5) is None
            assert await quick.answer(lease, some_answer())

    over(scenario, lease_s=0.8)


def test_anyone_can_look_for_an_answer_again_and_again(over):
    async def scenario(queue: Queue):
        worker, job = await queue.worker("a"), new_job()
        with pytest.raises(JobFailed, match="there is no job"):
            await queue.caller.look(job.id)
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        assert await queue.caller.look(job.id) is None
        await worker.answer(await lease_one(worker), some_answer())
        assert await queue.caller.look(job.id) == some_answer()
        assert await queue.caller.look(job.id) == some_answer()

    over(scenario)


def test_a_job_that_gets_on_is_told_whether_it_is_still_wanted(over):
    async def scenario(queue: Queue):
        worker, job = await queue.worker("a"), new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        lease = await lease_one(worker)
        assert await worker.progressed(lease)
        await queue.caller.cancel(job.id)
        assert not await worker.progressed(lease)

    over(scenario)


def test_attempts_before_the_last_progress_do_not_count(over):
    async def scenario(queue: Queue):
        job = new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        for number in range(6):
            worker = await queue.worker(f"w{number}")
            lease = await lease_one(worker)
            assert lease.attempt == (1 if number == 0 else 2)
            assert await worker.progressed(lease)
        assert await queue.dead_letters() == 0

    over(scenario, lease_s=0.2, max_attempts=2)


def test_a_job_that_gets_on_is_held_longer_than_one_job_may_be(over):
    async def scenario(queue: Queue):
        worker, job = await queue.worker("a"), new_job()
        async with worker.alive(presence("a")):
            await queue.caller.submit(job, timeout_s=PATIENCE_S)
            lease = await lease_one(worker)
            for _ in range(8):
                await asyncio.sleep(0.1)
                assert await worker.progressed(lease)
                assert [who.worker_id for who in await queue.caller.workers(timeout_s=1)] == ["a"]

    over(scenario, lease_s=0.3, max_hold_s=0.5)


def test_a_job_nobody_is_at_gets_its_answer_from_whoever_looks_after_its_deadline(over):
    async def scenario(queue: Queue):
        waits, runs = new_job(), new_job()
        worker = await queue.worker("a")
        async with worker.alive(presence("a")):
            await queue.caller.submit(runs, timeout_s=0.1)
            lease = await lease_one(worker)
            await queue.caller.submit(waits, timeout_s=0.1)
            await asyncio.sleep(0.2)
            # Whoever is at it will end it.
            assert await queue.caller.look(runs.id) is None
            found = await queue.caller.look(waits.id)
            assert found is not None
            assert found.failure is not None
            assert isinstance(to_error(found.failure), DeadlineExceeded)
            assert await queue.caller.look(waits.id) == found
            assert await worker.answer(lease, some_answer())
        assert await queue.caller.look(runs.id) == some_answer()

    over(scenario)


def test_a_job_that_gets_on_has_its_whole_time_again(over):
    async def scenario(queue: Queue):
        job, worker = new_job(), await queue.worker("a")
        await queue.caller.submit(job, timeout_s=0.5)
        lease = await lease_one(worker)
        for _ in range(3):
            await asyncio.sleep(0.3)
            assert await worker.progressed(lease)
        await worker.release(lease)
        assert await queue.caller.look(job.id) is None
        await asyncio.sleep(0.6)
        assert await queue.caller.look(job.id) is not None

    over(scenario)


def test_a_job_that_is_submitted_anew_is_another_one(over):
    async def scenario(queue: Queue):
        job, worker = new_job(), await queue.worker("a")
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        await worker.answer(await lease_one(worker), some_answer())
        assert await queue.caller.look(job.id) == some_answer()
        await queue.caller.submit(job, timeout_s=PATIENCE_S, anew=True)
        assert await queue.caller.look(job.id) is None
        assert await worker.answer(await lease_one(worker), some_answer("spleen"))
        assert await queue.caller.look(job.id) == some_answer("spleen")
        assert await lease_one(worker, wait_s=0.2) is None

    over(scenario)

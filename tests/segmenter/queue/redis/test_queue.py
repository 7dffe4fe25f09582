"""What only the Redis queue promises: it survives processes and server, and trusts no entry."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import pytest

from segmenter.contract import Prompt, SegmentRequest
from segmenter.errors import TransportDown
from segmenter.queue.redis.scripts import DEAD_LETTERS_TTL_S, Keys
from segmenter.redis_connection import open_client
from segmenter.services import HANG_EXIT_STATUS, SegmenterServices, open_redis
from segmenter.settings import QueueSettings, SegmenterSettings, WorkerSettings
from tests.doubles import BRIGHT, bright_square, decode_raw, encode_raw
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

DEADLINE_S = 30.0


def settings_for(prefix: str, **queue) -> SegmenterSettings:
    chosen = QueueSettings(prefix=prefix, **{"poll_s": 0.1, "lease_s": 1.0, **queue})
    return SegmenterSettings(queue=chosen, worker=WorkerSettings(max_batch=2))


def spawn(module: str, *arguments: object, **options) -> subprocess.Popen:
    command = [sys.executable, "-W", "error", "-m", f"tests.segmenter.{module}"]
    return subprocess.Popen([*command, *map(str, arguments)], **options)


@contextmanager
def worker_process(url: str, settings: SegmenterSettings, delay_s: float = 0.0) -> Iterator:
    process = spawn("worker_process", url, settings.model_dump_json(), delay_s)
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(PATIENCE_S) in (0, -9)


async def workers_alive(services: SegmenterServices, count: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if len(await services.segmenter.workers(timeout_s=PATIENCE_S)) == count:
                return
            await asyncio.sleep(0.05)


async def upload(services: SegmenterServices) -> SegmentRequest:
    ref = await services.images.put(encode_raw(bright_square()))
    return SegmentRequest(image=ref, prompts=(Prompt(text=BRIGHT),))


def test_a_job_of_a_killed_worker_process_is_answered_by_another(redis_server, prefix):
    settings = settings_for(prefix)

    async def scenario():
        async with open_redis(redis_server.url, decode_raw, settings) as services:
            request = await upload(services)
            with worker_process(redis_server.url, settings, delay_s=60) as victim:
                await workers_alive(services, 1)
                call = asyncio.create_task(
                    services.segmenter.segment(request, timeout_s=DEADLINE_S)
                )
                await state_of_some_job(redis_server.url, settings, b"running")
                with worker_process(redis_server.url, settings):
                    await workers_alive(services, 2)
                    victim.kill()
                    assert (await call).results[0].masks[0].area_px == 64

    asyncio.run(scenario())


async def out_of_the_way(worker: subprocess.Popen, settings: SegmenterSettings) -> None:
    """Let a worker stand still that is to go on at once when it is needed."""
    worker.send_signal(signal.SIGSTOP)
    # The server still answers the read it was at.
    await asyncio.sleep(2 * settings.queue.poll_s)


async def state_of_some_job(url: str, settings: SegmenterSettings, state: bytes) -> None:
    async with asyncio.timeout(DEADLINE_S), open_client(url) as client:
        while True:
            for key in await client.keys(Keys(settings.queue.prefix).job("*")):
                if await client.hget(key, "state") == state:
                    return
            await asyncio.sleep(0.02)


def test_two_api_processes_and_two_workers_share_one_redis(redis_server, prefix):
    settings = settings_for(prefix, lease_s=10.0)
    with (
        worker_process(redis_server.url, settings, delay_s=0.02),
        worker_process(redis_server.url, settings, delay_s=0.02),
    ):

        async def ready():
            async with open_redis(redis_server.url, decode_raw, settings) as services:
                await workers_alive(services, 2)

        asyncio.run(ready())
        url, text = redis_server.url, settings.model_dump_json()
        pipe = {"stdout": subprocess.PIPE, "text": True}
        callers = [spawn("api_process", url, text, shade, 20, **pipe) for shade in (200, 250)]
        assert [caller.communicate(timeout=DEADLINE_S)[0].strip() for caller in callers] == [
            "20"
        ] * 2


def test_a_stopped_worker_process_hands_its_jobs_to_another(redis_server, prefix):
    settings = settings_for(prefix, lease_s=20.0)

    async def scenario():
        async with open_redis(redis_server.url, decode_raw, settings) as services:
            request = await upload(services)
            with (
                worker_process(redis_server.url, settings) as other,
                worker_process(redis_server.url, settings, delay_s=1.0) as leaving,
            ):
                await workers_alive(services, 2)
                await out_of_the_way(other, settings)
                calls = [services.segmenter.segment(request, timeout_s=15.0) for _ in range(4)]
                waiting = asyncio.gather(*calls)
                await state_of_some_job(redis_server.url, settings, b"running")
                leaving.terminate()
                other.send_signal(signal.SIGCONT)
                # Well before the first worker's lease would lapse.
                assert len(await waiting) == 4
                assert leaving.wait(PATIENCE_S) == 0

    asyncio.run(scenario())


def test_callers_do_not_notice_that_redis_was_away(durable_redis, prefix):
    settings = settings_for(prefix, lease_s=5.0)

    async def scenario():
        async with open_redis(durable_redis.url, decode_raw, settings) as services:
            request = await upload(services)
            with worker_process(durable_redis.url, settings, delay_s=0.2):
                await workers_alive(services, 1)
                before = [ask(services, request) for _ in range(3)]
                await asyncio.sleep(0.3)
                await asyncio.to_thread(durable_redis.kill)
                within = [ask(services, request) for _ in range(3)]
                await asyncio.sleep(1.0)
                await asyncio.to_thread(durable_redis.start)
                after = [ask(services, request) for _ in range(3)]
                results = await asyncio.gather(*before, *within, *after)
                assert [result.results[0].masks[0].area_px for result in results] == [64] * 9

    asyncio.run(scenario())


def ask(services: SegmenterServices, request: SegmentRequest) -> asyncio.Task:
    return asyncio.create_task(services.segmenter.segment(request, timeout_s=DEADLINE_S))


def test_a_caller_learns_that_redis_stays_away(durable_redis, prefix):
    async def scenario(queue: Queue):
        job = new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        durable_redis.kill()
        with pytest.raises(TransportDown, match="Redis was out"):
            await queue.caller.submit(new_job(), timeout_s=0.3)
        with pytest.raises(TransportDown, match="Redis was out"):
            await queue.caller.wait(job.id, timeout_s=0.3)
        with pytest.raises(TransportDown, match="Redis was out"):
            await queue.caller.workers(timeout_s=0.3)
        durable_redis.start()

    settings = QueueSettings(prefix=prefix, poll_s=0.1)
    run(scenario, lambda: redis_queue(durable_redis.url, settings))


def test_an_answer_whose_notice_was_lost_is_found_after_the_outage(durable_redis, prefix):
    settings = QueueSettings(prefix=prefix, poll_s=0.1)

    async def scenario(queue: Queue):
        worker, job = await queue.worker("a"), new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        waiting = asyncio.create_task(queue.caller.wait(job.id, timeout_s=PATIENCE_S))
        assert await lease_one(worker) is not None
        async with open_client(durable_redis.url) as client:
            # As if the server had kept the answer and lost the notice.
            await client.set(Keys(prefix).answer(job.id), some_answer().model_dump_json())
        durable_redis.kill()
        await asyncio.sleep(0.3)
        durable_redis.start()
        assert await waiting == some_answer()

    run(scenario, lambda: redis_queue(durable_redis.url, settings))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"id": "x", "body": "{}", "caller": "y"}, id="ids that are no ids"),
        pytest.param({"nothing": "known"}, id="foreign fields"),
        pytest.param({"id": b"\xff\xfe", "body": b"\x80\x04pickle"}, id="bytes that are no text"),
        pytest.param({"id": "0" * 32, "body": "{", "caller": "0" * 32}, id="broken JSON"),
    ],
)
def test_a_poisoned_entry_is_buried_and_the_next_job_runs(redis_server, prefix, fields):
    async def scenario(queue: Queue):
        worker, job = await queue.worker("a"), new_job()
        async with open_client(redis_server.url) as client:
            await client.xadd(Keys(prefix).queue, fields)
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        assert (await lease_one(worker)).job == job
        assert await queue.dead_letters() == 1

    run(scenario, lambda: redis_queue(redis_server.url, QueueSettings(prefix=prefix, poll_s=0.1)))


def test_what_a_dead_worker_held_is_taken_over_one_by_one(redis_server, prefix):
    """What ended it is among them, and must not take the others along a second time."""

    async def scenario(queue: Queue) -> None:
        jobs = [new_job() for _ in range(3)]
        for job in jobs:
            await queue.caller.submit(job, timeout_s=PATIENCE_S)
        dead, held = await queue.worker("dead"), 0
        while held < len(jobs):
            held += len(await dead.lease(limit=16, wait_s=0.1))
        other = await queue.worker("other")
        taken: list[str] = []
        while len(taken) < len(jobs):
            leases = await other.lease(limit=16, wait_s=0.1)
            assert len(leases) <= 1
            for lease in leases:
                assert lease.attempt == 2
                await other.answer(lease, some_answer())
                taken.append(lease.job.id)
        assert sorted(taken) == sorted(job.id for job in jobs)

    settings = QueueSettings(prefix=prefix, poll_s=0.1, lease_s=0.4)
    run(scenario, lambda: redis_queue(redis_server.url, settings))


def test_dead_letters_hold_requests_and_do_not_stay_for_ever(redis_server, prefix):
    async def scenario(queue: Queue):
        worker = await queue.worker("a")
        async with open_client(redis_server.url) as client:
            await client.xadd(Keys(prefix).queue, {"nothing": "known"})
            assert await lease_one(worker, wait_s=0.3) is None
            assert await queue.dead_letters() == 1
            assert 0 < await client.ttl(Keys(prefix).dead_letters) <= DEAD_LETTERS_TTL_S

    run(scenario, lambda: redis_queue(redis_server.url, QueueSettings(prefix=prefix, poll_s=0.1)))


def test_a_job_of_another_schema_version_fails_at_its_caller(redis_server, prefix):
    async def scenario(queue: Queue):
        worker, job = await queue.worker("a"), new_job()
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        async with open_client(redis_server.url) as client:
            entries: Any = await client.xrange(Keys(prefix).queue)
            [(entry_id, fields)] = entries
            body = fields[b"body"].replace(b'"version":1', b'"version":2')
            await client.xdel(Keys(prefix).queue, entry_id)
            await client.xadd(Keys(prefix).queue, {**fields, b"body": body})
        waiting = asyncio.create_task(queue.caller.wait(job.id, timeout_s=PATIENCE_S))
        assert await lease_one(worker, wait_s=0.3) is None
        assert (await waiting).failure.message == "no job of version 1 (1 errors)"

    run(scenario, lambda: redis_queue(redis_server.url, QueueSettings(prefix=prefix, poll_s=0.1)))


def test_a_deleted_stream_does_not_end_a_waiting_worker(redis_server, prefix):
    async def scenario(queue: Queue):
        worker, job = await queue.worker("a"), new_job()
        await worker.lease(limit=1, wait_s=0.05)
        reading = asyncio.create_task(worker.lease(limit=1, wait_s=1.0))
        await asyncio.sleep(0.1)
        async with open_client(redis_server.url) as client:
            await client.delete(Keys(prefix).queue)
        assert await reading == []
        await queue.caller.submit(job, timeout_s=PATIENCE_S)
        assert (await lease_one(worker)).job == job

    run(scenario, lambda: redis_queue(redis_server.url, QueueSettings(prefix=prefix, poll_s=1.0)))


def test_answered_jobs_leave_nothing_in_the_stream(redis_server, prefix):
    async def scenario(queue: Queue):
        worker = await queue.worker("a")
        for _ in range(3):
            await queue.caller.submit(new_job(), timeout_s=PATIENCE_S)
            await worker.answer(await lease_one(worker), some_answer())
        async with open_client(redis_server.url) as client:
            assert await client.xlen(Keys(prefix).queue) == 0
            lives = [await client.ttl(key) for key in await client.keys(Keys(prefix).job("*"))]
        assert len(lives) == 3
        assert all(0 < life <= 3600 for life in lives)

    run(scenario, lambda: redis_queue(redis_server.url, QueueSettings(prefix=prefix, poll_s=0.1)))


def test_a_job_that_hangs_is_taken_from_its_worker_although_that_lives(redis_server, prefix):
    async def scenario(queue: Queue):
        hanging, job = await queue.worker("hanging"), new_job()
        other = await queue.worker("other")
        async with hanging.alive(presence("hanging")):
            await queue.caller.submit(job, timeout_s=PATIENCE_S)
            await lease_one(hanging)
            assert (await lease_one(other)).attempt == 2
            await asyncio.sleep(0.05)
            assert await queue.caller.workers(timeout_s=PATIENCE_S) == ()

    settings = QueueSettings(prefix=prefix, poll_s=0.1, lease_s=0.6, max_hold_s=0.5)
    run(scenario, lambda: redis_queue(redis_server.url, settings))


def test_a_worker_process_whose_model_hangs_ends_and_its_job_goes_to_another(redis_server, prefix):
    settings = settings_for(prefix, max_hold_s=0.6)

    async def scenario():
        async with open_redis(redis_server.url, decode_raw, settings) as services:
            request = await upload(services)
            with worker_process(redis_server.url, settings) as other:
                await workers_alive(services, 1)
                await out_of_the_way(other, settings)
                await workers_alive(services, 0)
                hanging = spawn("worker_process", redis_server.url, settings.model_dump_json(), 60)
                await workers_alive(services, 1)
                call = ask(services, request)
                assert await asyncio.to_thread(hanging.wait, DEADLINE_S) == HANG_EXIT_STATUS
                other.send_signal(signal.SIGCONT)
                assert (await call).results[0].masks[0].area_px == 64

    asyncio.run(scenario())


def test_a_batch_that_makes_progress_does_not_hang(redis_server, prefix):
    async def scenario(queue: Queue):
        worker = await queue.worker("a")
        async with worker.alive(presence("a")):
            for _ in range(4):
                await queue.caller.submit(new_job(), timeout_s=PATIENCE_S)
            for lease in await worker.lease(limit=4, wait_s=1.0):
                await asyncio.sleep(0.6)
                await worker.answer(lease, some_answer())
                # Together they take longer than one may.
                assert await queue.caller.workers(timeout_s=PATIENCE_S) == (presence("a"),)

    settings = QueueSettings(prefix=prefix, poll_s=0.1, lease_s=0.6, max_hold_s=1.0)
    run(scenario, lambda: redis_queue(redis_server.url, settings))


def test_a_job_that_could_not_be_looked_up_is_let_go_and_comes_again(durable_redis, prefix):
    async def scenario(queue: Queue):
        worker, job = await queue.worker("a"), new_job()
        async with worker.alive(presence("a")), open_client(durable_redis.url) as client:
            await queue.caller.submit(job, timeout_s=PATIENCE_S)
            lease = await lease_one(worker)
            await client.execute_command("ACL", "SETUSER", "default", "-exists")
            with pytest.raises(TransportDown):
                await worker.wanted(lease)
            await client.execute_command("ACL", "SETUSER", "default", "+exists")
            assert (await lease_one(worker, wait_s=3.0)).attempt == 2

    settings = QueueSettings(prefix=prefix, poll_s=0.1, lease_s=0.6)
    run(scenario, lambda: redis_queue(durable_redis.url, settings))


def test_a_worker_that_let_a_late_job_lapse_is_seen_again(redis_server, prefix):
    async def scenario(queue: Queue):
        worker = await queue.worker("a")
        async with worker.alive(presence("a")):
            await queue.caller.submit(new_job(), timeout_s=0.1)
            assert await lease_one(worker) is not None
            # Held too long, so it lapses, comes again and is refused for its deadline.
            assert await lease_one(worker, wait_s=2.0) is None
            assert await queue.caller.workers(timeout_s=PATIENCE_S) == (presence("a"),)

    settings = QueueSettings(prefix=prefix, poll_s=0.1, lease_s=0.6, max_hold_s=0.3)
    run(scenario, lambda: redis_queue(redis_server.url, settings))


def test_a_callers_connections_close_with_it(redis_server, prefix):
    async def scenario():
        async with open_client(redis_server.url) as client:
            async with AsyncExitStack() as stack:
                settings = settings_for(prefix)
                opened = open_redis(redis_server.url, decode_raw, settings)
                services = await stack.enter_async_context(opened)
                await services.segmenter.workers(timeout_s=PATIENCE_S)
                within = len(await client.client_list())
            assert len(await client.client_list()) < within

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_worker_whose_interpreter_is_crowded_keeps_its_lease(redis_server, prefix):
    over = threading.Event()
    crowd = [threading.Thread(target=spin, args=[over]) for _ in range(12)]

    async def scenario(queue: Queue):
        busy, job = await queue.worker("busy"), new_job()
        other = await queue.worker("other")
        async with busy.alive(presence("busy")):
            await queue.caller.submit(job, timeout_s=PATIENCE_S)
            lease = await lease_one(busy)
            for thread in crowd:
                thread.start()
            # Twice the lease that a deployment has.
            assert await lease_one(other, wait_s=2 * QueueSettings().lease_s) is None
            assert await queue.caller.workers(timeout_s=PATIENCE_S) == (presence("busy"),)
            over.set()
            assert await busy.answer(lease, some_answer())

    try:
        run(scenario, lambda: redis_queue(redis_server.url, QueueSettings(prefix=prefix)))
    finally:
        over.set()
        for thread in crowd:
            thread.join()


def spin(over: threading.Event) -> None:
    while not over.is_set():
        sum(range(1000))

"""Callers that wait while workers come and go: the call ends within seconds, or goes to another."""

import asyncio
import signal
import time
from contextlib import AsyncExitStack

import pytest

from segmenter.client import LOOK_EVERY_S, MISSED_S, QueuedSegmenter
from segmenter.contract import Prompt, SegmentRequest
from segmenter.errors import NoWorker
from segmenter.queue.memory import MemoryTransport
from segmenter.services import SegmenterServices, open_redis
from segmenter.settings import QueueSettings, SegmenterSettings
from tests.doubles import BRIGHT, bright_square, decode_raw, encode_raw
from tests.segmenter.queue.queues import lease_one, presence
from tests.segmenter.queue.redis.test_queue import (
    spawn,
    state_of_some_job,
    worker_process,
    workers_alive,
)

# Far below the deadline of a request, far above what a busy machine needs.
SOON_S = 45.0
TIMEOUT_S = 120.0
LEASE_S = QueueSettings().lease_s


async def upload(services: SegmenterServices) -> SegmentRequest:
    ref = await services.images.put(encode_raw(bright_square()))
    return SegmentRequest(image=ref, prompts=(Prompt(text=BRIGHT),))


def test_a_worker_inside_that_ends_fails_its_callers_and_their_jobs():
    async def scenario():
        transport = MemoryTransport(QueueSettings(poll_s=0.05))
        segmenter, worker = QueuedSegmenter(transport), transport.worker("inside")
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(worker.alive(presence("inside")))
            call = asyncio.create_task(segmenter.capabilities(timeout_s=TIMEOUT_S))
            lease = await lease_one(worker)
        started = time.monotonic()
        with pytest.raises(NoWorker):
            await call
        assert MISSED_S < time.monotonic() - started < SOON_S
        assert not await worker.wanted(lease)

    asyncio.run(scenario())


def test_a_worker_that_comes_back_in_time_is_waited_for():
    async def scenario():
        transport = MemoryTransport(QueueSettings(poll_s=0.05, lease_s=0.1))
        segmenter = QueuedSegmenter(transport)
        async with transport.worker("first").alive(presence("first")):
            call = asyncio.create_task(segmenter.capabilities(timeout_s=TIMEOUT_S))
            await asyncio.sleep(0.1)
        await asyncio.sleep(MISSED_S / 2)
        async with transport.worker("second").alive(presence("second")):
            await asyncio.sleep(MISSED_S / 2 + 2 * LOOK_EVERY_S)
            assert not call.done()
        with pytest.raises(NoWorker):
            await call

    asyncio.run(scenario())


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
def test_a_call_whose_only_worker_is_gone_fails_within_seconds(redis_server, prefix, sign):
    settings = SegmenterSettings(queue=QueueSettings(prefix=prefix, poll_s=0.1))

    async def scenario():
        async with open_redis(redis_server.url, decode_raw, settings) as services:
            request = await upload(services)
            worker = spawn("worker_process", redis_server.url, settings.model_dump_json(), 60)
            try:
                await workers_alive(services, 1)
                call = asyncio.create_task(services.segmenter.segment(request, timeout_s=TIMEOUT_S))
                await state_of_some_job(redis_server.url, settings, b"running")
                worker.send_signal(sign)
                started = time.monotonic()
                with pytest.raises(NoWorker):
                    await call
                assert time.monotonic() - started < SOON_S
                assert await services.segmenter.workers(timeout_s=1.0) == ()
                await state_of_some_job(redis_server.url, settings, b"answered")
            finally:
                worker.kill()
                worker.wait()

    asyncio.run(scenario())


def test_a_call_whose_worker_stands_still_goes_to_another_within_seconds(redis_server, prefix):
    settings = SegmenterSettings(queue=QueueSettings(prefix=prefix, poll_s=0.1))

    async def scenario():
        async with open_redis(redis_server.url, decode_raw, settings) as services:
            request = await upload(services)
            still = spawn("worker_process", redis_server.url, settings.model_dump_json(), 60)
            try:
                await workers_alive(services, 1)
                call = asyncio.create_task(services.segmenter.segment(request, timeout_s=TIMEOUT_S))
                await state_of_some_job(redis_server.url, settings, b"running")
                with worker_process(redis_server.url, settings):
                    await workers_alive(services, 2)
                    still.send_signal(signal.SIGSTOP)
                    started = time.monotonic()
                    assert (await call).results[0].masks[0].area_px == 64
                    assert time.monotonic() - started < SOON_S
            finally:
                still.kill()
                still.wait()

    asyncio.run(scenario())

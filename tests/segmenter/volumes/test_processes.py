"""Volume jobs over a real Redis and real worker processes: a dead worker costs time, no frame."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest

from segmenter.contract import Prompt, SegmentRequest
from segmenter.redis_connection import open_client
from segmenter.services import SegmenterServices, open_redis
from segmenter.settings import QueueSettings, SegmenterSettings
from segmenter.volumes.contract import VolumeRequest, VolumeStatus
from tests.doubles import BRIGHT, bright_square, decode_raw, encode_raw
from tests.segmenter.volumes.sequences import encode_frames, moving_square, open_raw, read_labels

PATIENCE_S = 60.0
PIXELS = moving_square(14)


def settings_for(prefix: str, **queue) -> SegmenterSettings:
    return SegmenterSettings(
        queue=QueueSettings(prefix=prefix, **{"poll_s": 0.1, "lease_s": 1.0, **queue})
    )


@contextmanager
def worker(
    url: str, settings: SegmenterSettings, notes: Path, *, delay_s: float
) -> Iterator[subprocess.Popen]:
    """Run a worker process; it must end well unless it was killed."""
    command = [sys.executable, "-W", "error", "-m", "tests.segmenter.volumes.worker_process"]
    command += [url, settings.model_dump_json(), str(delay_s), str(notes)]
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(PATIENCE_S) in (0, -signal.SIGKILL)


def over(server, settings: SegmenterSettings, scenario):
    async def within():
        opened = open_redis(server.url, decode_raw, settings, opener=open_raw)
        async with asyncio.timeout(PATIENCE_S), opened as services:
            return await scenario(services)

    return asyncio.run(within())


async def begin(services: SegmenterServices) -> str:
    stream = BytesIO(encode_frames(PIXELS))

    async def read(size: int) -> bytes:
        return stream.read(size)

    request = VolumeRequest(text=BRIGHT)
    return (await services.volumes.create(uuid4().hex, [read], request)).record.public_id


async def until(
    services: SegmenterServices, job: str, state: str, *, done: int = 0
) -> VolumeStatus:
    while True:
        status = await services.volumes.status(job)
        if status.state == state and status.done >= done:
            return status
        await asyncio.sleep(0.02)


async def begun(notes: Path) -> None:
    while True:
        if await asyncio.to_thread(notes.exists):
            return
        await asyncio.sleep(0.02)


def frames_in(notes: Path) -> list[int]:
    """Return the frames that were begun, in order; the square of frame n starts at n + 2."""
    return [int(line) - 2 for line in notes.read_text().split()]


def test_a_worker_killed_in_the_middle_of_a_frame_loses_that_frame_only(
    redis_server, prefix, tmp_path
):
    settings, first, second = settings_for(prefix), tmp_path / "first", tmp_path / "second"

    async def scenario(services):
        job = await begin(services)
        with worker(redis_server.url, settings, first, delay_s=0.2) as victim:
            await until(services, job, "running", done=5)
            victim.kill()
            victim.wait(PATIENCE_S)
        left = await services.volumes.status(job)
        with worker(redis_server.url, settings, second, delay_s=0.0):
            status = await until(services, job, "done")
        return left.done, status, await services.volumes.label_map(job)

    done, status, label_map = over(redis_server, settings, scenario)
    begun = frames_in(first)
    assert begun == list(range(len(begun)))
    # The frame it was at is done again; of those that are kept none is.
    assert done in (len(begun) - 1, len(begun))
    assert frames_in(second) == list(range(done, len(PIXELS)))
    assert (read_labels(label_map, PIXELS.shape[:3]) == (PIXELS[..., 0] == 255)).all()
    [found] = status.result.objects
    assert (found.frames, found.gaps) == (len(PIXELS), ())


def test_a_job_outlives_more_killed_workers_than_one_job_may_kill(redis_server, prefix, tmp_path):
    settings = settings_for(prefix, max_attempts=2)

    async def scenario(services):
        job = await begin(services)
        for done in (2, 4, 6, 8):
            with worker(redis_server.url, settings, tmp_path / "n", delay_s=0.1) as victim:
                await until(services, job, "running", done=done)
                victim.kill()
                victim.wait(PATIENCE_S)
        with worker(redis_server.url, settings, tmp_path / "n", delay_s=0.0):
            return await until(services, job, "done")

    assert over(redis_server, settings, scenario).result.objects[0].frames == len(PIXELS)


def test_a_stopped_worker_hands_its_volume_to_another_at_once(redis_server, prefix, tmp_path):
    settings, notes = settings_for(prefix, lease_s=30.0), tmp_path / "notes"

    async def scenario(services):
        job = await begin(services)
        with worker(redis_server.url, settings, notes, delay_s=0.1):
            await until(services, job, "running", done=3)
        with worker(redis_server.url, settings, notes, delay_s=0.0):
            return await until(services, job, "done")

    assert over(redis_server, settings, scenario).done == len(PIXELS)
    # It finished the frame it was at, and kept it.
    assert frames_in(notes) == list(range(len(PIXELS)))


def test_a_volume_goes_on_after_an_outage_longer_than_its_lease(durable_redis, prefix, tmp_path):
    settings, notes = settings_for(prefix), tmp_path / "notes"

    async def scenario(services):
        job = await begin(services)
        with worker(durable_redis.url, settings, notes, delay_s=0.2) as only:
            await until(services, job, "running", done=3)
            durable_redis.kill()
            await asyncio.sleep(2.5)
            durable_redis.start()
            status = await until(services, job, "done")
            assert only.poll() is None
        return status

    assert over(durable_redis, settings, scenario).result.objects[0].frames == len(PIXELS)
    # No frame was done twice but, at most, the one during which Redis went.
    assert len(frames_in(notes)) <= len(PIXELS) + 1


def test_cancelling_reaches_a_worker_in_another_process(redis_server, prefix, tmp_path):
    settings, notes = settings_for(prefix), tmp_path / "notes"

    async def scenario(services):
        job = await begin(services)
        with worker(redis_server.url, settings, notes, delay_s=0.2):
            await until(services, job, "running", done=2)
            status = await services.volumes.cancel(job)
            ref = await services.images.put(encode_raw(bright_square()))
            request = SegmentRequest(image=ref, prompts=(Prompt(text=BRIGHT),))
            # The worker is free again: this would wait for all frames otherwise.
            await services.segmenter.segment(request, timeout_s=PATIENCE_S)
            await asyncio.sleep(0.5)
        return status

    assert over(redis_server, settings, scenario).state == "cancelled"
    assert len(frames_in(notes)) <= 6


def test_images_and_a_volume_share_one_worker(redis_server, prefix, tmp_path):
    settings = settings_for(prefix)

    async def scenario(services):
        job = await begin(services)
        with worker(redis_server.url, settings, tmp_path / "notes", delay_s=0.1):
            await until(services, job, "running", done=1)
            ref = await services.images.put(encode_raw(bright_square()))
            request = SegmentRequest(image=ref, prompts=(Prompt(text=BRIGHT),))
            calls = [services.segmenter.segment(request, timeout_s=PATIENCE_S) for _ in range(4)]
            await asyncio.gather(*calls)
            status = await services.volumes.status(job)
            await until(services, job, "done")
        return status.state, status.done

    state, done = over(redis_server, settings, scenario)
    assert state == "running"
    assert done < len(PIXELS)


def test_a_worker_that_is_killed_by_a_frame_gives_up_after_its_attempts(
    redis_server, prefix, tmp_path
):
    settings = settings_for(prefix, max_attempts=2)

    async def scenario(services):
        job = await begin(services)
        for _ in range(2):
            notes = tmp_path / uuid4().hex
            with worker(redis_server.url, settings, notes, delay_s=60) as victim:
                await begun(notes)
                victim.kill()
                victim.wait(PATIENCE_S)
        with worker(redis_server.url, settings, tmp_path / "last", delay_s=0.0):
            return await until(services, job, "failed")

    status = over(redis_server, settings, scenario)
    assert (status.done, status.failure.error) == (0, "JobFailed")
    assert "2 attempts" in status.failure.message


def test_an_erased_job_leaves_no_key_behind(redis_server, prefix, tmp_path):
    settings = settings_for(prefix)

    async def scenario(services):
        with worker(redis_server.url, settings, tmp_path / "notes", delay_s=0.0):
            job = await begin(services)
            await until(services, job, "done")
            await services.volumes.erase(job)
        async with open_client(redis_server.url) as client:
            return [key.decode() for key in await client.keys(f"*{prefix}*:volume:*")]

    assert over(redis_server, settings, scenario) == []


@pytest.mark.parametrize("count", [1, 3])
def test_messages_stay_small_however_long_the_sequence(redis_server, prefix, count):
    settings = settings_for(prefix)

    async def scenario(services):
        for _ in range(count):
            await begin(services)
        async with open_client(redis_server.url) as client:
            entries = await client.xrange(f"{{{prefix}}}:queue")
        return [len(fields[b"body"]) for _, fields in entries]

    sizes = over(redis_server, settings, scenario)
    assert len(sizes) == count
    assert max(sizes) < 200

"""Volume jobs from upload to label map, in one process, over the in-process queue."""

import asyncio
import threading
import time
from io import BytesIO
from uuid import uuid4

import numpy as np
import pytest

from segmenter.contract import Box, FrameBox, Prompt, SegmentRequest
from segmenter.errors import (
    BrokenImage,
    ImageTooLarge,
    InvalidPrompt,
    VolumeNotDone,
    VolumeNotFound,
)
from segmenter.masks import rle
from segmenter.services import SegmenterServices, open_embedded
from segmenter.settings import QueueSettings, SegmenterSettings, VolumeSettings
from segmenter.volumes.contract import VolumeRequest, VolumeStatus
from segmenter.volumes.store import PIECE_BYTES, ReadSome
from tests.doubles import (
    BRIGHT,
    NOTHING,
    ThresholdBackend,
    bright_square,
    decode_raw,
    encode_raw,
)
from tests.segmenter.volumes.sequences import (
    MAX_FRAMES,
    encode_frames,
    moving_square,
    open_raw,
    read_labels,
)

PATIENCE_S = 20.0
SETTINGS = SegmenterSettings(queue=QueueSettings(poll_s=0.05))
WANTED = VolumeRequest(text=BRIGHT)


def run_with(backend, scenario, settings: SegmenterSettings = SETTINGS):
    async def within():
        opened = open_embedded(backend, decode_raw, settings, opener=open_raw)
        async with asyncio.timeout(PATIENCE_S), opened as services:
            return await scenario(services)

    return asyncio.run(within())


def reader(content: bytes) -> ReadSome:
    stream = BytesIO(content)

    async def read(size: int) -> bytes:
        return stream.read(size)

    return read


async def begin(
    services: SegmenterServices, pixels: np.ndarray, request: VolumeRequest = WANTED
) -> str:
    taken = await services.volumes.create(uuid4().hex, [reader(encode_frames(pixels))], request)
    return taken.record.public_id


async def until(services: SegmenterServices, job: str, *states: str, done: int = 0) -> VolumeStatus:
    while True:
        status = await services.volumes.status(job)
        if status.state in states and status.done >= done:
            return status
        await asyncio.sleep(0.01)


def test_a_volume_is_segmented_frame_by_frame_into_one_object_and_a_label_map():
    pixels = moving_square(6)

    async def scenario(services):
        job = await begin(services, pixels)
        status = await until(services, job, "done")
        frames = await services.volumes.frames(job, 0, 99)
        return status, frames, await services.volumes.label_map(job)

    status, frames, label_map = run_with(ThresholdBackend(), scenario)
    assert (status.done, status.record.total) == (6, 6)
    [found] = status.result.objects
    assert (found.first, found.last, found.frames, found.gaps, found.single) == (0, 5, 6, (), False)
    # 6 frames of 64 voxels of 2 x 1.5 x 5 mm.
    assert (found.voxels, found.volume_ml) == (384, pytest.approx(5.76))
    # The first corner of the first frame and the last of the last: 13 columns, 8 rows, 6 frames.
    assert found.longest.mm == pytest.approx(np.sqrt(19.5**2 + 16**2 + 30**2))
    assert (found.longest.start[2], found.longest.end[2]) == (0, 6)
    labels = read_labels(label_map, pixels.shape[:3])
    assert (labels == (pixels[..., 0] == 255)).all()
    assert [frame.index for frame in frames] == list(range(6))
    for frame in frames:
        [shown] = frame.objects
        assert (rle.decode(shown.rle) == (labels[frame.index] == 1)).all()
        assert (shown.object_id, shown.joint) == (1, 0.9)


def test_a_part_of_the_frames_can_be_asked_for_and_the_rest_stays_empty():
    pixels = moving_square(8)

    async def scenario(services):
        job = await begin(services, pixels, VolumeRequest(text=BRIGHT, first=2, last=4))
        status = await until(services, job, "done")
        frames = await services.volumes.frames(job, 4, 7)
        return status, frames, await services.volumes.label_map(job)

    status, frames, label_map = run_with(ThresholdBackend(), scenario)
    assert (status.done, [frame.index for frame in frames]) == (3, [4])
    labels = read_labels(label_map, pixels.shape[:3])
    assert [int((labels[i] > 0).sum()) for i in range(8)] == [0, 0, 64, 64, 64, 0, 0, 0]


def test_nothing_found_is_a_result_without_objects_and_no_failure():
    async def scenario(services):
        job = await begin(services, moving_square(3), VolumeRequest(text=NOTHING))
        return await until(services, job, "done")

    result = run_with(ThresholdBackend(), scenario).result
    assert (result.objects, result.known, result.concept) == ((), True, NOTHING)


def test_an_unknown_concept_is_said_to_be_unknown():
    async def scenario(services):
        job = await begin(services, moving_square(2), VolumeRequest(text="liver"))
        return await until(services, job, "done")

    result = run_with(ThresholdBackend(), scenario).result
    assert not result.known
    assert "liver" in result.reason


def test_a_box_is_followed_both_ways_and_other_objects_are_left_out():
    # A second square, above the first one and in the same column, is on every frame.
    pixels = moving_square(7)
    pixels[:, 0:6] = pixels[:, 8:14]

    async def scenario(services):
        box = Box(x0=5, y0=8, x1=13, y1=16)
        job = await begin(services, pixels, VolumeRequest(box=FrameBox(frame=3, box=box)))
        status = await until(services, job, "done")
        return status, await services.volumes.frames(job, 0, 6)

    status, frames = run_with(ThresholdBackend(), scenario)
    [found] = status.result.objects
    assert (found.first, found.last) == (0, 6)
    # The box does not grow: one column is lost with each frame, the square moves out of it.
    areas = [frame.objects[0].area_px for frame in frames]
    assert areas == [40, 48, 56, 64, 56, 48, 40]
    assert all(frame.objects[0].box.y0 == 8 for frame in frames)


def test_an_object_that_is_lost_is_not_followed_any_further():
    pixels = moving_square(5, step=0)
    pixels[3:] = 0

    async def scenario(services):
        box = Box(x0=0, y0=4, x1=14, y1=20)
        job = await begin(services, pixels, VolumeRequest(box=FrameBox(frame=0, box=box)))
        await until(services, job, "done")
        return await services.volumes.frames(job, 0, 4)

    frames = run_with(ThresholdBackend(), scenario)
    assert [len(frame.objects) for frame in frames] == [1, 1, 1, 0, 0]
    assert "nothing to follow" in frames[4].reason


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        pytest.param(VolumeRequest(text=BRIGHT, last=5), "last", id="past the end"),
        pytest.param(VolumeRequest(text=BRIGHT, first=4, last=3), "first", id="backwards"),
        pytest.param(
            VolumeRequest(box=FrameBox(frame=5, box=Box(x0=0, y0=0, x1=9, y1=9))),
            "box.frame",
            id="a box after the end",
        ),
        pytest.param(
            VolumeRequest(first=2, box=FrameBox(frame=1, box=Box(x0=0, y0=0, x1=9, y1=9))),
            "box.frame",
            id="a box on a frame nobody looks at",
        ),
        pytest.param(
            VolumeRequest(box=FrameBox(frame=1, box=Box(x0=30, y0=0, x1=39, y1=9))),
            "box.box",
            id="a box beside the frame",
        ),
    ],
)
def test_what_does_not_fit_the_sequence_is_refused_at_once(request_, field):
    async def scenario(services):
        with pytest.raises(InvalidPrompt) as caught:
            await begin(services, moving_square(5), request_)
        return caught.value.field

    assert run_with(ThresholdBackend(), scenario) == field


def test_broken_and_oversized_files_are_refused_at_once_and_nothing_stays():
    small = SETTINGS.model_copy(update={"volume": VolumeSettings(max_bytes=10_000)})

    async def scenario(services):
        create = services.volumes.create
        job = uuid4().hex
        with pytest.raises(BrokenImage) as caught:
            await create(job, [reader(b"no sequence")], WANTED)
        assert caught.value.field == "files"
        with pytest.raises(ImageTooLarge, match=r"10000 bytes"):
            await create(job, [reader(bytes(6000)), reader(bytes(6000))], WANTED)
        many = encode_frames(np.zeros((MAX_FRAMES + 1, 2, 2, 3), dtype=np.uint8))
        with pytest.raises(ImageTooLarge, match=f"limit is {MAX_FRAMES}"):
            await create(job, [reader(many)], WANTED)
        with pytest.raises(VolumeNotFound):
            await services.volumes.status(f"vol_{job}")

    run_with(ThresholdBackend(), scenario, small)


def test_files_longer_than_a_piece_come_back_whole():
    pixels = np.zeros((4, 1000, 1000, 3), dtype=np.uint8)
    pixels[:, 100:110, 100:110] = 255
    assert pixels.nbytes > PIECE_BYTES

    async def scenario(services):
        job = await begin(services, pixels)
        return await until(services, job, "done")

    assert run_with(ThresholdBackend(), scenario).result.objects[0].voxels == 400


def test_a_cancelled_job_stops_between_frames_and_stays_cancelled():
    backend = ThresholdBackend(delay_s=0.05)

    async def scenario(services):
        job = await begin(services, moving_square(60))
        await until(services, job, "running", done=3)
        first = await services.volumes.cancel(job)
        again = await services.volumes.cancel(job)
        await asyncio.sleep(0.2)
        looked = backend.embeds
        await asyncio.sleep(0.3)
        assert backend.embeds == looked < 60
        with pytest.raises(VolumeNotDone, match="cancelled"):
            await services.volumes.frames(job, 0, 9)
        return first, again, await services.volumes.status(job)

    for status in run_with(backend, scenario):
        assert (status.state, status.failure.error) == ("cancelled", "JobCancelled")


def test_a_finished_job_cannot_be_cancelled():
    async def scenario(services):
        job = await begin(services, moving_square(2))
        await until(services, job, "done")
        return await services.volumes.cancel(job)

    assert run_with(ThresholdBackend(), scenario).state == "done"


def test_an_erased_job_is_gone_even_if_it_was_running():
    async def scenario(services):
        job = await begin(services, moving_square(60))
        await until(services, job, "running", done=3)
        record = (await services.volumes.status(job)).record
        await services.volumes.erase(job)
        with pytest.raises(VolumeNotFound):
            await services.volumes.status(job)
        await asyncio.sleep(0.3)
        for name in (":frame:0", ":frame:3", ":frame:4", ":frame:5"):
            assert await services.records.get(f"volume:{record.id}{name}") is None
        for name in ("", *(f":{number}" for number in range(1, 9))):
            assert await services.records.get(f"job:{record.public_id}{name}") is None
        with pytest.raises(VolumeNotFound):
            await services.volumes.create_again(uuid4().hex, job, WANTED)

    run_with(ThresholdBackend(delay_s=0.05), scenario)


def test_another_prompt_can_be_put_to_the_files_of_a_job():
    async def scenario(services):
        job = await begin(services, moving_square(3), VolumeRequest(text=NOTHING))
        taken = await services.volumes.create_again(uuid4().hex, job, WANTED)
        return await until(services, taken.record.public_id, "done")

    assert len(run_with(ThresholdBackend(), scenario).result.objects) == 1


def test_erasing_a_job_takes_no_files_from_another_on_the_same_ones():
    async def scenario(services):
        job = await begin(services, moving_square(3))
        taken = await services.volumes.create_again(uuid4().hex, job, WANTED)
        await services.volumes.erase(job)
        again = taken.record.public_id
        await until(services, again, "done")
        third = await services.volumes.create_again(uuid4().hex, again, WANTED)
        return await until(services, third.record.public_id, "done")

    assert len(run_with(ThresholdBackend(), scenario).result.objects) == 1


def test_the_same_id_again_is_the_same_job_and_another_request_is_told():
    content, job = encode_frames(moving_square(2)), uuid4().hex
    backend = ThresholdBackend()

    async def scenario(services):
        create = services.volumes.create
        first = await create(job, [reader(content)], WANTED)
        await until(services, first.record.public_id, "done")
        again = await create(job, [reader(content)], WANTED)
        other = await create(job, [reader(content)], VolumeRequest(text=NOTHING))
        return [(taken.replayed, taken.same) for taken in (first, again, other)]

    assert run_with(backend, scenario) == [(False, True), (True, True), (True, False)]
    assert backend.embeds == 2


def test_images_are_answered_between_the_frames_of_a_volume():
    backend = ThresholdBackend(delay_s=0.05)

    async def scenario(services):
        job = await begin(services, moving_square(60))
        await until(services, job, "running", done=1)
        ref = await services.images.put(encode_raw(bright_square()))
        request = SegmentRequest(image=ref, prompts=(Prompt(text=BRIGHT),))
        started = time.monotonic()
        for _ in range(3):
            await services.segmenter.segment(request, timeout_s=PATIENCE_S)
        waited_s = time.monotonic() - started
        status = await services.volumes.status(job)
        await services.volumes.cancel(job)
        return waited_s, status

    waited_s, status = run_with(backend, scenario)
    assert status.state == "running"
    assert status.done < 30
    # Three images and at most three frames between them, on a busy machine.
    assert waited_s < 1.5


def test_two_volumes_are_done_one_after_the_other():
    async def scenario(services):
        jobs = [await begin(services, moving_square(5)) for _ in range(2)]
        return [await until(services, job, "done") for job in jobs]

    assert [status.done for status in run_with(ThresholdBackend(), scenario)] == [5, 5]


def test_a_model_that_fails_fails_the_job():
    async def scenario(services):
        job = await begin(services, moving_square(3))
        return await until(services, job, "failed")

    status = run_with(ThresholdBackend(fail_with=ValueError("a secret")), scenario)
    assert status.failure.error == "JobFailed"
    assert "secret" not in status.failure.message


def test_a_prompt_the_model_cannot_take_fails_the_job_with_its_reason():
    reason = InvalidPrompt("this model takes no boxes", field="boxes")

    async def scenario(services):
        job = await begin(services, moving_square(3))
        return await until(services, job, "failed")

    status = run_with(ThresholdBackend(fail_with=reason), scenario)
    assert (status.failure.error, status.failure.message) == ("InvalidPrompt", str(reason))


def test_a_long_job_is_not_taken_for_a_hanging_one():
    queue = QueueSettings(poll_s=0.05, max_hold_s=0.3, lease_s=0.2)
    settings = SegmenterSettings(queue=queue)

    async def scenario(services):
        job = await begin(services, moving_square(16))
        while (status := await services.volumes.status(job)).state != "done":
            assert await services.segmenter.workers(timeout_s=1.0)
            await asyncio.sleep(0.02)
        return status

    backend = ThresholdBackend(delay_s=0.08)
    assert run_with(backend, scenario, settings).done == 16
    assert backend.embeds == 16


def test_threads_of_the_model_are_the_only_ones_that_look_at_frames():
    seen: set[int] = set()

    class Watching(ThresholdBackend):
        def embed(self, image):
            seen.add(threading.get_ident())
            return super().embed(image)

    async def scenario(services):
        await until(services, await begin(services, moving_square(4)), "done")
        return threading.get_ident()

    assert run_with(Watching(), scenario) not in seen

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from agent.errors import (
    InvalidRequest,
    PlannerNotConfigured,
    RunNotFound,
    ThreadBusy,
    ThreadNotFound,
)
from agent.runs.threads import new_run_id
from agent.schemas.rounds import Status
from agent.schemas.runs import AgentRequest, RunRecord
from agent.service import AgentContext, AgentService, AgentSettings
from segmenter.contract import ImageRef, JobEvent, RgbImage, SegmentRequest, SegmentResult
from segmenter.errors import ImageNotFound, NoWorker
from tests.agent.doubles import (
    MIDDLE,
    MemoryImages,
    ScriptedSegmenter,
    World,
    found,
    image_ref,
    request,
)

PNG = b"\x89PNG\r\n\x1a\n"


def world() -> World:
    return World(ScriptedSegmenter({"polyp": found(MIDDLE)}))


def run(on: World, **changes: Any) -> RunRecord:
    return asyncio.run(on.service.run(request(**changes)))


def test_a_run_is_read_back_as_it_was_returned() -> None:
    on = world()
    record = run(on)
    assert asyncio.run(on.service.run_record(record.id)) == record


def test_a_caller_may_know_the_id_before_the_run() -> None:
    on, run_id = world(), new_run_id()
    assert asyncio.run(on.service.run(request(), run_id=run_id)).id == run_id


@pytest.mark.parametrize("name", ["run_" + "0" * 32, "", "../x", "run_*", "lock:thr", "run_\n"])
def test_a_run_that_is_not_there_is_not_found(name: str) -> None:
    with pytest.raises(RunNotFound):
        asyncio.run(world().service.run_record(name))


@pytest.mark.parametrize("name", ["thr_" + "0" * 32, "", "thr_x", "thr_" + "0" * 33])
def test_a_thread_that_is_not_there_is_not_found(name: str) -> None:
    on = world()
    with pytest.raises(ThreadNotFound):
        asyncio.run(on.service.thread_record(name))
    with pytest.raises(ThreadNotFound):
        asyncio.run(on.service.run(request(image=None, thread_id=name)))


def test_a_request_without_image_and_thread_is_refused() -> None:
    with pytest.raises(InvalidRequest) as told:
        asyncio.run(world().service.run(AgentRequest(request="polyp")))
    assert told.value.field == "image"


def test_a_planner_that_is_not_set_up_is_refused() -> None:
    with pytest.raises(PlannerNotConfigured):
        run(world(), planner="gemini")


def test_an_expired_image_is_reported_to_the_caller_and_frees_the_thread() -> None:
    on = world()
    on.images.gone.append(image_ref().sha256)
    with pytest.raises(ImageNotFound):
        run(on)
    assert not any(key.startswith("lock:") for key in on.records.records)


@pytest.mark.parametrize("down", [None, NoWorker("none")])
def test_a_run_holds_its_image_from_its_beginning_to_its_end(down: Exception | None) -> None:
    on = World(ScriptedSegmenter({"polyp": found(MIDDLE)}, down=down))
    held: list[list[str]] = []

    async def watch(event: JobEvent) -> None:
        held.append(list(on.images.holders))

    record = asyncio.run(on.service.run(request(), watch=watch))
    assert {record.id} == {holder for holders in held for holder in holders}
    assert all(held)
    assert on.images.holders == []


def test_a_run_that_does_not_begin_holds_no_image() -> None:
    on = world()
    first = run(on)
    asyncio.run(on.records.put(f"lock:{first.thread_id}", b"another", ttl_s=60.0))
    with pytest.raises(ThreadBusy):
        run(on, image=None, thread_id=first.thread_id)
    assert on.images.holders == []


def test_pictures_are_png() -> None:
    on = world()
    record = run(on)
    overlay, sheet, mask = (
        asyncio.run(on.service.pictures.overlay_png(record.id)),
        asyncio.run(on.service.pictures.round_png(record.id, 1)),
        asyncio.run(on.service.pictures.mask_png(record.id, "m1")),
    )
    assert all(one.startswith(PNG) for one in (overlay, sheet, mask))


@pytest.mark.parametrize("number", [0, 2, -1])
def test_a_round_that_is_not_there_is_refused(number: int) -> None:
    on = world()
    record = run(on)
    with pytest.raises(InvalidRequest):
        asyncio.run(on.service.pictures.round_png(record.id, number))


def test_a_mask_that_is_not_there_is_refused() -> None:
    on = world()
    record = run(on)
    with pytest.raises(InvalidRequest):
        asyncio.run(on.service.pictures.mask_png(record.id, "m9"))


def test_runs_of_one_thread_exclude_each_other_and_others_do_not() -> None:
    on = world()

    async def both() -> tuple[RunRecord, RunRecord]:
        return await asyncio.gather(on.service.run(request()), on.service.run(request()))

    first, second = asyncio.run(both())
    assert first.thread_id != second.thread_id
    assert (first.status, second.status) == (Status.FOUND, Status.FOUND)


class Hanging(ScriptedSegmenter):
    async def segment(self, request: SegmentRequest, *, timeout_s: float) -> SegmentResult:
        await asyncio.sleep(60)
        raise AssertionError


def test_a_cancelled_run_is_recorded_as_such_and_frees_its_thread() -> None:
    on, run_id = World(Hanging()), new_run_id()
    heard: list[str] = []

    async def cancel() -> RunRecord:
        started = asyncio.Event()

        async def watch(event: JobEvent) -> None:
            heard.append(event.name)
            if event.name == "run.segment.started":
                started.set()

        task = asyncio.create_task(on.service.run(request(), run_id=run_id, watch=watch))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await on.service.run_record(run_id)

    record = asyncio.run(cancel())
    assert (record.status, record.error_kind) == (Status.FAILED, "cancelled")
    assert record.plan is not None
    assert heard[-1] == "run.cancelled"
    assert not any(key.startswith("lock:") for key in on.records.records)


def test_no_line_of_the_log_holds_the_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    on = world()
    run(on, text="outline Mrs Miller's polyp")
    assert "iller" not in " ".join(str(line.__dict__) for line in caplog.records)


class SlowImages(MemoryImages):
    """Never gives the pixels."""

    async def pixels(self, ref: ImageRef) -> RgbImage:
        await asyncio.sleep(60)
        raise AssertionError


def test_an_image_that_is_not_read_in_time_fails_the_run() -> None:
    settings = AgentSettings(step_timeout_s=0.05)
    on = World(ScriptedSegmenter({"polyp": found(MIDDLE)}), settings=settings)
    on.images = SlowImages()
    on.service = AgentService(
        AgentContext(
            segmenter=on.segmenter,
            images=on.images,
            records=on.records,
            planners={},
            settings=settings,
        )
    )
    record = run(on)
    assert (record.status, record.error_kind) == (Status.FAILED, "DeadlineExceeded")


@pytest.mark.parametrize("error", [RuntimeError("a secret"), ImageNotFound("image is gone")])
def test_a_run_that_breaks_is_recorded_before_its_error_is_told(error: Exception) -> None:
    on, run_id = World(ScriptedSegmenter(failures=[error])), new_run_id()
    heard: list[str] = []

    async def watch(event: JobEvent) -> None:
        heard.append(event.name)

    with pytest.raises(type(error)):
        asyncio.run(on.service.run(request(), run_id=run_id, watch=watch))
    record = asyncio.run(on.service.run_record(run_id))
    assert (record.status, record.error_kind) == (Status.FAILED, type(error).__name__)
    assert "secret" not in record.model_dump_json()
    assert asyncio.run(on.service.thread_record(record.thread_id)).runs == (run_id,)
    assert heard[-1] == "run.failed"


def test_picking_pieces_out_of_a_large_mask_leaves_the_loop_to_others() -> None:
    spots = np.zeros((1500, 1500), dtype=bool)
    for row in range(4, 1490, 10):
        for column in range(4, 1490, 10):
            spots[row : row + 5, column : column + 5] = True
    image = image_ref(width=1500, height=1500)
    on = World(ScriptedSegmenter({"nuclei": found(spots)}), pixels=np.zeros((1500, 1500, 3), "u1"))

    async def talk() -> tuple[float, float]:
        first = await on.service.run(request("outline the nuclei", image=image))
        gaps: list[float] = []

        async def tick() -> None:
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.001)
                gaps.append(time.monotonic() - before)

        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0.01)
        gaps.clear()
        start = time.monotonic()
        asked = request("only the largest", image=None, thread_id=first.thread_id)
        await on.service.run(asked)
        taken = time.monotonic() - start
        await asyncio.sleep(0.01)
        ticking.cancel()
        return max(gaps), taken

    worst, taken = asyncio.run(talk())
    assert worst < taken / 2, (worst, taken)


def test_a_mask_of_an_earlier_run_is_drawn_under_its_id_in_a_later_one() -> None:
    on = world()
    first = run(on)
    later = run(on, text="remove mask 1", image=None, thread_id=first.thread_id)
    assert later.candidates == ()
    drawn = [asyncio.run(on.service.pictures.mask_png(one.id, "m1")) for one in (first, later)]
    assert drawn[0] == drawn[1]

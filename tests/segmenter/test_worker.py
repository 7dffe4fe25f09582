"""The worker and its callers in one process, over the in-process queue."""

import asyncio
import logging
import threading
import time
from uuid import uuid4

import pytest

from segmenter.client import QueuedSegmenter
from segmenter.contract import Box, BoxPrompt, ImageRef, Prompt, SegmentRequest
from segmenter.errors import (
    DeadlineExceeded,
    ImageNotFound,
    InvalidPrompt,
    JobFailed,
    NoWorker,
)
from segmenter.masks import rle
from segmenter.queue.contract import Lease
from segmenter.queue.memory import MemoryTransport
from segmenter.queue.messages import Job
from segmenter.services import SegmenterServices, open_embedded
from segmenter.settings import QueueSettings, SegmenterSettings, WorkerSettings
from segmenter.worker import by_image
from tests.doubles import (
    BRIGHT,
    DARK,
    NOTHING,
    ThresholdBackend,
    bright_square,
    decode_raw,
    encode_raw,
)

TIMEOUT_S = 10.0
SETTINGS = SegmenterSettings(queue=QueueSettings(poll_s=0.05))


def run_with(backend, scenario, settings: SegmenterSettings = SETTINGS):
    async def within():
        async with open_embedded(backend, decode_raw, settings) as services:
            return await scenario(services)

    return asyncio.run(within())


async def request_for(services: SegmenterServices, *prompts: Prompt, shade: int = 255, **options):
    ref = await services.images.put(encode_raw(bright_square(shade=shade)))
    return SegmentRequest(image=ref, prompts=prompts or (Prompt(text=BRIGHT),), **options)


def test_a_concept_is_segmented_at_the_size_of_the_image():
    async def scenario(services):
        request = await request_for(services)
        return await services.segmenter.segment(request, timeout_s=TIMEOUT_S)

    result = run_with(ThresholdBackend(), scenario)
    [mask] = result.results[0].masks
    assert (rle.decode(mask.rle) == (bright_square().max(axis=2) > 0)).all()
    assert mask.box == Box(x0=4, y0=4, x1=12, y1=12)
    assert (mask.area_px, mask.joint, result.model.kind) == (64, 0.9, "threshold")


def test_all_prompts_of_a_request_run_as_one_batch_in_their_order():
    backend = ThresholdBackend()

    async def scenario(services):
        prompts = Prompt(text=BRIGHT), Prompt(text=DARK), Prompt(text=NOTHING)
        request = await request_for(services, *prompts)
        return await services.segmenter.segment(request, timeout_s=TIMEOUT_S)

    results = run_with(backend, scenario).results
    assert [result.concept for result in results] == [BRIGHT, DARK, NOTHING]
    assert backend.batches == [3]


def test_nothing_found_is_an_empty_result_and_no_failure():
    async def scenario(services):
        request = await request_for(services, Prompt(text=NOTHING))
        return await services.segmenter.segment(request, timeout_s=TIMEOUT_S)

    [result] = run_with(ThresholdBackend(), scenario).results
    assert (result.masks, result.known) == ((), True)


@pytest.mark.parametrize(
    ("own", "asked", "found"),
    [({BRIGHT: 0.95}, None, 0), ({BRIGHT: 0.95}, 0.5, 1), ({DARK: 0.95}, None, 1)],
)
def test_a_concept_may_have_a_threshold_of_its_own(own, asked, found):
    async def scenario(services):
        request = await request_for(services, threshold=asked)
        return await services.segmenter.segment(request, timeout_s=TIMEOUT_S)

    result = run_with(ThresholdBackend(thresholds=own), scenario)
    assert len(result.results[0].masks) == found


def test_an_unknown_concept_is_said_to_be_unknown():
    async def scenario(services):
        request = await request_for(services, Prompt(text="spleen"))
        return await services.segmenter.segment(request, timeout_s=TIMEOUT_S)

    [result] = run_with(ThresholdBackend(), scenario).results
    assert (result.masks, result.known) == ((), False)
    assert result.reason == "'spleen' is not one of the known concepts"


def test_a_box_cuts_the_mask():
    box = BoxPrompt(box=Box(x0=0, y0=0, x1=8, y1=16))

    async def scenario(services):
        request = await request_for(services, Prompt(text=BRIGHT, boxes=(box,)))
        return await services.segmenter.segment(request, timeout_s=TIMEOUT_S)

    [mask] = run_with(ThresholdBackend(), scenario).results[0].masks
    assert mask.box == Box(x0=4, y0=4, x1=8, y1=12)


def test_an_image_is_embedded_once_however_many_requests_follow():
    backend = ThresholdBackend()

    async def scenario(services):
        request = await request_for(services)
        ask = services.segmenter.segment
        return [await ask(request, timeout_s=TIMEOUT_S) for _ in range(3)]

    results = run_with(backend, scenario)
    assert [result.embedding_cached for result in results] == [False, True, True]
    assert [result.encode_s > 0 for result in results] == [True, False, False]
    assert backend.embeds == 1


def test_embeddings_beyond_the_bound_are_made_again():
    backend = ThresholdBackend()
    # One embedding of the double has 16 x 16 x 3 bytes.
    worker = WorkerSettings(max_embeddings_bytes=1000)

    async def scenario(services):
        for shade in (200, 250, 200):
            request = await request_for(services, shade=shade)
            await services.segmenter.segment(request, timeout_s=TIMEOUT_S)

    run_with(backend, scenario, SETTINGS.model_copy(update={"worker": worker}))
    assert backend.embeds == 3


def test_a_deleted_image_is_gone_although_its_embedding_is_kept():
    async def scenario(services):
        request = await request_for(services)
        await services.segmenter.segment(request, timeout_s=TIMEOUT_S)
        await services.images.delete(request.image)
        with pytest.raises(ImageNotFound):
            await services.segmenter.segment(request, timeout_s=TIMEOUT_S)

    run_with(ThresholdBackend(), scenario)


def test_an_error_of_the_model_names_its_class_but_not_its_message(caplog):
    async def scenario(services):
        request = await request_for(services)
        with pytest.raises(JobFailed, match=r"^the model failed with RuntimeError$"):
            await services.segmenter.segment(request, timeout_s=TIMEOUT_S)

    run_with(ThresholdBackend(fail_with=RuntimeError("Jane Doe")), scenario)
    assert "Jane Doe" not in caplog.text


def test_a_worker_outlives_a_job_that_failed():
    async def scenario(services):
        request = await request_for(services)
        for _ in range(2):
            with pytest.raises(JobFailed):
                await services.segmenter.segment(request, timeout_s=TIMEOUT_S)

    run_with(ThresholdBackend(fail_with=ZeroDivisionError()), scenario)


def test_a_domain_error_is_raised_again_with_its_field():
    negative = BoxPrompt(box=Box(x0=0, y0=0, x1=4, y1=4), label="negative")

    async def scenario(services):
        request = await request_for(services, Prompt(text=BRIGHT, boxes=(negative,)))
        with pytest.raises(InvalidPrompt, match="takes no negative boxes") as caught:
            await services.segmenter.segment(request, timeout_s=TIMEOUT_S)
        return caught.value.field

    assert run_with(ThresholdBackend(), scenario) == "boxes"


def test_a_box_outside_of_the_image_is_refused_before_the_queue():
    backend = ThresholdBackend()
    outside = BoxPrompt(box=Box(x0=16, y0=0, x1=20, y1=4))

    async def scenario(services):
        request = await request_for(services, Prompt(text=BRIGHT, boxes=(outside,)))
        with pytest.raises(InvalidPrompt, match="outside of 16 x 16 pixels") as caught:
            await services.segmenter.segment(request, timeout_s=TIMEOUT_S)
        return caught.value.field

    assert run_with(backend, scenario) == "prompts.0.boxes.0"
    assert backend.embeds == 0


def test_a_model_slower_than_the_deadline_is_not_waited_for():
    async def scenario(services):
        request = await request_for(services)
        with pytest.raises(DeadlineExceeded):
            await services.segmenter.segment(request, timeout_s=0.05)

    run_with(ThresholdBackend(delay_s=0.3), scenario)


def test_a_caller_that_leaves_takes_its_queued_job_along():
    backend = ThresholdBackend(delay_s=0.3)

    async def scenario(services):
        request = await request_for(services)
        running = asyncio.create_task(services.segmenter.segment(request, timeout_s=TIMEOUT_S))
        await asyncio.sleep(0.1)
        leaving = asyncio.create_task(services.segmenter.segment(request, timeout_s=TIMEOUT_S))
        await asyncio.sleep(0.05)
        leaving.cancel()
        await running
        await services.segmenter.capabilities(timeout_s=TIMEOUT_S)
        assert leaving.cancelled()

    run_with(backend, scenario)
    assert backend.batches == [1]


def test_capabilities_come_from_the_worker_and_are_asked_once():
    async def scenario(services):
        first = await services.segmenter.capabilities(timeout_s=TIMEOUT_S)
        return first, await services.segmenter.capabilities(timeout_s=TIMEOUT_S)

    first, second = run_with(ThresholdBackend(), scenario)
    assert first.concepts == (BRIGHT, DARK, NOTHING)
    assert second is first


def test_the_live_worker_is_named_with_its_weights():
    async def scenario(services):
        await services.segmenter.capabilities(timeout_s=TIMEOUT_S)
        return await services.segmenter.workers(timeout_s=TIMEOUT_S)

    [worker] = run_with(ThresholdBackend(weights_id="w-7"), scenario)
    assert worker.model.weights_id == "w-7"


def test_without_a_live_worker_nobody_waits():
    async def scenario():
        segmenter = QueuedSegmenter(MemoryTransport(), grace_s=0.1)
        with pytest.raises(NoWorker):
            await segmenter.capabilities(timeout_s=TIMEOUT_S)

    asyncio.run(scenario())


def test_a_stop_finishes_the_running_job():
    backend = ThresholdBackend(delay_s=0.2)

    async def scenario(services):
        request = await request_for(services)
        call = asyncio.create_task(services.segmenter.segment(request, timeout_s=TIMEOUT_S))
        await asyncio.sleep(0.1)
        return call

    async def within():
        async with open_embedded(backend, decode_raw, SETTINGS) as services:
            call = await scenario(services)
        return await call

    assert len(asyncio.run(within()).results) == 1


def test_a_batch_runs_image_by_image_and_embedded_images_first():
    def lease(shade: str) -> Lease:
        ref = ImageRef(sha256=shade * 64, width=4, height=4, format="raw")
        request = SegmentRequest(image=ref, prompts=(Prompt(text=BRIGHT),))
        return Lease(Job(id=uuid4().hex, kind="segment", request=request), "", 1)

    a, b, c, a_again = lease("a"), lease("b"), lease("c"), lease("a")
    plain = Lease(Job(id=uuid4().hex, kind="capabilities"), "", 1)
    embedded = "c" * 64
    groups = by_image([a, b, c, a_again, plain], lambda request: request.image.sha256 == embedded)
    assert groups == [[plain], [c], [a, a_again], [b]]


def test_a_model_that_takes_several_calls_gets_them_about_different_images_only():
    class Wide(ThresholdBackend):
        lanes = 2

        def __init__(self) -> None:
            super().__init__()
            self.now: list[int] = []
            self.most: list[int] = []
            self.lock = threading.Lock()

        def predict(self, embedding, prompts, *, threshold):
            with self.lock:
                self.now.append(id(embedding))
                self.most.append(len(self.now))
                assert len(set(self.now)) == len(self.now)
            time.sleep(0.05)
            with self.lock:
                self.now.remove(id(embedding))
            return super().predict(embedding, prompts, threshold=threshold)

    async def scenario(services):
        requests = [await request_for(services, shade=shade) for shade in (150, 180, 210, 150, 180)]
        calls = [services.segmenter.segment(one, timeout_s=TIMEOUT_S) for one in requests]
        return await asyncio.gather(*calls)

    backend = Wide()
    assert len(run_with(backend, scenario)) == 5
    assert max(backend.most) == 2


def test_a_job_leaves_one_line_in_the_log_without_what_was_asked(caplog):
    caplog.set_level(logging.INFO, logger="segmenter.queue.settle")

    async def scenario(services):
        request = await request_for(services)
        await services.segmenter.segment(request, timeout_s=TIMEOUT_S)

    run_with(ThresholdBackend(), scenario)
    [line] = caplog.records
    assert (line.message, line.masks, line.error) == ("job answered", 1, None)
    assert BRIGHT not in str(vars(line))


class Switchable(ThresholdBackend):
    """Base sees the bright region in bright pixels, the adapter in dark ones; counts embeddings."""

    def __init__(self, adapter: str = "dark", embedded: list[str] | None = None) -> None:
        super().__init__()
        self.adapter = adapter
        self.embedded = [] if embedded is None else embedded

    @property
    def capabilities(self):
        told = super().capabilities
        return told.model_copy(
            update={
                "adapters": ("dark", "base"),
                "model": told.model.model_copy(update={"adapter": self.adapter}),
            }
        )

    def under(self, *, adapter, postprocess):
        return Switchable(adapter or "dark", self.embedded)

    def embed(self, image):
        self.embedded.append(self.adapter)
        return 255 - image if self.adapter == "dark" else image


def test_an_adapter_is_switched_by_request_and_has_embeddings_of_its_own():
    backend = Switchable()

    async def scenario(services):
        answers = []
        for adapter in (None, "base", "dark", "base"):
            request = await request_for(services, adapter=adapter)
            answers.append(await services.segmenter.segment(request, timeout_s=TIMEOUT_S))
        return answers

    answers = run_with(backend, scenario)
    assert [answer.results[0].masks[0].area_px for answer in answers] == [192, 64, 192, 64]
    assert [answer.model.adapter for answer in answers] == ["dark", "base", "dark", "base"]
    assert [answer.embedding_cached for answer in answers] == [False, False, True, True]
    assert backend.embedded == ["dark", "base"]


@pytest.mark.parametrize(
    ("options", "field"),
    [({"adapter": "unheard-of"}, "adapter"), ({"postprocess": "medsam3"}, "postprocess")],
)
def test_what_the_model_does_not_offer_is_refused_by_name(options, field):
    async def scenario(services):
        request = await request_for(services, **options)
        with pytest.raises(InvalidPrompt) as caught:
            await services.segmenter.segment(request, timeout_s=TIMEOUT_S)
        return caught.value.field

    assert run_with(ThresholdBackend(), scenario) == field

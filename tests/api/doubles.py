"""Doubles behind the routes: a model that thresholds, an agent that answers from a table."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from agent.errors import InvalidRequest, RunNotFound, ThreadNotFound
from agent.schemas.plan import Call, Plan, Target
from agent.schemas.rounds import Candidate, Inspection, Round, Status, Usage, Verdict
from agent.schemas.runs import (
    AgentRequest,
    PlannerInfo,
    Provenance,
    ResultMask,
    RunEvent,
    RunRecord,
    TargetResult,
    ThreadRecord,
)
from api.bootstrap.parts import AppServices
from segmenter.contract import (
    BinaryMask,
    Box,
    Capabilities,
    ImageRef,
    ImageStore,
    Mask,
    ModelInfo,
    Prompt,
    PromptResult,
    RgbImage,
    SegmentRequest,
    SegmentResult,
)
from segmenter.formats.decode import decode, describe
from segmenter.formats.limits import Limits
from segmenter.formats.raster.image import encode_mask_png, encode_png
from segmenter.masks import rle
from segmenter.masks.geometry import mask_box
from segmenter.queue.memory import MemoryTransport
from segmenter.queue.messages import WorkerInfo
from segmenter.storage.contract import BlobStore
from segmenter.storage.images import StoredImages
from segmenter.storage.memory import MemoryStore
from segmenter.volumes.jobs import Volumes
from segmenter.volumes.store import VolumeStore
from tests.segmenter.volumes.sequences import open_raw

MODEL = ModelInfo(kind="threshold-double", weights_id="threshold-1", weights_sha256="ab" * 32)
CONCEPTS = ("bright spot", "dark background")
MEBIBYTE = 2**20


def to_mask(found: BinaryMask, score: float = 0.9) -> Mask:
    box = mask_box(found)
    assert box is not None
    return Mask(
        rle=rle.encode(found),
        box=box,
        score=score,
        presence=1.0,
        joint=score,
        area_px=int(found.sum()),
        stability=1.0,
    )


@dataclass
class ThresholdSegmenter:
    """Bright or dark pixels, cut to the box; `failure` is raised instead of an answer."""

    images: ImageStore
    score: float = 0.9
    failure: Exception | None = None
    asked: list[SegmentRequest] = field(default_factory=list)

    async def segment(self, request: SegmentRequest, *, timeout_s: float) -> SegmentResult:
        self.asked.append(request)
        if self.failure is not None:
            raise self.failure
        pixels = await self.images.pixels(request.image)
        return SegmentResult(
            image=request.image,
            results=tuple(self._answer(pixels, prompt) for prompt in request.prompts),
            model=MODEL,
            embedding_cached=False,
            encode_s=0.0,
            predict_s=0.0,
        )

    def _answer(self, pixels: RgbImage, prompt: Prompt) -> PromptResult:
        if prompt.text not in (None, *CONCEPTS):
            return PromptResult(
                masks=(), concept=None, presence=0.0, known=False, reason="not a known concept"
            )
        bright = pixels[..., 0] > 127
        found = ~bright if prompt.text == CONCEPTS[1] else bright
        for item in prompt.boxes:
            found = found & _inside(item.box, found.shape)
        masks = (to_mask(found, self.score),) if found.any() else ()
        return PromptResult(masks=masks, concept=prompt.text, presence=1.0)

    async def capabilities(self, *, timeout_s: float) -> Capabilities:
        if self.failure is not None:
            raise self.failure
        return Capabilities(
            model=MODEL,
            concepts=CONCEPTS,
            prompts=("text", "box", "text+box"),
            negative_boxes=False,
            threshold=0.5,
        )


def _inside(box: Box, shape: tuple[int, ...]) -> BinaryMask:
    inside = np.zeros(shape, dtype=np.bool_)
    inside[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = True
    return inside


@dataclass
class ScriptedAgent:
    """Finds what is bright. `gate` holds runs back until it is set; `failure` ends them."""

    images: ImageStore
    status: Status = Status.FOUND
    error_kind: str | None = None
    failure: Exception | None = None
    gate: asyncio.Event | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[AgentRequest] = field(default_factory=list)
    runs: dict[str, RunRecord] = field(default_factory=dict)
    threads: dict[str, ThreadRecord] = field(default_factory=dict)

    async def run(self, request: AgentRequest, *, run_id: str | None = None) -> RunRecord:
        self.requests.append(request)
        self.started.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        image = request.image or (await self.thread_record(request.thread_id or "")).image
        bright = (await self.images.pixels(image))[..., 0] > 127
        number = len(self.runs) + 1
        thread_id = request.thread_id or f"thr_{number:032x}"
        run_id = run_id or f"run_{number:032x}"
        run = to_run(run_id, thread_id, request, image, to_mask(bright))
        run = run.model_copy(update={"status": self.status, "error_kind": self.error_kind})
        self.runs[run.id] = run
        self.threads[thread_id] = _thread(self.threads.get(thread_id), run)
        return run

    async def announce(self, run_id: str) -> None:
        raise NotImplementedError("runs behind are tested with the real agent")

    async def give_up(self, run_id: str, error: str) -> None:
        raise NotImplementedError("runs behind are tested with the real agent")

    async def events(self, run_id: str) -> tuple[RunEvent, ...]:
        raise RunNotFound(f"no run {run_id!r}")

    async def cancel(self, run_id: str) -> None:
        raise RunNotFound(f"no run {run_id!r}")

    async def run_record(self, run_id: str) -> RunRecord:
        if run_id not in self.runs:
            raise RunNotFound(f"no run {run_id!r}")
        return self.runs[run_id]

    async def thread_record(self, thread_id: str) -> ThreadRecord:
        if thread_id not in self.threads:
            raise ThreadNotFound(f"no thread {thread_id!r}")
        return self.threads[thread_id]

    async def erase_thread(self, thread_id: str) -> None:
        thread = await self.thread_record(thread_id)
        for run_id in thread.runs:
            del self.runs[run_id]
        del self.threads[thread_id]
        await self.images.delete(thread.image)

    @property
    def pictures(self) -> "ScriptedAgent":
        return self

    async def mask_png(self, run_id: str, mask_id: str) -> bytes:
        run = await self.run_record(run_id)
        for candidate in run.candidates:
            if candidate.id == mask_id:
                return encode_mask_png(rle.decode(candidate.mask.rle))
        raise InvalidRequest(f"no mask {mask_id!r}", field="mask_id")

    async def overlay_png(self, run_id: str) -> bytes:
        return encode_png(await self.images.pixels((await self.run_record(run_id)).image))

    async def round_png(self, run_id: str, number: int) -> bytes:
        run = await self.run_record(run_id)
        if number > len(run.rounds):
            raise InvalidRequest(f"no round {number}", field="number")
        return await self.overlay_png(run_id)


def to_run(
    run_id: str, thread_id: str, request: AgentRequest, image: ImageRef, mask: Mask
) -> RunRecord:
    target = Target(id="t1", label="spot", phrases=("bright spot",))
    call = Call(target="t1", concept="bright spot")
    candidate = Candidate(
        id="m1", target="t1", round=1, call=0, concept="bright spot", mask=mask, quality=0.8
    )
    verdict = Verdict(candidate="m1", verdict="accept")
    return RunRecord(
        id=run_id,
        thread_id=thread_id,
        created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        request=request.request,
        image=image,
        status=Status.FOUND,
        plan=Plan(decision="segment", modality="unknown", targets=(target,), calls=(call,)),
        rounds=(
            Round(
                number=1,
                calls=(call,),
                candidates=("m1",),
                reasons=("",),
                inspection=Inspection(verdicts=(verdict,)),
                planner="rules",
            ),
        ),
        candidates=(candidate,),
        targets=(
            TargetResult(
                target=target,
                status=Status.FOUND,
                masks=(ResultMask(candidate=candidate, label="spot", verdict="accept"),),
            ),
        ),
        needs_review=False,
        message="found one spot",
        provenance=Provenance(
            segmenter=MODEL,
            planner=PlannerInfo(kind="rules"),
            prompts_version="1",
            rounds=1,
            usage=Usage(),
            seconds=0.1234,
        ),
    )


def _thread(known: ThreadRecord | None, run: RunRecord) -> ThreadRecord:
    if known is None:
        known = ThreadRecord(id=run.thread_id, created_at=run.created_at, image=run.image)
    return known.model_copy(
        update={
            "runs": (*known.runs, run.id),
            "requests": (*known.requests, run.request),
            "targets": run.targets,
        }
    )


def read(content: bytes) -> tuple[ImageRef, RgbImage]:
    decoded = decode(content, Limits(max_bytes=200_000))
    return describe(content, decoded), decoded.pixels


@dataclass
class ServiceUnderTest:
    """Everything a test may turn."""

    images: StoredImages
    records: MemoryStore
    volumes: Volumes
    segmenter: ThresholdSegmenter
    agent: ScriptedAgent
    workers: tuple[WorkerInfo, ...] = (WorkerInfo(worker_id="w1", model=MODEL),)
    workers_failure: Exception | None = None

    async def live_workers(self) -> Sequence[WorkerInfo]:
        if self.workers_failure is not None:
            raise self.workers_failure
        return self.workers

    def opener(self) -> Callable[[], AbstractAsyncContextManager[AppServices]]:
        parts = AppServices(
            segmenter=self.segmenter,
            images=self.images,
            records=self.records,
            volumes=self.volumes,
            agent=self.agent,
            live_workers=self.live_workers,
            planners=("rules",),
        )

        @asynccontextmanager
        async def opened() -> AsyncIterator[AppServices]:
            yield replace(parts)

        return opened


def new_bench() -> ServiceUnderTest:
    blobs = BlobStore(MemoryStore(max_item_bytes=MEBIBYTE, max_bytes=8 * MEBIBYTE), ttl_s=60.0)
    images = StoredImages(blobs, read, max_pixels_bytes=8 * MEBIBYTE)
    records = MemoryStore(max_bytes=MEBIBYTE, max_item_bytes=MEBIBYTE)
    store = VolumeStore(records, blobs, max_bytes=MEBIBYTE, ttl_s=60.0)
    return ServiceUnderTest(
        images=images,
        records=records,
        # Nobody works on the queue: jobs are taken on, and stay where they are.
        volumes=Volumes(MemoryTransport(), store, open_raw, timeout_s=60.0),
        segmenter=ThresholdSegmenter(images),
        agent=ScriptedAgent(images),
    )

"""What the routes stand on in tests: a model that thresholds, and the real agent over it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from agent.queued import QueuedAgent
from agent.runs.worker import RunWorker
from agent.service import AgentContext
from api.bootstrap.parts import AppServices
from api.bootstrap.readiness import Alive
from segmenter.contract import (
    BinaryMask,
    Box,
    Capabilities,
    ImageStore,
    Mask,
    ModelInfo,
    Prompt,
    PromptResult,
    RgbImage,
    SegmentRequest,
    SegmentResult,
)
from segmenter.errors import SegmenterError
from segmenter.formats.limits import Limits
from segmenter.masks import rle
from segmenter.masks.geometry import mask_box
from segmenter.memory_budget import WorkingMemory
from segmenter.queue.jobs import StoredThenQueued
from segmenter.queue.memory import MemoryTransport
from segmenter.queue.messages import WorkerInfo
from segmenter.services import decoder
from segmenter.storage.contract import BlobStore
from segmenter.storage.images import StoredImages
from segmenter.storage.memory import MemoryStore
from segmenter.volumes.jobs import Volumes
from segmenter.volumes.store import VolumeStore
from tests.segmenter.volumes.sequences import open_raw

MODEL = ModelInfo(kind="threshold-double", weights_id="threshold-1", weights_sha256="ab" * 32)
CONCEPTS = ("bright spot", "dark background", "polyp")
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
    """Bright or dark pixels, cut to the box; `failure` is raised instead of an answer.

    `gate` holds answers back until it is set; `started` is set by the first question.
    """

    images: ImageStore
    score: float = 0.9
    failure: Exception | None = None
    asked: list[SegmentRequest] = field(default_factory=list)
    gate: asyncio.Event | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def segment(self, request: SegmentRequest, *, timeout_s: float) -> SegmentResult:
        self.asked.append(request)
        self.started.set()
        if self.gate is not None:
            await self.gate.wait()
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
        if isinstance(self.failure, SegmenterError):
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


read = decoder(Limits(max_bytes=200_000))


@dataclass
class ServiceUnderTest:
    """Everything a test may turn; what is real is the agent, its queue and its worker.

    Attributes:
        pictures: where `images` lie.
    """

    pictures: MemoryStore
    images: StoredImages
    records: MemoryStore
    volumes: VolumeStore
    segmenter: ThresholdSegmenter
    memory: WorkingMemory
    workers: tuple[WorkerInfo, ...] = (WorkerInfo(worker_id="w1", model=MODEL),)
    agent_workers: int = 1
    workers_failure: Exception | None = None

    async def look_alive(self) -> Alive:
        if self.workers_failure is not None:
            raise self.workers_failure
        return Alive(self.workers, self.agent_workers)

    def opener(self) -> Callable[[], AbstractAsyncContextManager[AppServices]]:
        return self.opened

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[AppServices]:
        context = AgentContext(
            segmenter=self.segmenter, images=self.images, records=self.records, planners={}
        )
        async with agent_with_worker(context) as agent:
            # Nobody works on the queue of volumes: they are taken on, and stay where they are.
            queue = MemoryTransport()
            accepted = StoredThenQueued(self.volumes.jobs.records, queue)
            yield AppServices(
                segmenter=self.segmenter,
                images=self.images,
                records=self.records,
                volumes=Volumes(
                    queue, accepted, self.volumes, open_raw, timeout_s=60.0, memory=self.memory
                ),
                agent=agent,
                look_alive=self.look_alive,
                memory=self.memory,
                planners=("rules",),
            )


@asynccontextmanager
async def agent_with_worker(context: AgentContext) -> AsyncIterator[QueuedAgent]:
    """Open an agent and what carries its runs out, in this process."""
    transport = MemoryTransport()
    agent = QueuedAgent(context, transport, StoredThenQueued(context.records, transport))
    worker = RunWorker(
        transport.worker("runs"), agent.carry, worker_id="runs", slots=4, poll_s=0.02
    )
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        yield agent
    finally:
        stop.set()
        await running


def new_service(*, image_ttl_s: float = 60.0) -> ServiceUnderTest:
    pictures = MemoryStore(max_item_bytes=MEBIBYTE, max_bytes=8 * MEBIBYTE)
    blobs, memory = (
        BlobStore(pictures, ttl_s=image_ttl_s),
        WorkingMemory(256 * MEBIBYTE, wait_s=0.3),
    )
    images = StoredImages(blobs, read, max_pixels_bytes=8 * MEBIBYTE, memory=memory)
    records = MemoryStore(max_bytes=MEBIBYTE, max_item_bytes=MEBIBYTE)
    return ServiceUnderTest(
        pictures=pictures,
        images=images,
        records=records,
        volumes=VolumeStore(records, blobs, max_bytes=MEBIBYTE, ttl_s=60.0),
        segmenter=ThresholdSegmenter(images),
        memory=memory,
    )

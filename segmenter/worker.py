"""The worker: lease what is queued, embed each image once, answer every job.

Shared: nothing; one `Worker` owns its backend, its embeddings and one event loop. The model runs in
threads: one call at a time, or several about different images if it takes them. Guaranteed: every
leased job is answered, or handed back on a stop; a job that fails is answered with its error, and
what fails outside of a job ends the worker.
At most one volume job is under way; between its frames whatever else is queued is answered, and
other volume jobs are handed back.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, NamedTuple

from segmenter.backends.contract import Backend, Embedding, ParallelBackend, SwitchableBackend
from segmenter.backends.postprocess import select
from segmenter.contract import (
    ImageRef,
    ImageStore,
    Prompt,
    PromptResult,
    RgbImage,
    SegmentRequest,
    SegmentResult,
)
from segmenter.memory_budget import LOOKING, MEBIBYTE, WorkingMemory, looking_bytes
from segmenter.prompt_checks import check_asked
from segmenter.queue.contract import Consumer, Lease, Requeue
from segmenter.queue.messages import Answer, WorkerInfo
from segmenter.queue.settle import Perform, settle
from segmenter.settings import WorkerSettings
from segmenter.storage.lru import SizedLru
from segmenter.volumes.runner import VolumeRunner

# Masks, a byte a pixel, that one group of prompts may give before the next is begun: 16 prompts of
# one box on a picture of 4 megapixels.
GROUP_MASKS_BYTES = 64 * MEBIBYTE


class Worker(Generic[Embedding]):
    """Answers jobs with one backend until told to stop.

    Args:
        poll_s: longest wait for a job, so also how late a stop is seen.
        memory: that looking at pictures takes.
    """

    def __init__(
        self,
        queue: Consumer,
        backend: Backend[Embedding],
        images: ImageStore,
        settings: WorkerSettings,
        *,
        volumes: VolumeRunner,
        worker_id: str,
        poll_s: float,
        memory: WorkingMemory,
    ) -> None:
        self._queue = queue
        self._backend = backend
        self._images = images
        self._memory = memory
        self._volumes = volumes
        self._max_batch = settings.max_batch
        self._poll_s = poll_s
        self._lanes = backend.lanes if isinstance(backend, ParallelBackend) else 1
        self._model = backend.capabilities.model
        self._info = WorkerInfo(worker_id=worker_id, model=self._model)
        # Always the same threads, so that a call finds the memory of the one before.
        self._threads = ThreadPoolExecutor(self._lanes, "model")
        self._embeddings: SizedLru[tuple[str, str, str], Embedding] = SizedLru(
            settings.max_embeddings_bytes, clock=time.monotonic
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Answer jobs until `stop` is set; then finish the running one and hand back the rest."""
        async with self._queue.alive(self._info):
            try:
                while not stop.is_set():
                    await self._serve(stop, wait_s=self._poll_s, volumes=1)
            finally:
                self._threads.shutdown(wait=False)

    async def _serve(self, stop: asyncio.Event, *, wait_s: float, volumes: int) -> None:
        """Answer what is queued; of the volume jobs `volumes` at most, the others go back."""
        leases = await self._queue.lease(limit=self._max_batch, wait_s=wait_s)
        long = [lease for lease in leases if lease.job.kind == "volume"]
        for lease in long[volumes:]:
            await settle(self._queue, lease, _hand_back)
        short = [lease for lease in leases if lease.job.kind != "volume"]
        await self._answer(by_image(short, self._has_embedding), stop)
        await self._answer([long[:volumes]], stop)

    async def _answer(self, groups: Sequence[Sequence[Lease]], stop: asyncio.Event) -> None:
        """Answer groups of jobs in their order: as many at once as the model takes calls."""
        free = asyncio.Semaphore(self._lanes)

        async def answer(group: Sequence[Lease]) -> None:
            async with free:
                for lease in group:
                    await settle(self._queue, lease, self._perform(stop))

        tasks = [asyncio.create_task(answer(group)) for group in groups]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    def _perform(self, stop: asyncio.Event) -> Perform:
        async def perform(lease: Lease) -> Answer:
            job = lease.job
            if stop.is_set():
                raise Requeue
            if job.kind == "volume":
                return await self._volumes.answer(job.id, lambda: self._go_on(lease, stop))
            if job.request is None:
                return Answer(capabilities=self._backend.capabilities)
            return Answer(result=await self._segment(job.request))

        return perform

    async def _go_on(self, lease: Lease, stop: asyncio.Event) -> bool:
        """Tell whether a volume job is still wanted, and answer what came in between."""
        if stop.is_set():
            raise Requeue
        # First: it renews the lease, or after an outage this worker might reclaim its own job.
        wanted = await self._queue.progressed(lease)
        if wanted:
            await self._serve(stop, wait_s=0.0, volumes=0)
        return wanted

    async def _segment(self, request: SegmentRequest) -> SegmentResult:
        # The stored description counts, not the caller's; asking also keeps the image alive.
        ref = await self._images.ref(request.image.id)
        check_asked(request.model_copy(update={"image": ref}), self._backend.capabilities)
        backend, key = self._under(request), self._key(ref, request.adapter)
        known = self._embeddings.get(key)
        pixels = None if known is not None else await self._images.pixels(ref)
        room = looking_bytes(
            ref.width * ref.height, boxes=max(len(prompt.boxes) for prompt in request.prompts)
        )
        async with self._memory.hold(room, what=LOOKING):
            looked = await asyncio.get_running_loop().run_in_executor(
                self._threads, _look, backend, known, pixels, request
            )
        if known is None:
            size = backend.embedding_bytes(looked.embedding)
            self._embeddings.put(key, looked.embedding, size)
        return SegmentResult(
            image=ref,
            results=tuple(looked.results),
            model=backend.capabilities.model,
            embedding_cached=known is not None,
            encode_s=looked.encode_s,
            predict_s=looked.predict_s,
        )

    def _under(self, request: SegmentRequest) -> Backend[Embedding]:
        """Return the backend as a request wants it; what it names was checked to be there."""
        if isinstance(self._backend, SwitchableBackend):
            return self._backend.under(adapter=request.adapter, postprocess=request.postprocess)
        return self._backend

    def _has_embedding(self, request: SegmentRequest) -> bool:
        return self._key(request.image, request.adapter) in self._embeddings

    def _key(self, ref: ImageRef, adapter: str | None) -> tuple[str, str, str]:
        """Key an embedding; a worker holds one set of weights in one dtype."""
        own = next(iter(self._backend.capabilities.adapters), "")
        return ref.sha256, self._model.weights_sha256, adapter or own


async def _hand_back(lease: Lease) -> Answer:
    raise Requeue


class _Looked(NamedTuple, Generic[Embedding]):
    """What one look at an image gave; seconds it took."""

    embedding: Embedding
    results: list[PromptResult]
    encode_s: float
    predict_s: float


def _look(
    backend: Backend[Embedding],
    known: Embedding | None,
    pixels: RgbImage | None,
    request: SegmentRequest,
) -> _Looked[Embedding]:
    """Embed an image, unless its embedding is known, and answer; in a thread of the model's."""
    started = time.monotonic()
    if known is None:
        assert pixels is not None
        embedding = backend.embed(pixels)
    else:
        embedding = known
    embedded = time.monotonic()
    results = _predict(backend, embedding, request)
    encode_s = embedded - started if known is None else 0.0
    return _Looked(embedding, results, encode_s, time.monotonic() - embedded)


def _predict(
    backend: Backend[Embedding], embedding: Embedding, request: SegmentRequest
) -> list[PromptResult]:
    threshold, own, results = request.threshold, backend.capabilities, []
    for prompts in in_groups(request):
        predictions = backend.predict(embedding, prompts, threshold=threshold)
        assert len(predictions) == len(prompts)
        results += [
            select(
                prediction,
                threshold=own.threshold_of(prediction.concept) if threshold is None else threshold,
                nms_iou=request.nms_iou,
                max_masks=request.max_masks,
                postprocess=request.postprocess or own.postprocess[0],
            )
            for prediction in predictions
        ]
        # Before the next ones are made.
        del predictions
    return results


def in_groups(request: SegmentRequest) -> Iterator[Sequence[Prompt]]:
    """Cut prompts into groups that are answered together, by the size of the masks they may give.

    A model answers a group in one go, with a mask of the image's size for each box.
    """
    pixels = request.image.width * request.image.height
    group: list[Prompt] = []
    for prompt in request.prompts:
        group.append(prompt)
        if pixels * sum(max(len(each.boxes), 1) for each in group) > GROUP_MASKS_BYTES:
            yield group
            group = []
    if group:
        yield group


def by_image(
    leases: Sequence[Lease], is_cheap: Callable[[SegmentRequest], bool]
) -> list[list[Lease]]:
    """Group a batch: jobs without an image, then embedded images, then new ones, each image's."""
    groups: dict[str, list[Lease]] = {}
    for lease in leases:
        request = lease.job.request
        groups.setdefault("" if request is None else request.image.sha256, []).append(lease)

    def rank(group: list[Lease]) -> int:
        request = group[0].job.request
        if request is None:
            return 0
        return 1 if is_cheap(request) else 2

    return sorted(groups.values(), key=rank)

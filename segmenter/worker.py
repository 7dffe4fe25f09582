"""The worker: lease what is queued, embed each image once, answer every job.

Shared: nothing; one `Worker` owns its backend, its embeddings and one event loop. The model runs in
a thread, one call at a time. Guaranteed: every leased job is answered, or handed back on a stop; a
job that fails is answered with its error, and what fails outside of a job ends the worker.
At most one volume job is under way; between its frames whatever else is queued is answered, and
other volume jobs are handed back.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Generic

from segmenter.backends.contract import Backend, Embedding, SwitchableBackend
from segmenter.backends.postprocess import select
from segmenter.contract import ImageRef, ImageStore, PromptResult, SegmentRequest, SegmentResult
from segmenter.errors import JobFailed, SegmenterError, TransportDown
from segmenter.prompt_checks import check_asked
from segmenter.queue.contract import Consumer, Lease, Requeue
from segmenter.queue.messages import Answer, WorkerInfo, failed
from segmenter.settings import WorkerSettings
from segmenter.storage.lru import SizedLru
from segmenter.volumes.runner import VolumeRunner

logger = logging.getLogger(__name__)


class Worker(Generic[Embedding]):
    """Answers jobs with one backend until told to stop.

    Args:
        poll_s: longest wait for a job, so also how late a stop is seen.
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
    ) -> None:
        self._queue = queue
        self._backend = backend
        self._images = images
        self._volumes = volumes
        self._max_batch = settings.max_batch
        self._poll_s = poll_s
        self._model = backend.capabilities.model
        self._presence = WorkerInfo(worker_id=worker_id, model=self._model)
        self._embeddings: SizedLru[tuple[str, str, str], Embedding] = SizedLru(
            settings.max_embeddings_bytes, clock=time.monotonic
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Answer jobs until `stop` is set; then finish the running one and hand back the rest."""
        async with self._queue.alive(self._presence):
            while not stop.is_set():
                await self._serve(stop, wait_s=self._poll_s, volumes=1)

    async def _serve(self, stop: asyncio.Event, *, wait_s: float, volumes: int) -> None:
        """Answer what is queued; of the volume jobs `volumes` at most, the others go back."""
        leases = await self._queue.lease(limit=self._max_batch, wait_s=wait_s)
        long = [lease for lease in leases if lease.job.kind == "volume"]
        for lease in long[volumes:]:
            await self._settle(lease, stop, hand_back=True)
        short = [lease for lease in leases if lease.job.kind != "volume"]
        for lease in (*in_order(short, self._has_embedding), *long[:volumes]):
            await self._settle(lease, stop, hand_back=stop.is_set())

    async def _settle(self, lease: Lease, stop: asyncio.Event, *, hand_back: bool) -> None:
        try:
            if hand_back:
                await self._queue.release(lease)
            elif await self._queue.wanted(lease):
                await self.answer(lease, stop)
            else:
                # It has an answer, so this one is void; what counts is that the queue forgets it.
                await self._queue.answer(lease, failed(JobFailed("the job was answered before")))
        except TransportDown as error:
            # Nobody can be told; the lease lapses and the job goes to whoever is there then.
            logger.warning("job not settled", extra={"job_id": lease.job.id, "error": str(error)})

    async def answer(self, lease: Lease, stop: asyncio.Event) -> None:
        """Run one job and leave its answer, a failure too."""
        started = time.monotonic()
        try:
            answer = await self._perform(lease, stop)
        except Requeue:
            await self._queue.release(lease)
            return
        except SegmenterError as error:
            answer = failed(error)
        except Exception as error:  # noqa: BLE001 - a bad job is answered; its worker lives on
            # The message may hold a patient's data, the class does not.
            logger.error("backend failed", extra={"error": type(error).__name__})
            answer = failed(JobFailed(f"the model failed with {type(error).__name__}"))
        first = await self._queue.answer(lease, answer)
        logger.info("job answered", extra=_facts(lease, answer, first, time.monotonic() - started))

    async def _perform(self, lease: Lease, stop: asyncio.Event) -> Answer:
        job = lease.job
        if job.kind == "volume":
            return await self._volumes.answer(job.id, lambda: self._go_on(lease, stop))
        if job.request is None:
            return Answer(capabilities=self._backend.capabilities)
        return Answer(result=await self._segment(job.request))

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
        embedding = self._embeddings.get(key)
        cached, started = embedding is not None, time.monotonic()
        if embedding is None:
            embedding = await asyncio.to_thread(backend.embed, await self._images.pixels(ref))
            self._embeddings.put(key, embedding, backend.embedding_bytes(embedding))
        embedded = time.monotonic()
        results = await asyncio.to_thread(_predict, backend, embedding, request)
        return SegmentResult(
            image=ref,
            results=tuple(results),
            model=backend.capabilities.model,
            embedding_cached=cached,
            encode_s=0.0 if cached else embedded - started,
            predict_s=time.monotonic() - embedded,
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


def _predict(
    backend: Backend[Embedding], embedding: Embedding, request: SegmentRequest
) -> list[PromptResult]:
    threshold, own = request.threshold, backend.capabilities
    predictions = backend.predict(embedding, request.prompts, threshold=threshold)
    assert len(predictions) == len(request.prompts)
    return [
        select(
            prediction,
            threshold=own.threshold_of(prediction.concept) if threshold is None else threshold,
            nms_iou=request.nms_iou,
            max_masks=request.max_masks,
            postprocess=request.postprocess or own.postprocess[0],
        )
        for prediction in predictions
    ]


def in_order(leases: Sequence[Lease], is_cheap: Callable[[SegmentRequest], bool]) -> list[Lease]:
    """Sort a batch: jobs without an image, then embedded images, then new ones image by image."""
    groups: dict[str, list[Lease]] = {}
    for lease in leases:
        request = lease.job.request
        groups.setdefault("" if request is None else request.image.sha256, []).append(lease)

    def rank(group: list[Lease]) -> int:
        request = group[0].job.request
        if request is None:
            return 0
        return 1 if is_cheap(request) else 2

    return [lease for group in sorted(groups.values(), key=rank) for lease in group]


def _facts(lease: Lease, answer: Answer, first: bool, seconds: float) -> dict[str, object]:
    failure, result = answer.failure, answer.result
    return {
        "job_id": lease.job.id,
        "kind": lease.job.kind,
        "attempt": lease.attempt,
        "first": first,
        "error": failure.error if failure else None,
        "masks": sum(len(each.masks) for each in result.results) if result else None,
        "seconds": round(seconds, 4),
    }

"""`QueuedSegmenter`: the segmenter that callers use, with a queue and a worker behind it.

Shared: one by all requests of one event loop; its only state is the last capabilities and the last
look at the workers. Guaranteed: each call ends at its deadline, or some seconds after the last
worker has died; a caller that leaves or runs out of time cancels its job.
"""

import asyncio
import time
from contextlib import suppress
from uuid import uuid4

from segmenter.contract import Capabilities, SegmentRequest, SegmentResult
from segmenter.errors import JobFailed, NoWorker, TransportDown
from segmenter.prompt_checks import check_boxes
from segmenter.queue.contract import Producer, until_workers
from segmenter.queue.messages import Answer, Job, WorkerInfo, to_error

# Capabilities change with the weights alone; asking once a minute notices a new mix of workers.
CAPABILITIES_TTL_S = 60.0
# A worker that restarts, or signs in again after an outage of the broker, needs about a second.
NO_WORKER_GRACE_S = 2.0
NO_WORKER = "no live worker"
# Callers that wait look at the workers so often; all of them together, however many there are.
LOOK_EVERY_S = 1.0
# A worker that its supervisor starts again needs three to four seconds of a core to sign in.
MISSED_S = 5.0


class QueuedSegmenter:
    """`segmenter.contract.Segmenter` over a queue."""

    def __init__(self, queue: Producer, *, grace_s: float = NO_WORKER_GRACE_S) -> None:
        self._queue = queue
        self._grace_s = grace_s
        self._known: dict[str, tuple[float, Capabilities]] = {}
        self._watch = _WorkerWatch(queue)

    async def segment(self, request: SegmentRequest, *, timeout_s: float) -> SegmentResult:
        """See `segmenter.contract.Segmenter`."""
        check_boxes(request)
        deadline = time.monotonic() + timeout_s
        await self.until_workers(min(self._grace_s, timeout_s))
        job = Job(id=uuid4().hex, kind="segment", request=request)
        answer = await self._call(job, deadline)
        if answer.result is None:
            raise JobFailed("the worker answered something else")
        return answer.result

    async def capabilities(self, *, timeout_s: float) -> Capabilities:
        """See `segmenter.contract.Segmenter`."""
        deadline = time.monotonic() + timeout_s
        workers = await self.until_workers(min(self._grace_s, timeout_s))
        weights = None if workers[0].model is None else workers[0].model.weights_sha256
        asked_at, known = self._known.get(weights or "", (0.0, None))
        if known is not None and time.monotonic() - asked_at < CAPABILITIES_TTL_S:
            return known
        answer = await self._call(Job(id=uuid4().hex, kind="capabilities"), deadline)
        if answer.capabilities is None:
            raise JobFailed("the worker answered something else")
        # Only the last weights are kept: one entry, and a swap back costs one question.
        answered_by = answer.capabilities.model.weights_sha256
        self._known = {answered_by: (time.monotonic(), answer.capabilities)}
        return answer.capabilities

    async def workers(self, *, timeout_s: float) -> tuple[WorkerInfo, ...]:
        """Return the live workers, for readiness; none is not an error here.

        Raises:
            TransportDown.
        """
        return await self._queue.workers(timeout_s=timeout_s)

    async def probe(self, *, timeout_s: float) -> None:
        """Check that the queue takes jobs; raises TransportDown, which says why not."""
        await self._queue.probe(timeout_s=timeout_s)

    async def until_workers(self, within_s: float) -> tuple[WorkerInfo, ...]:
        """Return the live workers, waiting for the first; raises NoWorker, TransportDown."""
        return await until_workers(self._queue, within_s, NO_WORKER)

    async def _call(self, job: Job, deadline: float) -> Answer:
        try:
            await self._queue.submit(job, timeout_s=max(deadline - time.monotonic(), 0.0))
            answer = await self._answer(job.id, deadline)
        except (asyncio.CancelledError, NoWorker):
            await self._give_up(job.id)
            raise
        if answer.failure is not None:
            raise to_error(answer.failure)
        return answer

    async def _answer(self, job_id: str, deadline: float) -> Answer:
        """Wait for an answer as long as somebody lives who could give it.

        Raises:
            NoWorker: nobody has lived for a while.
        """
        left_s = max(deadline - time.monotonic(), 0.0)
        waiting = asyncio.create_task(self._queue.wait(job_id, timeout_s=left_s))
        waiting.add_done_callback(_take_note)
        since = time.monotonic()
        try:
            while not (await asyncio.wait({waiting}, timeout=LOOK_EVERY_S))[0]:
                if await self._watch.missed_s(since) > MISSED_S and not waiting.done():
                    raise NoWorker("the last worker has died")
            return waiting.result()
        finally:
            waiting.cancel()

    async def _give_up(self, job_id: str) -> None:
        # Bounded by the queue's own time limit; if it fails the job only runs for nothing.
        with suppress(TransportDown):
            await self._queue.cancel(job_id)


def _take_note(waiting: asyncio.Task[Answer]) -> None:
    # A caller that left does not ask how its wait ended.
    if not waiting.cancelled():
        waiting.exception()


class _WorkerWatch:
    """Looks at the workers for all who wait, one look at a time."""

    def __init__(self, queue: Producer) -> None:
        self._queue = queue
        self._looking = asyncio.Lock()
        self._looked_at = 0.0
        self._seen_at = 0.0

    async def missed_s(self, since: float) -> float:
        """Return for how many seconds nobody was seen by whoever began to wait at `since`."""
        async with self._looking:
            if time.monotonic() - self._looked_at >= LOOK_EVERY_S / 2:
                await self._look()
        return self._looked_at - max(self._seen_at, since)

    async def _look(self) -> None:
        try:
            seen = bool(await self._queue.workers(timeout_s=LOOK_EVERY_S))
        except TransportDown:
            # Nobody could be seen; the heartbeats come back after the queue.
            seen = True
        self._looked_at = time.monotonic()
        if seen:
            self._seen_at = self._looked_at

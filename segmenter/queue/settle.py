"""One leased job from start to answer, for workers of every kind.

Guaranteed: a job is answered, with its failure too, or handed back; one that fails does not end its
worker. A worker whose queue is out lets its lease lapse: the job comes again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from segmenter.errors import JobFailed, SegmenterError, TransportDown
from segmenter.queue.contract import Consumer, Lease, Requeue
from segmenter.queue.messages import Answer, failed

logger = logging.getLogger(__name__)

# Does what a job asks; may raise `Requeue`.
Perform = Callable[[Lease], Awaitable[Answer]]


async def settle(queue: Consumer, lease: Lease, perform: Perform) -> None:
    """Run a job and leave its answer, or hand it back if `perform` says so or is cancelled."""
    started = time.monotonic()
    try:
        try:
            answer = await _answer(queue, lease, perform)
        except (Requeue, asyncio.CancelledError) as stop:
            await asyncio.shield(queue.release(lease))
            if isinstance(stop, asyncio.CancelledError):
                raise
            return
        first = await queue.answer(lease, answer)
    except TransportDown as error:
        # Nobody can be told; the lease lapses and the job goes to whoever is there then.
        logger.warning("job not settled", extra={"job_id": lease.job.id, "error": str(error)})
        return
    logger.info("job answered", extra=_facts(lease, answer, first, time.monotonic() - started))


async def _answer(queue: Consumer, lease: Lease, perform: Perform) -> Answer:
    if not await queue.wanted(lease):
        # It has an answer, so this one is void; what counts is that the queue forgets it.
        return failed(JobFailed("the job was answered before"))
    try:
        return await perform(lease)
    except Requeue:
        raise
    except SegmenterError as error:
        return failed(error)
    except Exception as error:  # noqa: BLE001 - a bad job is answered; its worker lives on
        # The message may hold a patient's data, the class does not.
        logger.error("job broke off", extra={"error": type(error).__name__})
        what = "run" if lease.job.kind == "run" else "model"
        return failed(JobFailed(f"the {what} failed with {type(error).__name__}"))


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

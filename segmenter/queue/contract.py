"""What a job queue must offer: one protocol for callers, one for workers.

Shared by all implementations, and held by `tests/segmenter/queue/test_contract.py`:

* A job runs at least once while a worker lives; its caller sees exactly one answer, the first.
* Jobs are handed out in the order they came; a job handed back or reclaimed may come later.
* A lease belongs to a live worker. When the worker falls silent the job goes to another one, at
  most `max_attempts` times in all, then it is a dead letter and its caller gets `JobFailed`.
* Cancelling gives a job its answer (`JobCancelled`), so nobody starts it and a late result is void.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from segmenter.contract import Entry
from segmenter.errors import DeadlineExceeded, JobCancelled, JobFailed, NoWorker, QueueFull
from segmenter.queue.messages import Answer, Job, WorkerInfo, failed

# What a segmentation costs at most in practice: 50 to 500 ms (reference/queue.md, section 4).
SERVICE_S = 0.5
# A longer hint would be a guess: by then workers may have come or gone.
MAX_RETRY_AFTER_S = 60.0
# Waiting for a worker: pause between looks, and what one look may take at least.
WORKERS_POLL_S = 0.05
LOOK_S = 3.0

StartDecision = Literal["run", "late", "dead"]


@dataclass(frozen=True)
class Lease:
    """A job in a worker's hands.

    Attributes:
        receipt: the queue's own handle; means nothing to others.
        attempt: 1 for the first start.
    """

    job: Job
    receipt: str
    attempt: int


class Producer(Protocol):
    """What an API process does with the queue."""

    async def submit(self, job: Job, *, timeout_s: float, anew: bool = False) -> None:
        """Queue a job; the same id again changes nothing.

        Args:
            job: to be queued.
            timeout_s: it is not started any more so long after this, or after it got on.
            anew: an earlier job of this id is forgotten.

        Raises:
            QueueFull, TransportDown.
        """
        ...

    async def wait(self, job_id: str, *, timeout_s: float) -> Answer:
        """Wait for the answer of a job submitted by this process; one waiter a job.

        Raises:
            DeadlineExceeded: time is up; the job is cancelled.
            JobFailed: no such job.
            TransportDown.
        """
        ...

    async def look(self, job_id: str) -> Answer | None:
        """Return the answer of a job, whoever submitted it; None while it has none.

        One whose deadline has passed and that nobody is at gets its answer here.

        Raises:
            JobFailed: no such job, or its answer has expired.
            TransportDown.
        """
        ...

    async def cancel(self, job_id: str) -> None:
        """Give the job up: not started if it waits, its result void if it runs.

        Raises:
            TransportDown.
        """
        ...

    async def workers(self, *, timeout_s: float) -> tuple[WorkerInfo, ...]:
        """Return who is alive.

        Raises:
            TransportDown.
        """
        ...

    async def probe(self, *, timeout_s: float) -> None:
        """Check that a job could be stored; costs one small write.

        Raises:
            TransportDown: says why not.
        """
        ...


class Consumer(Protocol):
    """What one worker does with the queue."""

    def alive(self, presence: WorkerInfo) -> AbstractAsyncContextManager[None]:
        """Count as alive, and keep every lease, while the context is open."""
        ...

    async def lease(self, *, limit: int, wait_s: float) -> Sequence[Lease]:
        """Take what is queued, at most `limit` jobs; wait for the first one at most `wait_s`.

        Never raises for an outage: it waits and returns nothing.
        """
        ...

    async def wanted(self, lease: Lease) -> bool:
        """Tell whether the job still lacks an answer.

        Raises:
            TransportDown: nobody knows; the lease is let go and the job comes again.
        """
        ...

    async def progressed(self, lease: Lease) -> bool:
        """Say that a long job is getting on; False if it has an answer and is to be ended.

        The lease is renewed, the time it may be held and the job's deadline start anew, and earlier
        attempts to run the job count no more.

        Raises:
            TransportDown: nobody knows; the lease is kept.
        """
        ...

    async def answer(self, lease: Lease, answer: Answer) -> bool:
        """Answer and forget the job; False if an answer was there already.

        Raises:
            TransportDown: the answer could not be left; the job will run again.
        """
        ...

    async def release(self, lease: Lease) -> None:
        """Hand the job back unstarted: others can take it at once, the attempt does not count."""
        ...


async def until_workers(
    queue: Producer, within_s: float, message: str, *, missing: type[NoWorker] = NoWorker
) -> tuple[WorkerInfo, ...]:
    """Return who is alive, waiting for the first.

    Raises:
        NoWorker: as `missing`, with `message`.
        TransportDown: Redis may be why nobody is seen.
    """
    deadline = time.monotonic() + within_s
    while not (workers := await queue.workers(timeout_s=max(within_s, LOOK_S))):
        if time.monotonic() >= deadline:
            # A heartbeat is a write: where none can be made, nobody seems to live.
            await queue.probe(timeout_s=LOOK_S)
            raise missing(message)
        await asyncio.sleep(WORKERS_POLL_S)
    return workers


def judge(*, late: bool, attempt: int, max_attempts: int) -> StartDecision:
    """Decide what to do with an unanswered job that is about to start."""
    if late:
        return "late"
    return "dead" if attempt > max_attempts else "run"


def refusal(verdict: StartDecision, *, max_attempts: int) -> Answer:
    """Return the answer of a job that is not started."""
    if verdict == "late":
        return failed(DeadlineExceeded("the job's deadline passed before a worker was free"))
    return failed(JobFailed(f"all {max_attempts} attempts ended without an answer"))


def cancelled() -> Answer:
    """Return the answer of a job its caller gave up."""
    return failed(JobCancelled("the job was cancelled before it finished"))


def queue_full(depth: int, max_depth: int, workers: int) -> QueueFull:
    """Return the error for a queue at its bound, with a guess when there is room."""
    wait_s = min(depth * SERVICE_S / max(workers, 1), MAX_RETRY_AFTER_S)
    return QueueFull(f"{depth} jobs are queued, the limit is {max_depth}", retry_after_s=wait_s)


class Requeue(Exception):
    """The job is to be handed back as it is: another worker, or this one later, goes on with it."""


class Accept(Protocol):
    """Takes a job on: from its return on the job and its records are kept, whoever dies."""

    async def __call__(self, entries: Sequence[Entry], job: Job, *, timeout_s: float) -> str | None:
        """Store records and queue their job, all or nothing; a repetition is harmless.

        Args:
            entries: as for `segmenter.contract.RecordStore.put_together`.
            job: an earlier one of its id is forgotten.
            timeout_s: see `Producer.submit`.

        Returns:
            The key of an entry that was taken, None if all is kept.

        Raises:
            QueueFull: nothing is kept.
            TransportDown: all is kept, or nothing.
        """
        ...


class RunQueue(NamedTuple):
    """Both ends of the queue of runs, as one process sees it."""

    caller: Producer
    worker: Consumer

"""The queue inside one process: the embedded default, and the model the Redis one is held to.

Shared: one `MemoryTransport` by the callers and workers of one event loop; no other thread touches
it. Guaranteed: what `segmenter.queue.contract` says, while the process lives; nothing survives it.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import uuid4

from segmenter.errors import DeadlineExceeded, JobFailed
from segmenter.queue.contract import Lease, cancelled, judge, queue_full, refusal
from segmenter.queue.messages import Answer, Job, WorkerInfo
from segmenter.settings import QueueSettings

Value = TypeVar("Value")

# Answers wait for their caller, who is in this process; the bound only catches callers that left.
MAX_ANSWERED = 1024
# Ids of finished jobs, so that none runs twice; repeats come within seconds, an id has 100 bytes.
MAX_FINISHED = 10_000


@dataclass
class _Entry:
    """State of one job; `receipt`, `worker_id` and `leased_at` are those of the last lease."""

    job: Job
    timeout_s: float
    deadline: float
    answer: asyncio.Future[Answer]
    attempts: int = 0
    receipt: str | None = None
    worker_id: str = ""
    leased_at: float = 0.0


@dataclass
class _Hands:
    """Receipts one worker holds, and when it last took or let go of one."""

    receipts: set[str] = field(default_factory=set)
    moved_at: float = 0.0


@dataclass
class MemoryTransport:
    """Caller's side; `worker` gives the workers' side of the same queue."""

    settings: QueueSettings = field(default_factory=QueueSettings)
    dead_letters: deque[Job] = field(default_factory=lambda: deque(maxlen=1000))
    _open: OrderedDict[str, _Entry] = field(default_factory=OrderedDict)
    _queued: deque[str] = field(default_factory=deque)
    _answered: OrderedDict[str, asyncio.Future[Answer]] = field(default_factory=OrderedDict)
    _finished: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _alive: dict[str, WorkerInfo] = field(default_factory=dict)
    _hands: dict[str, _Hands] = field(default_factory=dict)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def submit(self, job: Job, *, timeout_s: float, anew: bool = False) -> None:
        """See `segmenter.queue.contract.Producer`."""
        if anew:
            self.finish(job.id, cancelled())
            self._answered.pop(job.id, None)
            self._finished.pop(job.id, None)
        if job.id in self._open or job.id in self._finished:
            return
        # A cancelled job keeps its place until a worker passes it, as in Redis.
        depth = max(len(self._open), len(self._queued))
        if depth >= self.settings.max_depth:
            raise queue_full(depth, self.settings.max_depth, len(self._live()))
        answer = asyncio.get_running_loop().create_future()
        self._open[job.id] = _Entry(job, timeout_s, time.monotonic() + timeout_s, answer)
        self._enqueue(job.id)

    async def wait(self, job_id: str, *, timeout_s: float) -> Answer:
        """See `segmenter.queue.contract.Producer`."""
        entry = self._open.get(job_id)
        answer = self._answered.get(job_id) if entry is None else entry.answer
        if answer is None:
            raise JobFailed(f"there is no job {job_id!r}")
        try:
            await asyncio.wait({answer}, timeout=timeout_s)
            if answer.done():
                return answer.result()
            await self.cancel(job_id)
        finally:
            self._answered.pop(job_id, None)
        raise DeadlineExceeded(f"no answer within {timeout_s:.1f} s")

    async def look(self, job_id: str) -> Answer | None:
        """See `segmenter.queue.contract.Producer`."""
        entry = self._open.get(job_id)
        if entry is not None and entry.receipt is None and time.monotonic() > entry.deadline:
            limit = self.settings.max_attempts
            self.finish(job_id, refusal("late", max_attempts=limit))
        elif entry is not None:
            return None
        answer = self._answered.get(job_id)
        if answer is None:
            raise JobFailed(f"there is no job {job_id!r}")
        return answer.result()

    async def cancel(self, job_id: str) -> None:
        """See `segmenter.queue.contract.Producer`."""
        self.finish(job_id, cancelled())

    async def workers(self, *, timeout_s: float) -> tuple[WorkerInfo, ...]:
        """See `segmenter.queue.contract.Producer`."""
        return tuple(self._within(self.settings.max_step_s).values())

    async def probe(self, *, timeout_s: float) -> None:
        """See `segmenter.queue.contract.Producer`; memory takes what `submit` bounds."""

    def worker(self, worker_id: str) -> "MemoryWorker":
        """Return the workers' side for one worker."""
        return MemoryWorker(self, worker_id)

    def finish(self, job_id: str, answer: Answer) -> bool:
        """Give a job its answer; False if it has one or never was."""
        entry = self._open.pop(job_id, None)
        if entry is None:
            return False
        entry.answer.set_result(answer)
        self._answered[job_id], self._finished[job_id] = entry.answer, None
        _trim(self._answered, MAX_ANSWERED)
        _trim(self._finished, MAX_FINISHED)
        return True

    def take(self, worker_id: str, limit: int) -> list[Lease]:
        """Lease up to `limit` jobs that are to run; answer those that are not."""
        self._reclaim()
        leases: list[Lease] = []
        while self._queued and len(leases) < limit:
            entry = self._open.get(self._queued.popleft())
            # An id that was forgotten and came again may stand here twice.
            if entry is not None and entry.receipt is None and self._admit(entry):
                entry.receipt, entry.worker_id = uuid4().hex, worker_id
                entry.leased_at = time.monotonic()
                self._move(worker_id).add(entry.receipt)
                leases.append(Lease(entry.job, entry.receipt, entry.attempts))
        return leases

    async def arrival(self, wait_s: float) -> None:
        """Wait until something may be queued, at most `wait_s`."""
        self._arrived.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._arrived.wait()

    def is_open(self, job_id: str) -> bool:
        """Tell whether the job still lacks an answer."""
        return job_id in self._open

    def get_on(self, worker_id: str, lease: Lease) -> bool:
        """Note that a leased job is getting on; False if it has an answer."""
        self._move(worker_id)
        entry = self._open.get(lease.job.id)
        if entry is not None and entry.receipt == lease.receipt:
            entry.attempts = 1
            entry.deadline = time.monotonic() + entry.timeout_s
        return entry is not None

    def let_go(self, worker_id: str, lease: Lease) -> None:
        """Note that a worker is done with a lease, whatever became of its job."""
        self._move(worker_id).discard(lease.receipt)

    def hand_back(self, lease: Lease) -> None:
        """Queue a leased job again, unless its lease has passed to another worker."""
        entry = self._open.get(lease.job.id)
        if entry is not None and entry.receipt == lease.receipt:
            entry.attempts -= 1
            self._enqueue(lease.job.id)

    def arrive(self, presence: WorkerInfo) -> None:
        """Count a worker as alive."""
        self._alive[presence.worker_id] = presence

    def leave(self, worker_id: str) -> None:
        """Count a worker as gone."""
        self._alive.pop(worker_id, None)
        self._hands.pop(worker_id, None)

    def _move(self, worker_id: str) -> set[str]:
        """Take note of a sign of life; return what the worker holds, to be changed."""
        hands = self._hands.setdefault(worker_id, _Hands())
        hands.moved_at = time.monotonic()
        return hands.receipts

    def _live(self) -> dict[str, WorkerInfo]:
        return self._within(self.settings.max_hold_s)

    def _within(self, still_s: float) -> dict[str, WorkerInfo]:
        """Return who lives, but for those that have been at one job for longer."""
        limit_s = min(still_s, self.settings.max_hold_s)
        return {
            key: presence for key, presence in self._alive.items() if self._still_s(key) <= limit_s
        }

    def _still_s(self, worker_id: str) -> float:
        hands = self._hands.get(worker_id)
        if hands is None or not hands.receipts:
            return 0.0
        return time.monotonic() - hands.moved_at

    def _enqueue(self, job_id: str) -> None:
        self._open[job_id].receipt = None
        self._queued.append(job_id)
        self._arrived.set()

    def _admit(self, entry: _Entry) -> bool:
        entry.attempts += 1
        late = time.monotonic() > entry.deadline
        limit = self.settings.max_attempts
        verdict = judge(late=late, attempt=entry.attempts, max_attempts=limit)
        if verdict == "run":
            return True
        if verdict == "dead":
            self.dead_letters.append(entry.job)
        self.finish(entry.job.id, refusal(verdict, max_attempts=limit))
        return False

    def _reclaim(self) -> None:
        oldest, live = time.monotonic() - self.settings.lease_s, self._live()
        for job_id, entry in self._open.items():
            silent = entry.worker_id not in live and entry.leased_at < oldest
            if entry.receipt is not None and silent:
                self._enqueue(job_id)


def _trim(table: OrderedDict[str, Value], limit: int) -> None:
    while len(table) > limit:
        table.popitem(last=False)


@dataclass(frozen=True)
class MemoryWorker:
    """One worker's side of a `MemoryTransport`; see `segmenter.queue.contract.Consumer`."""

    transport: MemoryTransport
    worker_id: str

    @asynccontextmanager
    async def alive(self, presence: WorkerInfo) -> AsyncIterator[None]:
        """See `segmenter.queue.contract.Consumer`."""
        self.transport.arrive(presence)
        try:
            yield
        finally:
            self.transport.leave(self.worker_id)

    async def lease(self, *, limit: int, wait_s: float) -> Sequence[Lease]:
        """See `segmenter.queue.contract.Consumer`."""
        leases = self.transport.take(self.worker_id, limit)
        if leases or wait_s <= 0:
            return leases
        await self.transport.arrival(wait_s)
        return self.transport.take(self.worker_id, limit)

    async def wanted(self, lease: Lease) -> bool:
        """See `segmenter.queue.contract.Consumer`."""
        return self.transport.is_open(lease.job.id)

    async def progressed(self, lease: Lease) -> bool:
        """See `segmenter.queue.contract.Consumer`."""
        return self.transport.get_on(self.worker_id, lease)

    async def answer(self, lease: Lease, answer: Answer) -> bool:
        """See `segmenter.queue.contract.Consumer`."""
        self.transport.let_go(self.worker_id, lease)
        return self.transport.finish(lease.job.id, answer)

    async def release(self, lease: Lease) -> None:
        """See `segmenter.queue.contract.Consumer`."""
        self.transport.let_go(self.worker_id, lease)
        self.transport.hand_back(lease)

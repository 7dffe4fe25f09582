"""The agent as the routes see it: a run is queued, and some process carries it out.

The process that queued a run waits for its answer; the run itself does not depend on it.
"""

import asyncio
import time
from contextlib import suppress
from typing import NamedTuple

from agent.errors import (
    AgentError,
    InvalidRequest,
    RunCancelled,
    RunNotFound,
    ThreadBusy,
    TurnNotCome,
)
from agent.runs.events import GotOn, RunJob
from agent.runs.threads import LOCK_GRACE_S, busy, new_run_id, thread_of
from agent.schemas.runs import AgentRequest, RunRecord, Watch
from agent.service import AgentContext, AgentService
from segmenter.contract import Failure, JobEvent
from segmenter.errors import (
    TEMPORARY,
    DeadlineExceeded,
    JobCancelled,
    JobFailed,
    NoAgentWorker,
    QueueFull,
    SegmenterError,
    TransportDown,
    error_class,
)
from segmenter.queue.contract import Accept, Lease, Producer, Requeue, until_workers
from segmenter.queue.jobs import Jobs
from segmenter.queue.messages import Answer, failed, to_error, to_failure
from segmenter.queue.records import PREFIXES

# A worker that starts or restarts needs about a second to sign in.
NO_WORKER_GRACE_S = 3.0
NO_WORKER = "no process carries runs out: MEDSAM3_RUN_SLOTS is 0 everywhere"
# How late a waiting caller sees that all who could carry its run out are gone.
LOOK_S = 5.0
# Longer, a run that waits for its thread could keep the slot that the thread's own run needs.
PATIENCE_S = 2.0
# How long whoever runs a run that was ended may take to write it down.
RECORDED_WITHIN_S = 3.0
RECORDED_POLL_S = 0.1
# How long a run that is held up keeps its slot before it is handed back.
HELD_UP_S = 1.0


class Accepted(NamedTuple):
    """A run that was taken on, now or, under the same id, before."""

    job: RunJob
    is_new: bool


class QueuedAgent(AgentService):
    """An `AgentService` whose runs go through the queue of runs.

    Attributes:
        jobs: its runs as jobs.
        lifetime_s: a run that has not begun by then, or of which nothing was heard for so long, is
            given up.
    """

    def __init__(self, context: AgentContext, queue: Producer, accepted: Accept) -> None:
        super().__init__(context)
        self.lifetime_s = context.settings.run_timeout_s + LOCK_GRACE_S
        self.jobs = Jobs(self._jobs, queue, accepted, timeout_s=self.lifetime_s)

    async def accept(
        self,
        request: AgentRequest,
        *,
        job_id: str | None = None,
        fingerprint: str = "",
        now: bool = False,
    ) -> Accepted:
        """Take a run on: from here on it runs, whatever process dies.

        Args:
            request: what is asked.
            job_id: of a request that has a key; one that was taken on under it stands.
            fingerprint: of such a request.
            now: somebody has to be there who carries it out.

        Raises:
            NoWorker: nobody is.
            InvalidRequest, PlannerNotConfigured, ThreadNotFound, ThreadBusy, ImageNotFound,
            QueueFull.
            TransportDown: it is taken on, or not.
        """
        run_id = new_run_id() if job_id is None else PREFIXES["run"] + job_id
        if job_id is not None and (known := await self._jobs.record(run_id, RunJob)) is not None:
            return Accepted(known, is_new=False)
        if now:
            await self._until_workers()
        job = RunJob(
            id=_job_id(run_id),
            created_at=self._context.now(),
            fingerprint=fingerprint,
            thread_id=thread_of(request, run_id),
        )
        beside = await self.carrier.begin(run_id, request)
        try:
            kept, taken = await self.jobs.accept(job, beside=beside)
            if taken is not None:
                raise busy(job.thread_id)
        except (QueueFull, ThreadBusy):
            await self.carrier.let_image_go(run_id)
            raise
        return Accepted(kept, is_new=kept is job)

    async def job(self, run_id: str) -> RunJob:
        """Return a run as it was taken on; raises RunNotFound."""
        job = await self._jobs.record(run_id, RunJob)
        if job is None or job.gone == "erased":
            raise RunNotFound(f"run {run_id[:40]!r} is not here, or not any more")
        return job

    async def run(
        self, request: AgentRequest, *, run_id: str | None = None, watch: Watch | None = None
    ) -> RunRecord:
        """See `AgentService.run`; the queue gives the id.

        Nobody in this process can watch, but its events can be read.

        Raises:
            QueueFull, NoWorker, JobFailed, TransportDown.
        """
        assert run_id is None
        return await self.finished((await self.accept(request, now=True)).job)

    async def finished(self, job: RunJob) -> RunRecord:
        """Wait for a run that was taken on.

        Raises:
            NoWorker: it goes on when somebody is there again.
            QueueFull, TransportDown: it goes on, but nobody can tell how far it is.
            InvalidRequest, ThreadNotFound, ThreadBusy, ImageNotFound, RunCancelled,
            DeadlineExceeded, JobFailed: it ended without a record.
        """
        try:
            try:
                answer = await self._wait(job)
            except JobFailed:
                # It was stored, but not queued; if it was, this changes nothing.
                await self.jobs.submit(job)
                answer = await self._wait(job)
        except (DeadlineExceeded, JobFailed) as error:
            answer = failed(error)
        if answer.failure is None:
            return await self.run_record(job.public_id)
        if await self._jobs.end(job, "failed", answer.failure):
            await self.carrier.let_go(job.public_id, job.thread_id)
        raise _raised(answer.failure)

    async def _wait(self, job: RunJob) -> Answer:
        waiting = asyncio.create_task(self.jobs.queue.wait(job.id, timeout_s=self.lifetime_s))
        try:
            while not (await asyncio.wait({waiting}, timeout=LOOK_S))[0]:
                with suppress(QueueFull, TransportDown):
                    await self._until_workers()
            return waiting.result()
        finally:
            waiting.cancel()

    async def _until_workers(self) -> None:
        """Wait a moment for workers of runs and of the model.

        Raises:
            NoWorker: there are none.
            QueueFull, TransportDown.
        """
        await until_workers(self.jobs.queue, NO_WORKER_GRACE_S, NO_WORKER, missing=NoAgentWorker)
        try:
            await self._context.segmenter.capabilities(timeout_s=LOOK_S)
        except TEMPORARY:
            raise
        except SegmenterError:
            # Somebody is there, and busy, or it is the run's to say what is wrong.
            return

    async def cancel(self, job: RunJob) -> JobEvent:
        """Stop a run, in whatever process; returns how it ended, which may have been before."""
        end = await self.jobs.cancel(job)
        if (await self._jobs.last(job.public_id))[0] == 1:
            # It ended before it began: nobody else will clear up after it.
            await self.carrier.let_go(job.public_id, job.thread_id)
        return end

    async def outcome(self, run_id: str) -> RunRecord | JobEvent | None:
        """Return what became of a run.

        Returns:
            Its record; its last event if it ended before it began; None while it goes on.

        Raises:
            RunNotFound, TransportDown.
        """
        deadline = time.monotonic() + RECORDED_WITHIN_S
        while True:
            with suppress(RunNotFound):
                return await self.run_record(run_id)
            number, event = await self.jobs.last(await self.job(run_id))
            if event is None or not event.is_end:
                return None
            # One that another process ended is recorded at its next step.
            if number == 1 or time.monotonic() > deadline:
                return event
            await asyncio.sleep(RECORDED_POLL_S)

    async def relay(self) -> None:
        """Queue again what was taken on and has not ended; raises QueueFull, TransportDown."""
        await self.jobs.relay("run", RunJob)

    async def carry(self, lease: Lease, got_on: GotOn) -> Answer:
        """Carry out the run of a job, for `agent.runs.worker.RunWorker`.

        Args:
            lease: of the job.
            got_on: is told when the run has come further than ever before.

        Raises:
            Requeue: the stores, the queue or its workers are out of reach, or the run's turn has
                not come; it can be gone on with later.
        """
        run_id = PREFIXES["run"] + lease.job.id
        try:
            await self.carrier.carry_out(run_id, got_on=got_on, patience_s=PATIENCE_S)
        except TEMPORARY as error:
            # It is tried again at once, so not too often.
            await asyncio.sleep(HELD_UP_S)
            raise Requeue from error
        except TurnNotCome as error:
            raise Requeue from error
        except (AgentError, SegmenterError) as error:
            return Answer(failure=to_failure(error))
        return Answer(run=lease.job.id)


def _job_id(run_id: str) -> str:
    return run_id.removeprefix(PREFIXES["run"])


def _raised(failure: Failure) -> AgentError | SegmenterError:
    if failure.error == JobCancelled.__name__:
        return RunCancelled("the run was cancelled")
    kind = error_class(failure.error, AgentError)
    if kind is None:
        return to_error(failure)
    if issubclass(kind, InvalidRequest):
        return kind(failure.message, field=failure.field or "request")
    return kind(failure.message)

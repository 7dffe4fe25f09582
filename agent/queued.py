"""The agent as the routes see it: a run is queued, and some process carries it out.

The process that queued a run waits for its answer; the run itself does not depend on it.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress

from agent.errors import AgentError, InvalidRequest, RunCancelled, RunNotFound, TurnNotCome
from agent.runs.events import RunJob
from agent.runs.threads import LOCK_GRACE_S, new_run_id, thread_of
from agent.schemas.runs import AgentRequest, RunRecord, Watch
from agent.service import AgentContext, AgentService
from segmenter.contract import Failure, JobEvent
from segmenter.errors import (
    JobCancelled,
    SegmenterError,
    TransportDown,
    error_class,
)
from segmenter.queue.contract import Lease, Producer, Requeue, until_workers
from segmenter.queue.jobs import PREFIXES, Jobs
from segmenter.queue.messages import Answer, Job, to_error, to_failure

# A worker that starts or restarts needs about a second to sign in.
NO_WORKER_GRACE_S = 3.0
NO_WORKER = "no process carries runs out: MEDSAM3_RUN_SLOTS is 0 everywhere"
# Longer, a run that waits for its thread could keep the slot that the thread's own run needs.
PATIENCE_S = 2.0
# How long whoever runs a run that was ended may take to write it down.
RECORDED_WITHIN_S = 3.0
RECORDED_POLL_S = 0.1


class QueuedAgent(AgentService):
    """An `AgentService` whose runs go through the queue of runs.

    Attributes:
        jobs: its runs as jobs.
        lifetime_s: a run that has not ended by then is lost.
    """

    def __init__(self, context: AgentContext, queue: Producer) -> None:
        super().__init__(context)
        self.lifetime_s = context.settings.run_timeout_s + LOCK_GRACE_S
        self.jobs = Jobs(self._jobs, queue, timeout_s=self.lifetime_s)

    def new_job(
        self, request: AgentRequest, *, job_id: str | None = None, fingerprint: str = ""
    ) -> RunJob:
        """Describe a run to take on; with id and fingerprint if its request has a key."""
        run_id = new_run_id() if job_id is None else PREFIXES["run"] + job_id
        return RunJob(
            id=_job_id(run_id),
            created_at=self._context.now(),
            fingerprint=fingerprint,
            thread_id=thread_of(request, run_id),
        )

    async def job(self, run_id: str) -> RunJob:
        """Return a run as it was taken on; raises RunNotFound."""
        job = await self._jobs.record(run_id, RunJob)
        if job is None or job.gone == "erased":
            raise RunNotFound(f"run {run_id[:40]!r} is not here, or not any more")
        return job

    async def run(
        self, request: AgentRequest, *, run_id: str | None = None, watch: Watch | None = None
    ) -> RunRecord:
        """See `AgentService.run`; with a `run_id` the run was taken on already.

        Nobody in this process can watch, but its events can be read.

        Raises:
            QueueFull, NoWorker, JobFailed, TransportDown.
        """
        if run_id is not None:
            return await self.run_job(request, await self.job(run_id))
        return await self.run_job(request, await self._jobs.begin(self.new_job(request)))

    async def run_job(self, request: AgentRequest, job: RunJob) -> RunRecord:
        """Run a request that was taken on as this job; see `run`."""
        try:
            await until_workers(self.jobs.queue, NO_WORKER_GRACE_S, NO_WORKER)
            await self.begin(request, job.public_id)
            await self.jobs.submit(job)
            await self._wait(job)
        except TransportDown:
            # Whether it runs is not known; it may well end.
            raise
        except (AgentError, SegmenterError) as error:
            if await self._jobs.end(job, "failed", to_failure(error)):
                await self.carrier.let_go(job.public_id, job.thread_id)
            raise
        return await self.run_record(job.public_id)

    async def is_lost(self, job: RunJob) -> bool:
        """Tell whether a run has not ended in its time, and so never will."""
        if (self._context.now() - job.created_at).total_seconds() < self.lifetime_s:
            return False
        _, event = await self._jobs.last(job.public_id)
        return event is None or not event.is_end

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

    async def go_on_with(self, run_ids: Iterable[str]) -> None:
        """Queue runs again that a process before this one began and did not end."""
        for run_id in run_ids:
            job = Job(id=_job_id(run_id), kind="run")
            await self.jobs.queue.submit(job, timeout_s=self.lifetime_s)

    async def carry(self, lease: Lease) -> Answer:
        """Carry out the run of a job, for `agent.runs.worker.RunWorker`.

        Raises:
            Requeue: the stores are out of reach, or the run's turn has not come; it can be gone
                on with later.
        """
        run_id = PREFIXES["run"] + lease.job.id
        try:
            await self.carrier.carry_out(run_id, patience_s=PATIENCE_S)
        except (TransportDown, TurnNotCome) as error:
            raise Requeue from error
        except (AgentError, SegmenterError) as error:
            return Answer(failure=to_failure(error))
        return Answer(run=lease.job.id)

    async def _wait(self, job: RunJob) -> None:
        answer = await self.jobs.queue.wait(job.id, timeout_s=self.lifetime_s)
        if answer.failure is not None:
            raise _raised(answer.failure)


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

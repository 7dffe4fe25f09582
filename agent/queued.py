"""The agent as the routes see it: a run is queued, and some process carries it out.

The process that queued a run waits for its answer; the run itself does not depend on it.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress

from agent import errors as agent_errors
from agent.errors import AgentError, InvalidRequest, TurnNotCome
from agent.runs.threads import LOCK_GRACE_S, new_run_id
from agent.schemas.runs import AgentRequest, RunRecord, Watch
from agent.service import AgentContext, AgentService
from segmenter.errors import (
    DeadlineExceeded,
    InputError,
    JobFailed,
    NoWorker,
    SegmenterError,
    TransportDown,
)
from segmenter.queue.contract import Producer, Requeue
from segmenter.queue.messages import Failure, Job, to_error

RUN_PREFIX = "run_"
# A worker that starts or restarts needs about a second to sign in.
NO_WORKER_GRACE_S = 3.0
NO_WORKER_POLL_S = 0.1
# Longer, a run that waits for its thread could keep the slot that the thread's own run needs.
PATIENCE_S = 2.0


class QueuedAgent(AgentService):
    """An `AgentService` whose runs go through the queue of runs."""

    def __init__(self, context: AgentContext, queue: Producer) -> None:
        super().__init__(context)
        self._queue = queue
        self._timeout_s = context.settings.run_timeout_s + LOCK_GRACE_S

    async def run(
        self, request: AgentRequest, *, run_id: str | None = None, watch: Watch | None = None
    ) -> RunRecord:
        """See `AgentService.run`; nobody in this process can watch, its events can be read.

        Raises:
            QueueFull, NoWorker, JobFailed, TransportDown.
        """
        run_id = run_id or new_run_id()
        await self._until_worker()
        await self.begin(request, run_id)
        try:
            await self._queue.submit(_job(run_id), timeout_s=self._timeout_s)
        except BaseException as error:
            await self.give_up(run_id, type(error).__name__)
            raise
        await self._wait(run_id)
        return await self.run_record(run_id)

    async def _wait(self, run_id: str) -> None:
        try:
            answer = await self._queue.wait(_job(run_id).id, timeout_s=self._timeout_s)
        except DeadlineExceeded:
            with suppress(AgentError):
                await self.cancel(run_id)
            await self.give_up(run_id, "DeadlineExceeded")
            raise
        if answer.failure is None:
            return
        if answer.failure.error == JobFailed.__name__:
            # Every attempt ended without a word: nobody is left to write one.
            await self.give_up(run_id, answer.failure.error)
        raise _raised(answer.failure)

    async def _until_worker(self) -> None:
        deadline = time.monotonic() + NO_WORKER_GRACE_S
        while not await self._queue.workers(timeout_s=NO_WORKER_GRACE_S):
            if time.monotonic() > deadline:
                raise NoWorker("no process carries runs out: MEDSAM3_RUN_SLOTS is 0 everywhere")
            await asyncio.sleep(NO_WORKER_POLL_S)

    async def go_on_with(self, run_ids: Iterable[str]) -> None:
        """Queue runs again that a process before this one began and did not end."""
        for run_id in run_ids:
            await self._queue.submit(_job(run_id), timeout_s=self._timeout_s)

    async def carry(self, job_id: str) -> Failure | None:
        """Carry out the run of a job, for `agent.runs.worker.RunWorker`.

        Raises:
            Requeue: the stores are out of reach, or the run's turn has not come; it can be gone
                on with later.
        """
        try:
            await self.carry_out(RUN_PREFIX + job_id, patience_s=PATIENCE_S)
        except (TransportDown, TurnNotCome) as error:
            raise Requeue from error
        except (AgentError, SegmenterError) as error:
            field = error.field if isinstance(error, InvalidRequest | InputError) else None
            return Failure(error=type(error).__name__, message=str(error), field=field)
        return None


def _job(run_id: str) -> Job:
    return Job(id=run_id.removeprefix(RUN_PREFIX), kind="run")


def _raised(failure: Failure) -> AgentError | SegmenterError:
    kind = getattr(agent_errors, failure.error, None)
    if not (isinstance(kind, type) and issubclass(kind, AgentError)):
        return to_error(failure)
    if issubclass(kind, InvalidRequest):
        return kind(failure.message, field=failure.field or "request")
    return kind(failure.message)

"""A run as a job: what is kept of it from the moment it is taken on, and its log of events.

A run's events are written by the one process that runs it, in their order; any process may read
them, and end the run. An outage of the store loses events, never a run.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal, TypeAlias

from agent.errors import RunCancelled
from agent.schemas.rounds import Status
from agent.schemas.runs import RunRecord, Watch
from segmenter.contract import JobEvent
from segmenter.errors import TransportDown
from segmenter.queue.records import JobRecord, JobStore, JobWriter

logger = logging.getLogger(__name__)

GotOn: TypeAlias = Callable[[], Awaitable[object]]
# How late an end that another process wrote is seen.
POLL_S = 0.25


class RunJob(JobRecord):
    """A run as it was taken on.

    Attributes:
        thread_id: of the conversation it belongs to, which it may be the first run of.
        gone: why its key does not lead to it any more: its request was answered with an error and
            may be made again, or what it found was erased.
    """

    kind: Literal["run"] = "run"
    thread_id: str
    gone: Literal["failed", "erased"] | None = None


class LiveRun:
    """A run's events, for the process that runs it; see `RunEvents.live`.

    Attributes:
        ended: set when another process has ended the run.
        got_on: is told when the run has come further than ever before.
    """

    def __init__(self, log: JobWriter, watch: Watch | None, got_on: GotOn) -> None:
        self._log = log
        self._watch = watch
        self.got_on = got_on
        self.ended = asyncio.Event()

    async def tell(self, event: JobEvent) -> None:
        """Keep an event, and tell who watches; one that was kept before is not new."""
        before = len(self._log.events)
        try:
            if not await self._log.tell(event):
                self.ended.set()
            if len(self._log.events) > before:
                await self.got_on()
        except TransportDown:
            logger.warning("event not kept", extra={"event": event.name})
        if self._watch is not None:
            await self._watch(event)

    async def is_ended(self) -> bool:
        """Tell whether another process has ended the run."""
        try:
            return await self._log.is_ended()
        except TransportDown:
            return False


class RunEvents:
    """The events of runs, by run id."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs

    async def over(self, run_id: str) -> None:
        """Note that nobody has to carry a run out any more."""
        await self._jobs.over(run_id)

    async def forget(self, run_id: str) -> None:
        """Forget a run's events; a key that led to it is not free again."""
        job = await self._jobs.record(run_id, RunJob)
        await self._jobs.forget(run_id)
        if job is not None and job.fingerprint:
            await self._jobs.replace(job.model_copy(update={"gone": "erased"}))

    @asynccontextmanager
    async def live(self, run_id: str, watch: Watch | None, got_on: GotOn) -> AsyncIterator[LiveRun]:
        """Cancel what runs inside when another process ends the run.

        Args:
            run_id: of the run.
            watch: is told every step.
            got_on: is told when the run has come further than ever before.

        Raises:
            RunCancelled: one did.
        """
        task = asyncio.current_task()
        assert task is not None
        run = LiveRun(await self._jobs.writer(run_id), watch, got_on)

        async def poll() -> None:
            # The end comes from any process, by way of the store: there is no event to wait for.
            # What was written so far, the writer has just read.
            await asyncio.sleep(POLL_S)
            while not await run.is_ended():  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
            run.ended.set()
            task.cancel()

        poller = asyncio.create_task(poll())
        try:
            yield run
        except asyncio.CancelledError:
            if not run.ended.is_set():
                raise
            task.uncancel()
            raise RunCancelled("the run was cancelled") from None
        finally:
            poller.cancel()
            with suppress(asyncio.CancelledError):
                await poller


def last_event(run: RunRecord) -> JobEvent:
    """Return the event that a run ends with: how it ended, and in which words."""
    facts: dict[str, str | int | float] = {"status": run.status.value, "message": run.message}
    if run.status is not Status.FAILED:
        return JobEvent(name="run.completed", state="done", facts=facts)
    facts["error"] = run.error_kind or ""
    if run.error_kind != "cancelled":
        return JobEvent(name="run.failed", state="failed", facts=facts)
    facts["status"] = "cancelled"
    return JobEvent(name="run.cancelled", state="cancelled", facts=facts)

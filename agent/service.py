"""The agent as its callers use it: run a request, read and erase what was kept, draw it.

Any number of runs may go on at once; runs of one thread exclude each other (`ThreadBusy`). A run is
recorded however it ends. A process that dies leaves no half-written record, and what it had begun
(`begin`) another one carries out to the same end.
"""

from agent.runs.carrier import AgentContext, RunCarrier
from agent.runs.events import RunEvents
from agent.runs.log import RunLog
from agent.runs.pictures import Pictures
from agent.runs.replay import Recording
from agent.runs.threads import Threads, busy, new_run_id
from agent.schemas.runs import AgentRequest, RunRecord, ThreadRecord, Watch
from agent.settings import AgentSettings
from segmenter.queue.records import JobStore

__all__ = ["AgentContext", "AgentService", "AgentSettings"]


class AgentService:
    """Runs requests and keeps their records.

    Attributes:
        pictures: of the runs that are kept.
        carrier: carries out what was begun.
    """

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        ttl_s = context.settings.record_ttl_s
        self._jobs = JobStore(context.records, ttl_s=ttl_s)
        self._events = RunEvents(self._jobs)
        self._log = RunLog(context.records, ttl_s=ttl_s)
        self._threads = Threads(context.records, context.images, ttl_s=ttl_s)
        self.pictures = Pictures(self._threads, context.images, context.memory)
        self.carrier = RunCarrier(context, self._threads, self._log, self._events)

    async def run(
        self, request: AgentRequest, *, run_id: str | None = None, watch: Watch | None = None
    ) -> RunRecord:
        """Run a request to its end; a failed run is a record with status ``failed``.

        Args:
            request: its image is stored already, or its thread holds one.
            run_id: of `agent.runs.threads.new_run_id`, for a caller that must know it before.
            watch: is told every step.

        Raises:
            InvalidRequest, PlannerNotConfigured, ThreadNotFound, ThreadBusy, ImageNotFound.
            RunCancelled: somebody ended the run.
        """
        run_id = run_id or new_run_id()
        await self.begin(request, run_id)
        return await self.carrier.carry_out(run_id, watch=watch, final=True)

    async def begin(self, request: AgentRequest, run_id: str) -> None:
        """Take a run on: from here on any process can carry it out, and its thread is its own.

        Raises:
            InvalidRequest, PlannerNotConfigured, ThreadNotFound, ThreadBusy, ImageNotFound,
            TransportDown.
        """
        entries = await self.carrier.begin(run_id, request)
        taken = await self._context.records.put_together([*entries, self._jobs.under_way(run_id)])
        if taken is not None:
            await self.carrier.let_image_go(run_id)
            raise busy(request.thread_id or run_id)

    async def recording(self, run_id: str) -> Recording:
        """Return all that a replay of a run needs but its image; raises RunNotFound."""
        run = await self._threads.run(run_id)
        start = await self._log.start(run_id)
        return Recording(start=start, lines=await self._log.logged(run_id), run=run)

    async def run_record(self, run_id: str) -> RunRecord:
        """Read a run; raises RunNotFound."""
        return await self._threads.run(run_id)

    async def thread_record(self, thread_id: str) -> ThreadRecord:
        """Read a thread; raises ThreadNotFound."""
        return await self._threads.thread(thread_id)

    async def erase_thread(self, thread_id: str) -> None:
        """Erase a thread with its runs and its image; raises ThreadNotFound, ThreadBusy."""
        for run_id in await self._threads.erase(thread_id):
            await self._events.forget(run_id)
            await self._log.forget(run_id)

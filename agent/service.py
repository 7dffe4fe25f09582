"""The agent as its callers use it: run a request, read and erase what was kept, draw it.

Any number of runs may go on at once; runs of one thread exclude each other (`ThreadBusy`). A run is
recorded however it ends. A process that dies leaves no half-written record, and what it had begun
(`begin`) another one carries out to the same end (`carry_out`).
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.contract import Planner
from agent.conversation.fit_boxes import fit_boxes
from agent.conversation.follow_up import open_thread
from agent.errors import (
    InvalidRequest,
    PlannerNotConfigured,
    RunNotFound,
    ThreadBusy,
    ThreadNotFound,
    TurnNotCome,
)
from agent.language.commands import is_undo
from agent.language.lexicon import load_lexicon
from agent.loop.checkpoints import Checkpoints
from agent.loop.context import RunContext, Tools
from agent.loop.graph import walk
from agent.loop.state import AgentState
from agent.planners.rules import RulesPlanner
from agent.runs.events import EventLog
from agent.runs.log import AnswerLog, RunLog, RunStart
from agent.runs.pictures import Pictures
from agent.runs.recorded import RecordedPlanner, RecordedSegmenter
from agent.runs.replay import Recording
from agent.runs.result import CANCELLED, broken_off, to_record
from agent.runs.threads import LOCK_GRACE_S, Threads, append_run, new_run_id, new_thread_id
from agent.schemas.rounds import Status
from agent.schemas.runs import AgentRequest, RunEvent, RunRecord, ThreadRecord, Watch
from agent.settings import AgentSettings, Budget
from segmenter.contract import ImageRef, ImageStore, RecordStore, Segmenter
from segmenter.errors import TransportDown

logger = logging.getLogger(__name__)

__all__ = ["AgentContext", "AgentService", "AgentSettings"]

DEFAULT_SETTINGS = AgentSettings()
# How late a run that waits for its thread sees that its turn has come.
TURN_POLL_S = 0.25


@dataclass(frozen=True)
class AgentContext:
    """What the service works with.

    Attributes:
        planners: by kind; the rules are there whether named or not.
        default_planner: what ``auto`` means.
        clock: seconds, monotonic.
        now: the time of day, UTC.
        checkpoints: where states of running runs are kept; None for nowhere.
    """

    segmenter: Segmenter
    images: ImageStore
    records: RecordStore
    planners: Mapping[str, Planner]
    default_planner: str = "rules"
    settings: AgentSettings = DEFAULT_SETTINGS
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    checkpoints: Checkpoints | None = None


class AgentService:
    """Runs requests and keeps their records."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._rules = context.planners.get("rules") or RulesPlanner()
        ttl_s = context.settings.record_ttl_s
        self._events = EventLog(context.records, ttl_s=ttl_s)
        self._threads = Threads(context.records, context.images, ttl_s=ttl_s)
        self._log = RunLog(context.records, ttl_s=ttl_s)
        self._pictures = Pictures(self._threads, context.images)

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
            RunCancelled: see `cancel`.
        """
        run_id = run_id or new_run_id()
        await self.begin(request, run_id)
        return await self.carry_out(run_id, watch=watch, final=True)

    async def begin(self, request: AgentRequest, run_id: str) -> None:
        """Take a run on: from here on any process can carry it out, and its thread is its own.

        Raises:
            InvalidRequest, PlannerNotConfigured, ThreadNotFound, ThreadBusy, TransportDown.
        """
        planner = self._planner(request).kind
        thread = await self._thread(request)
        settings = self._context.settings
        if request.wait:
            # The thread is looked at when its turn has come.
            await self._put_start(run_id, request, None, planner)
            return
        lock_s = settings.run_timeout_s + LOCK_GRACE_S
        await self._threads.claim(thread.id, run_id, ttl_s=lock_s)
        try:
            await self._settle_start(run_id, request, thread, planner)
        except BaseException:
            await self._threads.release(thread.id, run_id)
            raise

    async def _settle_start(
        self, run_id: str, request: AgentRequest, thread: ThreadRecord, planner: str
    ) -> RunStart:
        """Keep what a run starts from; its thread is claimed."""
        if request.thread_id is not None:
            # Another run may have ended between the look and the claim.
            thread = await self._threads.thread(thread.id)
        if thread.runs and is_undo(request.request):
            thread = await self._before_last(thread)
        request = fit_boxes(request, thread.image)
        # Says now, while the caller waits, what is wrong with the request.
        await asyncio.to_thread(open_thread, request, thread, load_lexicon())
        return await self._put_start(run_id, request, thread, planner)

    async def _before_last(self, thread: ThreadRecord) -> ThreadRecord:
        """Return a thread as its last run found it; its words, calls and mask ids stay used.

        Raises:
            InvalidRequest: there is nothing to undo.
        """
        if not thread.undoable:
            raise InvalidRequest("there is nothing to undo in this thread", field="request")
        try:
            before = (await self._log.start(thread.undoable[-1])).thread
        except RunNotFound:
            before = None
        if before is None:
            raise InvalidRequest("what was before the last run has expired", field="request")
        kept = {"targets": before.targets, "rejected": before.rejected}
        return thread.model_copy(update={**kept, "undoable": thread.undoable[:-1]})

    async def _put_start(
        self, run_id: str, request: AgentRequest, thread: ThreadRecord | None, planner: str
    ) -> RunStart:
        start = RunStart(
            run_id=run_id,
            created_at=self._context.now(),
            request=request,
            thread=thread,
            planner=planner,
            budget=self._budget(request),
        )
        await self._log.put_start(start)
        return start

    def _budget(self, request: AgentRequest) -> Budget:
        settings = self._context.settings
        seconds = [settings.run_timeout_s, request.max_seconds]
        tokens = [one for one in (settings.run_tokens, request.max_tokens) if one is not None]
        return Budget(
            seconds=min(one for one in seconds if one is not None),
            tokens=min(tokens, default=None),
        )

    async def carry_out(
        self,
        run_id: str,
        *,
        watch: Watch | None = None,
        final: bool = False,
        patience_s: float = math.inf,
    ) -> RunRecord:
        """Carry a begun run out to its end, from wherever it stands.

        Args:
            run_id: of a run that was begun, perhaps by a process that died.
            watch: is told every step.
            final: nobody goes on with the run if this is cancelled; it is recorded as cancelled.
            patience_s: how long a run that waits for its thread may wait here.

        Raises:
            RunNotFound: it was never begun, or has expired.
            InvalidRequest, ThreadNotFound, ThreadBusy, ImageNotFound, RunCancelled.
            TurnNotCome: `patience_s` is over; the run can be carried out later.
        """
        start = await self._log.start(run_id)
        async with self._events.stoppable(run_id) as stopped:
            start, thread = await self._claimed(start, patience_s)
            try:
                run = await self._recorded(start, thread)
                if run is None:
                    run_context = await self._run_context(start, thread, watch)
                    run = await self._finish(run_context, start, thread, stopped, final=final)
            except asyncio.CancelledError:
                if final or stopped.is_set():
                    await asyncio.shield(self._let_go(run_id, thread.id))
                raise
            except BaseException:
                await self._let_go(run_id, thread.id)
                raise
            await self._let_go(run_id, thread.id)
            return run

    async def _claimed(self, start: RunStart, patience_s: float) -> tuple[RunStart, ThreadRecord]:
        """Hold the run's thread; a run that waits for its turn waits here.

        Raises:
            ThreadBusy: another run has it, also at the end of this run's time.
            TurnNotCome: another run has it, and `patience_s` is over.
        """
        patience_ends = self._context.clock() + patience_s
        request = start.request
        thread = start.thread or await self._thread(request)
        settings = self._context.settings
        while True:
            try:
                lock_s = settings.run_timeout_s + LOCK_GRACE_S
                await self._threads.claim(thread.id, start.run_id, ttl_s=lock_s)
                break
            except ThreadBusy:
                if start.thread is not None or self._spent_s(start) > start.budget.seconds:
                    raise
                if self._context.clock() >= patience_ends:
                    raise TurnNotCome("another run of the thread goes on") from None
                await asyncio.sleep(TURN_POLL_S)
        if start.thread is not None:
            return start, thread
        try:
            settled = await self._settle_start(start.run_id, request, thread, start.planner)
        except BaseException:
            await self._threads.release(thread.id, start.run_id)
            raise
        assert settled.thread is not None
        return settled, settled.thread

    def _spent_s(self, start: RunStart) -> float:
        return max(0.0, (self._context.now() - start.created_at).total_seconds())

    async def _recorded(self, start: RunStart, thread: ThreadRecord) -> RunRecord | None:
        """Return the record of a run that ended before; its process died before it said so."""
        try:
            run = await self._threads.run(start.run_id)
            known = await self._threads.thread(thread.id)
        except (RunNotFound, ThreadNotFound):
            return None
        return run if start.run_id in known.runs else None

    async def _run_context(
        self, start: RunStart, thread: ThreadRecord, watch: Watch | None
    ) -> RunContext:
        request = start.request
        # Cutting masks into pieces takes seconds on large ones.
        opening = await asyncio.to_thread(open_thread, request, thread, load_lexicon())
        planner = self._planner(request.model_copy(update={"planner": start.planner}))
        answers = await self._log.answers(start.run_id)
        spent_s = self._spent_s(start)
        origin = self._context.clock() - spent_s
        return RunContext(
            run_id=start.run_id,
            request=request,
            image=thread.image,
            opening=opening,
            planner=self._logged(planner, answers, origin),
            tools=self._tools(answers, origin),
            watch=_both(await self._events.resume(start.run_id), watch),
            log=self._log,
            budget=start.budget,
            spent_s=spent_s,
        )

    def _logged(self, planner: Planner, answers: AnswerLog, origin: float) -> Planner:
        if planner.kind == "rules":
            return planner
        return RecordedPlanner(planner, answers, lambda: self._context.clock() - origin)

    async def _let_go(self, run_id: str, thread_id: str) -> None:
        """Clear up after a run that has ended: it will not be taken over any more."""
        if self._context.checkpoints is not None:
            await self._context.checkpoints.forget(run_id)
        try:
            await self._log.drop_steps(run_id)
            await self._threads.release(thread_id, run_id)
        except TransportDown:
            # Both expire by themselves.
            logger.warning("run not cleared up", extra={"run": run_id})

    async def announce(self, run_id: str) -> None:
        """Make a run known before it begins, so that its events can be asked for."""
        await self._events.open(run_id)

    async def give_up(self, run_id: str, error: str) -> None:
        """Note that nobody will carry a run out; `error` is the kind of the reason."""
        facts: dict[str, str | int | float] = {"error": error}
        await self._events.end(RunEvent(name="run.failed", run_id=run_id, facts=facts))
        try:
            start = await self._log.start(run_id)
        except RunNotFound:
            return
        thread = start.thread.id if start.thread else start.request.thread_id
        if thread is not None:
            await self._let_go(run_id, thread)

    async def recording(self, run_id: str) -> Recording:
        """Return all that a replay of a run needs but its image; raises RunNotFound."""
        run = await self._threads.run(run_id)
        start = await self._log.start(run_id)
        return Recording(start=start, lines=await self._log.lines(run_id), run=run)

    async def events(self, run_id: str) -> tuple[RunEvent, ...]:
        """Return what a run has done so far; raises RunNotFound."""
        return await self._events.read(run_id)

    async def cancel(self, run_id: str) -> None:
        """Stop a run, in whatever process; what it saw stays readable. Raises RunNotFound."""
        await self._events.ask_to_stop(run_id)

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

    async def mask_png(self, run_id: str, mask_id: str) -> bytes:
        """Draw one mask of a run, 255 inside and 0 outside; raises RunNotFound, InvalidRequest."""
        return await self._pictures.mask_png(run_id, mask_id)

    async def overlay_png(self, run_id: str) -> bytes:
        """Draw the result on its image; raises RunNotFound, ImageNotFound."""
        return await self._pictures.overlay_png(run_id)

    async def round_png(self, run_id: str, number: int) -> bytes:
        """Draw what a round gave; raises RunNotFound, InvalidRequest, ImageNotFound."""
        return await self._pictures.round_png(run_id, number)

    def _planner(self, request: AgentRequest) -> Planner:
        kind = self._context.default_planner if request.planner == "auto" else request.planner
        planner = self._rules if kind == "rules" else self._context.planners.get(kind)
        if planner is None:
            raise PlannerNotConfigured(f"planner {kind!r} has no model or key")
        return planner

    def _tools(self, answers: AnswerLog, origin: float) -> Tools:
        context = self._context
        return Tools(
            segmenter=RecordedSegmenter(
                context.segmenter, answers, lambda: context.clock() - origin
            ),
            images=context.images,
            rules=self._rules,
            settings=context.settings,
            clock=context.clock,
        )

    async def _thread(self, request: AgentRequest) -> ThreadRecord:
        """Return the thread a request belongs to, a new one for a request without."""
        if request.thread_id is None:
            return self._new_thread(request.image)
        thread = await self._threads.thread(request.thread_id)
        if request.image is not None and request.image.sha256 != thread.image.sha256:
            raise InvalidRequest("the thread holds another image", field="image")
        return thread

    def _new_thread(self, image: ImageRef | None) -> ThreadRecord:
        if image is None:
            raise InvalidRequest(
                "a request needs an image, or a thread that holds one", field="image"
            )
        return ThreadRecord(id=new_thread_id(), created_at=self._context.now(), image=image)

    async def _finish(
        self,
        run_context: RunContext,
        start: RunStart,
        thread: ThreadRecord,
        stopped: asyncio.Event,
        *,
        final: bool,
    ) -> RunRecord:
        """Walk the graph, and record the run whatever happens to it."""
        state: AgentState = {}
        created_at = start.created_at
        try:
            await run_context.tell("run.created")
            async for step in walk(run_context, self._context.checkpoints):
                state = step
        except BaseException as error:
            cancelled = isinstance(error, asyncio.CancelledError)
            if cancelled and not final and not stopped.is_set():
                # The process stops, not the run: another one goes on with it.
                raise
            failure = CANCELLED if cancelled else broken_off(error)
            run = to_record(
                state, run_context, thread=thread, created_at=created_at, failure=failure
            )
            await asyncio.shield(self._keep(run, run_context, thread))
            await run_context.tell("run.cancelled" if cancelled else "run.failed")
            raise
        run = to_record(state, run_context, thread=thread, created_at=created_at)
        await self._keep(run, run_context, thread)
        await run_context.tell("run.failed" if run.status is Status.FAILED else "run.completed")
        return run

    async def _keep(self, run: RunRecord, run_context: RunContext, thread: ThreadRecord) -> None:
        after = append_run(
            thread,
            run,
            next_mask=run_context.next_mask,
            rejected=tuple(sorted(run_context.rejected)),
        )
        await self._threads.save_run(run)
        forgotten = set(thread.runs) - set(after.runs)
        await self._threads.save_thread(after, forgotten=forgotten)
        for run_id in forgotten:
            await self._events.forget(run_id)
            await self._log.forget(run_id)
        logger.info(
            "run ended",
            extra={
                "run": run.id,
                "image": run.image.sha256[:12],
                "status": run.status.value,
                "rounds": len(run.rounds),
                "masks": sum(len(one.masks) for one in run.targets),
                "seconds": round(run.provenance.seconds, 3),
            },
        )


def _both(first: Watch, second: Watch | None) -> Watch:
    async def watch(event: RunEvent) -> None:
        await first(event)
        if second is not None:
            await second(event)

    return watch

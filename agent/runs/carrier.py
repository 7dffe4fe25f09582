"""Carries a run out, from wherever it stands to its record, whatever happens to it on the way.

Any process can go on with a run that another one began; the process that runs it writes its log and
its events. A run is recorded however it ends.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agent.contract import Planner
from agent.conversation.follow_up import open_thread
from agent.errors import PlannerNotConfigured, RunCancelled, RunNotFound, ThreadNotFound
from agent.language.lexicon import load_lexicon
from agent.loop.context import RunContext, Tools
from agent.loop.graph import walk
from agent.loop.state import first_state
from agent.planners.rules import RulesPlanner
from agent.runs.answered import answered
from agent.runs.events import GotOn, LiveRun, RunEvents, last_event
from agent.runs.log import RunLog, RunStart
from agent.runs.recorded import RecordedPlanner, RecordedSegmenter
from agent.runs.result import CANCELLED, broken_off, shown_masks, to_record
from agent.runs.start import RunStarter
from agent.runs.threads import Threads, append_run
from agent.schemas.runs import AgentRequest, RunRecord, ThreadRecord, Watch
from agent.settings import AgentSettings
from segmenter.contract import Entry, ImageStore, RecordStore, Segmenter
from segmenter.errors import TEMPORARY, TransportDown
from segmenter.measuring import measured
from segmenter.memory_budget import PLENTY_BYTES, RUNNING, WorkingMemory, run_bytes

logger = logging.getLogger(__name__)

DEFAULT_SETTINGS = AgentSettings()


@dataclass(frozen=True)
class AgentContext:
    """What the service works with.

    Attributes:
        planners: by kind; the rules are there whether named or not.
        default_planner: what ``auto`` means.
        clock: seconds, monotonic.
        now: the time of day, UTC.
        memory: that runs and drawing take.
    """

    segmenter: Segmenter
    images: ImageStore
    records: RecordStore
    planners: Mapping[str, Planner]
    default_planner: str = "rules"
    settings: AgentSettings = DEFAULT_SETTINGS
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    memory: WorkingMemory = field(default_factory=lambda: WorkingMemory(PLENTY_BYTES))


async def _tell_nobody() -> None:
    """Nobody counts how often the run was tried."""


class RunCarrier:
    """Carries out runs that were begun."""

    def __init__(
        self, context: AgentContext, threads: Threads, log: RunLog, events: RunEvents
    ) -> None:
        self._context = context
        self._threads = threads
        self._log = log
        self._events = events
        self._rules = context.planners.get("rules") or RulesPlanner()
        self.starter = RunStarter(
            threads, log, context.settings, clock=context.clock, now=context.now
        )

    async def begin(self, run_id: str, request: AgentRequest) -> list[Entry]:
        """See `RunStarter.begin`; raises PlannerNotConfigured too."""
        try:
            return await self.starter.begin(run_id, request, self._planner(request).kind)
        except BaseException:
            await asyncio.shield(self.let_image_go(run_id))
            raise

    async def carry_out(
        self,
        run_id: str,
        *,
        watch: Watch | None = None,
        got_on: GotOn = _tell_nobody,
        final: bool = False,
        patience_s: float = math.inf,
    ) -> RunRecord:
        """Carry a begun run out to its end, from wherever it stands.

        Args:
            run_id: of a run that was begun, perhaps by a process that died.
            watch: is told every step.
            got_on: is told when the run has come further than ever before.
            final: nobody goes on with the run if this is cancelled; it is recorded as cancelled.
            patience_s: how long a run that waits for its thread may wait here.

        Raises:
            NoWorker, QueueFull, TransportDown: unless `final`, the run can be carried out later.
            RunNotFound: it was never begun, or has expired.
            InvalidRequest, ThreadNotFound, ThreadBusy, ImageNotFound, RunCancelled.
            TurnNotCome: `patience_s` is over; the run can be carried out later.
        """
        start = await self._log.start(run_id)
        async with self._events.live(run_id, watch, got_on) as live:
            start, thread = await self.starter.take_up(start, patience_s=patience_s)
            try:
                run = await self._recorded(run_id, thread)
                if run is not None:
                    await live.tell(last_event(run))
                else:
                    run_context = await self._run_context(start, thread, live, final=final)
                    run = await self._finish(run_context, start, thread, live, final=final)
            except asyncio.CancelledError:
                if final or live.ended.is_set():
                    await asyncio.shield(self.let_go(run_id, thread.id))
                raise
            except BaseException as error:
                if final or not isinstance(error, TEMPORARY):
                    await self.let_go(run_id, thread.id)
                raise
            await self.let_go(run_id, thread.id)
            return run

    async def _recorded(self, run_id: str, thread: ThreadRecord) -> RunRecord | None:
        """Return the record of a run that ended before; its process died before it said so."""
        try:
            run = await self._threads.run(run_id)
            known = await self._threads.thread(thread.id)
        except (RunNotFound, ThreadNotFound):
            return None
        return run if run_id in known.runs else None

    async def _run_context(
        self, start: RunStart, thread: ThreadRecord, live: LiveRun, *, final: bool
    ) -> RunContext:
        context, request = self._context, start.request
        # Cutting masks into pieces takes seconds on large ones.
        opening = await asyncio.to_thread(open_thread, request, thread, load_lexicon())
        logged = await self._log.logged(start.run_id)
        # Time in which nobody carried it out is not the run's.
        spent_s = max((answer.seconds for answer in logged), default=0.0)
        origin = context.clock() - spent_s
        answers = self._log.answers(
            start.run_id, logged, lambda: context.clock() - origin, live.got_on
        )
        planner = self._planner(request.model_copy(update={"planner": start.planner}))
        return RunContext(
            run_id=start.run_id,
            request=request,
            image=thread.image,
            thread=thread,
            opening=opening,
            planner=planner if planner.kind == "rules" else RecordedPlanner(planner, answers),
            tools=Tools(
                segmenter=RecordedSegmenter(
                    context.segmenter, answers, passing=() if final else TEMPORARY
                ),
                images=context.images,
                rules=self._rules,
                settings=context.settings,
                clock=context.clock,
            ),
            watch=live.tell,
            budget=start.budget,
            spent_s=spent_s,
            is_resumed=not final,
        )

    async def let_image_go(self, run_id: str) -> None:
        """Let go the image of a run that was not taken on."""
        with suppress(TransportDown):
            await self._threads.let_image_go(run_id)

    async def let_go(self, run_id: str, thread_id: str) -> None:
        """Clear up after a run that has ended: it will not be taken over any more."""
        try:
            await self._events.over(run_id)
            await self._threads.release(thread_id, run_id)
            await self._threads.let_image_go(run_id)
        except TransportDown:
            # Both expire by themselves.
            logger.warning("run not cleared up", extra={"run": run_id})

    def _planner(self, request: AgentRequest) -> Planner:
        kind = self._context.default_planner if request.planner == "auto" else request.planner
        planner = self._rules if kind == "rules" else self._context.planners.get(kind)
        if planner is None:
            raise PlannerNotConfigured(f"planner {kind!r} has no model or key")
        return planner

    async def _finish(
        self,
        run_context: RunContext,
        start: RunStart,
        thread: ThreadRecord,
        live: LiveRun,
        *,
        final: bool,
    ) -> RunRecord:
        """Walk the graph, and record the run whatever happens to it."""
        state = first_state(run_context.opening)
        created_at = start.created_at
        await run_context.tell("run.created")
        if live.ended.is_set():
            raise RunCancelled("the run was cancelled before it began")
        image, memory = run_context.image, self._context.memory
        room = run_bytes(image.width * image.height)
        try:
            async with memory.hold(room, what=RUNNING, long=True):
                async for step in walk(run_context):
                    state = step
            measures = await measured(
                shown_masks(state, run_context), image, self._context.images, memory
            )
        except BaseException as error:
            cancelled = isinstance(error, asyncio.CancelledError)
            if cancelled and not final and not live.ended.is_set():
                # The process stops, not the run: another one goes on with it.
                raise
            if isinstance(error, TEMPORARY) and not final:
                raise
            failure = CANCELLED if cancelled else broken_off(error)
            run = to_record(
                state, run_context, thread=thread, created_at=created_at, failure=failure
            )
            await asyncio.shield(self._keep(run, run_context, thread))
            await live.tell(last_event(run))
            raise
        run = await answered(
            to_record(state, run_context, thread=thread, created_at=created_at, measures=measures),
            run_context,
            thread,
            memory,
        )
        await self._keep(run, run_context, thread)
        await live.tell(last_event(run))
        if live.ended.is_set():
            # At the last moment; whoever asks is told so already.
            run = to_record(
                state, run_context, thread=thread, created_at=created_at, failure=CANCELLED
            )
            await self._keep(run, run_context, thread)
            raise RunCancelled("the run was cancelled")
        return run

    async def _keep(self, run: RunRecord, run_context: RunContext, thread: ThreadRecord) -> None:
        after = append_run(
            thread,
            run,
            next_mask=run_context.next_mask,
            rejected=tuple(sorted(run_context.rejected)),
            spoken=run_context.opening.spoken,
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
                "masks": sum(len(target.masks) for target in run.targets),
                "seconds": round(run.provenance.seconds, 3),
            },
        )

"""Takes runs on: what they start from, what they may spend, and whose turn it is.

Shared: the record store. Guaranteed: a run that was begun can be carried out by any process, and
holds its thread from then on; one that waits for its thread gets it when it is carried out. Of a
run's seconds only those count in which somebody carried it out.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from agent.answers.earlier import earlier_results
from agent.conversation.checks import check_request
from agent.conversation.history import act_of, is_kept, shown_by
from agent.errors import AgentError, InvalidRequest, RunNotFound, ThreadBusy, TurnNotCome
from agent.runs.log import RunLog, RunStart
from agent.runs.threads import LOCK_GRACE_S, Threads, thread_of
from agent.schemas.runs import AgentRequest, ThreadRecord
from agent.settings import AgentSettings, Budget
from segmenter.contract import Entry
from segmenter.errors import ImageNotFound

# How late a run that waits for its thread sees that its turn has come.
TURN_POLL_S = 0.25


class RunStarter:
    """Takes runs on.

    Args:
        clock: seconds, monotonic.
        now: the time of day, UTC.
    """

    def __init__(
        self,
        threads: Threads,
        log: RunLog,
        settings: AgentSettings,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ) -> None:
        self._threads = threads
        self._log = log
        self._settings = settings
        self._clock = clock
        self._now = now

    async def begin(self, run_id: str, request: AgentRequest, planner: str) -> list[Entry]:
        """Return what has to be kept together for a run to begin: how it starts, and its thread.

        `planner` is the kind that plans, never ``auto``. What the thread holds is read when the run
        is taken up; here it is only checked.

        Raises:
            InvalidRequest, ThreadNotFound, ImageNotFound, TransportDown.
        """
        start = RunStart(
            run_id=run_id,
            created_at=self._now(),
            request=request,
            thread=None,
            planner=planner,
            budget=_budget(self._settings, request),
        )
        thread = await self._thread(request, run_id)
        await self._threads.hold_image(thread.image, run_id, ttl_s=self._lock_s)
        if request.wait:
            # The thread is looked at when its turn has come.
            return [self._log.entry(start)]
        await self._opening(request, thread)
        lock = self._threads.lock(thread.id, run_id, ttl_s=self._lock_s)
        return [self._log.entry(start), lock]

    async def take_up(self, start: RunStart, *, patience_s: float) -> tuple[RunStart, ThreadRecord]:
        """Hold the thread of a begun run; a run that waits for its turn waits here.

        Raises:
            ThreadBusy: another run has it, also at the end of this run's time.
            TurnNotCome: another run has it, and `patience_s` is over.
            InvalidRequest, ThreadNotFound: see `begin`, for a run that has waited.
        """
        patience_ends = self._clock() + patience_s
        thread = start.thread or await self._thread(start.request, start.run_id)
        while True:
            try:
                await self._threads.claim(thread.id, start.run_id, ttl_s=self._lock_s)
                break
            except ThreadBusy:
                if start.thread is not None or self._waited_s(start) > start.budget.seconds:
                    raise
                if self._clock() >= patience_ends:
                    raise TurnNotCome("another run of the thread goes on") from None
                await asyncio.sleep(TURN_POLL_S)
        with suppress(ImageNotFound):
            # If it is gone, the run itself says so.
            await self._threads.hold_image(thread.image, start.run_id, ttl_s=self._lock_s)
        if start.thread is not None:
            return start, thread
        return await self._settle(start, thread)

    @property
    def _lock_s(self) -> float:
        return self._settings.run_timeout_s + LOCK_GRACE_S

    def _waited_s(self, start: RunStart) -> float:
        return max(0.0, (self._now() - start.created_at).total_seconds())

    async def _settle(self, start: RunStart, thread: ThreadRecord) -> tuple[RunStart, ThreadRecord]:
        """Keep the run's thread, which is claimed, as the run finds it; says what is wrong now."""
        try:
            if start.request.thread_id is not None:
                # Another run may have ended between the first reading and the claim.
                thread = await self._threads.thread(thread.id)
            before = thread
            request, thread = await self._opening(start.request, thread)
            undone = (
                shown_by(before) if act_of(request.request, before) and is_kept(before) else None
            )
            settled = start.model_copy(
                update={"request": request, "thread": thread, "undone": undone}
            )
            await self._log.put_start(settled)
        except AgentError:
            await self._threads.release(thread.id, start.run_id)
            raise
        return settled, thread

    async def _opening(
        self, request: AgentRequest, thread: ThreadRecord
    ) -> tuple[AgentRequest, ThreadRecord]:
        """Return what a run starts from: its request, and its thread as it is or was.

        Raises:
            InvalidRequest: they do not fit each other.
        """
        act = act_of(request.request, thread)
        if act == "undo":
            thread = await self._before_last(thread)
        elif act == "redo":
            thread = await self._before_undo(thread)
        return check_request(request, thread), thread

    async def _before_last(self, thread: ThreadRecord) -> ThreadRecord:
        """Return a thread as its last change found it; its words, calls and mask ids stay used.

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
            raise InvalidRequest("what was before the last change has expired", field="request")
        return thread.model_copy(
            update={
                "targets": before.targets,
                "rejected": before.rejected,
                "spoken": before.spoken,
                "earlier": earlier_results(thread, before.targets),
                "undoable": thread.undoable[:-1],
            }
        )

    async def _before_undo(self, thread: ThreadRecord) -> ThreadRecord:
        """Return a thread as its last undo found it; its words, calls and mask ids stay used.

        Raises:
            InvalidRequest: there is nothing to redo.
        """
        if not thread.redoable:
            raise InvalidRequest("there is nothing to redo in this thread", field="request")
        try:
            undone = (await self._log.start(thread.redoable[-1])).undone
        except RunNotFound:
            undone = None
        if undone is None:
            reason = "what the last undo took back has expired, or was too large to be kept"
            raise InvalidRequest(reason, field="request")
        return thread.model_copy(
            update={
                "targets": undone.targets,
                "rejected": undone.rejected,
                "spoken": undone.spoken,
                "earlier": earlier_results(thread, undone.targets),
                "undoable": undone.undoable,
                "redoable": thread.redoable[:-1],
            }
        )

    async def _thread(self, request: AgentRequest, run_id: str) -> ThreadRecord:
        """Return the thread a request belongs to, a new one for a request without."""
        if request.thread_id is not None:
            thread = await self._threads.thread(request.thread_id)
            if request.image is not None and request.image.sha256 != thread.image.sha256:
                raise InvalidRequest("the thread holds another image", field="image")
            return thread
        if request.image is None:
            reason = "a request needs an image, or a thread that holds one"
            raise InvalidRequest(reason, field="image")
        thread_id = thread_of(request, run_id)
        return ThreadRecord(id=thread_id, created_at=self._now(), image=request.image)


def _budget(settings: AgentSettings, request: AgentRequest) -> Budget:
    """Return the smaller of what the service and the request allow."""
    seconds = (settings.run_timeout_s, request.max_seconds)
    tokens = (settings.run_tokens, request.max_tokens)
    return Budget(
        seconds=min(limit for limit in seconds if limit is not None),
        tokens=min((limit for limit in tokens if limit is not None), default=None),
    )

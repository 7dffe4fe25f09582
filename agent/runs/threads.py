"""Runs and threads as expiring records, and the lock that keeps a thread's runs apart.

Shared: the record store. Isolated: a thread is written by the one run that holds its lock. The lock
expires by itself, so a process that dies leaves its thread busy for at most that long.
"""

import re
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from agent.answers.earlier import earlier_results
from agent.conversation.history import act_of, is_only_that
from agent.errors import RunNotFound, ThreadBusy, ThreadNotFound
from agent.language.modality import UNKNOWN, known_modality
from agent.runs.result import bounded
from agent.schemas.plan import Target
from agent.schemas.rounds import Status
from agent.schemas.runs import AgentRequest, RunRecord, TargetResult, ThreadRecord
from segmenter.contract import Entry, Hold, ImageRef, ImageStore, RecordStore

_RUN_ID = re.compile(r"run_[0-9a-f]{32}")
_THREAD_ID = re.compile(r"thr_[0-9a-f]{32}")
# A dead run's lock outlives the run's own time by so much.
LOCK_GRACE_S = 30.0
MAX_THREAD_RUNS = 100
MAX_THREAD_CALLS = 200
MAX_UNDOS = 20


def new_run_id() -> str:
    """Return a fresh, unguessable id."""
    return f"run_{secrets.token_hex(16)}"


def thread_of(request: AgentRequest, run_id: str) -> str:
    """Return the id of the thread a run belongs to; it may be the first run of a new one."""
    return request.thread_id or f"thr_{run_id.removeprefix('run_')}"


class Threads:
    """Reads and writes the records of runs and threads."""

    def __init__(self, records: RecordStore, images: ImageStore, *, ttl_s: float) -> None:
        self._records = records
        self._images = images
        self._ttl_s = ttl_s

    async def run(self, run_id: str) -> RunRecord:
        """Read a run; raises RunNotFound."""
        record = await self._records.get(f"run:{run_id}") if _RUN_ID.fullmatch(run_id) else None
        if record is None:
            raise RunNotFound(f"run {run_id[:40]!r} is not here, or not any more")
        return RunRecord.model_validate_json(record)

    async def thread(self, thread_id: str) -> ThreadRecord:
        """Read a thread; raises ThreadNotFound."""
        valid = _THREAD_ID.fullmatch(thread_id)
        record = await self._records.get(f"thread:{thread_id}") if valid else None
        if record is None:
            raise ThreadNotFound(f"thread {thread_id[:40]!r} is not here, or not any more")
        return ThreadRecord.model_validate_json(record)

    async def save_run(self, run: RunRecord) -> None:
        """Store a run."""
        await self._records.put(f"run:{run.id}", run.model_dump_json().encode(), ttl_s=self._ttl_s)

    async def save_thread(
        self, thread: ThreadRecord, *, forgotten: Iterable[str] = frozenset()
    ) -> None:
        """Store a thread; it lives as long as its latest run.

        Args:
            thread: as it is after the run.
            forgotten: runs it does not list any more; nobody could erase their records later.
        """
        for run_id in forgotten:
            await self._records.delete(f"run:{run_id}")
        record = thread.model_dump_json().encode()
        await self._records.put(f"thread:{thread.id}", record, ttl_s=self._ttl_s)

    async def erase(self, thread_id: str) -> tuple[str, ...]:
        """Erase a thread with its runs and its image, for every thread begun with that upload.

        Returns:
            The ids of its runs.

        Raises:
            ThreadNotFound, ThreadBusy.
        """
        await self.thread(thread_id)
        async with self.locked(thread_id, ttl_s=LOCK_GRACE_S):
            # A run may have ended between the look and the lock.
            thread = await self.thread(thread_id)
            for run_id in thread.runs:
                await self._records.delete(f"run:{run_id}")
            await self._images.delete(thread.image)
            # Last: an erasure that broke off can be asked for again.
            await self._records.delete(f"thread:{thread_id}")
            return thread.runs

    async def hold_image(self, image: ImageRef, run_id: str, *, ttl_s: float) -> None:
        """Keep an image while a run needs it, until `let_image_go`; raises ImageNotFound."""
        await self._images.ref(image.id, hold=Hold(run_id, ttl_s))

    async def let_image_go(self, run_id: str) -> None:
        """Let the image of a run expire, and make room for others, as it would without the run."""
        await self._images.release(run_id)

    @asynccontextmanager
    async def locked(self, thread_id: str, *, ttl_s: float) -> AsyncIterator[None]:
        """Hold a thread for a moment; raises ThreadBusy at once if another has it."""
        owner = secrets.token_hex(16)
        await self.claim(thread_id, owner, ttl_s=ttl_s)
        try:
            yield
        finally:
            await self.release(thread_id, owner)

    async def claim(self, thread_id: str, owner: str, *, ttl_s: float) -> None:
        """Hold a thread under a name, or go on holding it: a run holds it wherever it is run.

        Raises:
            ThreadBusy: another has it.
        """
        entry = self.lock(thread_id, owner, ttl_s=ttl_s)
        if await self._records.put_new(entry.key, entry.record, ttl_s=ttl_s):
            return
        if await self._records.get(entry.key) != entry.record:
            raise busy(thread_id)
        await self._records.put(entry.key, entry.record, ttl_s=ttl_s)

    def lock(self, thread_id: str, owner: str, *, ttl_s: float) -> Entry:
        """Return what holds a thread once it is stored as a new record."""
        return Entry(_lock_key(thread_id), owner.encode(), ttl_s, new=True)

    async def release(self, thread_id: str, owner: str) -> None:
        """Let a thread go, unless the claim has expired and it is another's by now."""
        key = _lock_key(thread_id)
        if await self._records.get(key) == owner.encode():
            await self._records.delete(key)


def busy(thread_id: str) -> ThreadBusy:
    """Return the error of a thread that another run holds."""
    return ThreadBusy(f"another run of thread {thread_id[:40]!r} has not ended yet")


def _lock_key(thread_id: str) -> str:
    return f"lock:{thread_id}"


def append_run(
    thread: ThreadRecord,
    run: RunRecord,
    *,
    next_mask: int,
    rejected: tuple[str, ...],
    spoken: tuple[Target, ...] = (),
) -> ThreadRecord:
    """Return the thread after a run: its results, words, calls and masks. Pure.

    `spoken`: the targets that the request spoke of, beside those the run worked on.
    """
    act = act_of(run.request, thread)
    standing = thread.targets if run.status is Status.FAILED else _standing(run.targets)
    changes = _outlines(standing) != _outlines(thread.targets) or rejected != thread.rejected
    is_new = changes and (act is None or not is_only_that(run.request))
    calls = tuple(call for one in run.rounds for call in one.calls)
    planned = run.plan.targets if run.plan else ()
    # A run that broke off has no results, but its calls and masks bear the ids of its targets.
    used = {one.target.id for one in run.targets} | {one.id for one in planned}
    used |= {one.target for one in run.candidates}
    return thread.model_copy(
        update={
            "runs": (*thread.runs, run.id)[-MAX_THREAD_RUNS:],
            "requests": (*thread.requests, run.request)[-MAX_THREAD_RUNS:],
            "candidates": bounded(
                (*thread.candidates, *run.candidates), standing, rejected=rejected
            ),
            "targets": standing,
            "tried": tuple(dict.fromkeys((*thread.tried, *calls)))[-MAX_THREAD_CALLS:],
            "rejected": rejected,
            "earlier": thread.earlier
            if run.status is Status.FAILED
            else earlier_results(thread, run.targets),
            "modality": known_modality(run.plan.modality if run.plan else UNKNOWN, thread.modality),
            "next_mask": next_mask,
            "undoable": (*thread.undoable, run.id)[-MAX_UNDOS:] if is_new else thread.undoable,
            "redoable": _redoable(thread, run, act, is_new=is_new),
            "spoken": _spoken(run, spoken) or thread.spoken,
            "next_target": max([thread.next_target, *(int(key[1:]) + 1 for key in used)]),
        }
    )


def _redoable(
    thread: ThreadRecord, run: RunRecord, act: str | None, *, is_new: bool
) -> tuple[str, ...]:
    """Return the undos that can be taken back; a request that changes anything ends that."""
    if is_new:
        return ()
    return (*thread.redoable, run.id)[-MAX_UNDOS:] if act == "undo" else thread.redoable


def _spoken(run: RunRecord, spoken: tuple[Target, ...]) -> tuple[Target, ...]:
    """Return what "it" means after a run: what it looked for, else what was spoken of."""
    known = {one.target.id: one.target for one in run.targets}
    planned = run.plan.targets if run.plan else ()
    return tuple(known.get(one.id, one) for one in planned or spoken)


def _outlines(targets: tuple[TargetResult, ...]) -> set[tuple[str, str, Status, frozenset[str]]]:
    """Return what a person sees of targets, and whose word it is: a question changes none of it."""
    return {
        (
            one.target.id,
            one.target.label,
            one.status,
            frozenset(f"{mask.candidate.id} {mask.verdict} {mask.by}" for mask in one.masks),
        )
        for one in targets
    }


def _standing(targets: tuple[TargetResult, ...]) -> tuple[TargetResult, ...]:
    """Return the targets a later request can speak of: those that show something."""
    return tuple(one for one in targets if one.masks)

"""What is kept of a run while it goes on: how it began, every answer it got, its masks by step.

Shared: the record store. A log is written by the one process that runs the run. Guaranteed: an
answer that was kept is never asked for again, neither by the process that takes a run over nor in
a replay. A line that could not be kept costs the answer again, never the run.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Literal, TypeVar

from agent.errors import RecordingGap, RunNotFound
from agent.schemas.plan import Plan
from agent.schemas.rounds import Failure, Inspection, Usage
from agent.schemas.runs import AgentRequest, RunStep, ThreadRecord
from agent.settings import Budget
from segmenter.contract import Capabilities, Frozen, RecordStore, SegmentResult
from segmenter.errors import TransportDown

logger = logging.getLogger(__name__)
# Before the id of a run that has begun and not ended.
UNDER_WAY = "under-way:"
Kept = TypeVar("Kept", bound=Frozen)


class RunStart(Frozen):
    """A run as it was taken on.

    Attributes:
        thread: as it was before the run; None while the run waits for its thread.
        planner: the kind that plans, never ``auto``.
    """

    run_id: str
    created_at: datetime
    request: AgentRequest
    thread: ThreadRecord | None
    planner: str
    budget: Budget


class LoggedAnswer(Frozen):
    """An answer of the planner's model or of the tool, or why there was none.

    Attributes:
        key: what was asked, as kind and digest.
        seconds: of the run, when it came.
    """

    key: str
    seconds: float
    usage: Usage = Usage()
    plan: Plan | None = None
    inspection: Inspection | None = None
    winner: Literal["first", "second", "same"] | None = None
    result: SegmentResult | None = None
    capabilities: Capabilities | None = None
    failure: Failure | None = None


class AnswerLog:
    """The answers of one run: those there are, and new ones as they come.

    Args:
        lines: what is there.
        keep: writes a new one down; None for a recording, which takes none.
    """

    def __init__(
        self,
        lines: Iterable[LoggedAnswer] = (),
        keep: Callable[[int, LoggedAnswer], Awaitable[None]] | None = None,
    ) -> None:
        self._lines = {line.key: line for line in lines}
        self._keep = keep
        self._seconds = 0.0

    def recall(self, key: str) -> LoggedAnswer | None:
        """Return the answer to a question that was asked before, None for a new one.

        Raises:
            RecordingGap: this is a recording, and it does not hold it.
        """
        line = self._lines.get(key)
        if line is not None:
            self._seconds = max(self._seconds, line.seconds)
        elif self._keep is None:
            kind = key.split(":")[0]
            raise RecordingGap(f"the run now asks a {kind} question that its record does not hold")
        return line

    async def note(self, line: LoggedAnswer) -> None:
        """Keep an answer."""
        number = len(self._lines)
        self._lines[line.key] = line
        if self._keep is not None:
            await self._keep(number, line)

    def seconds(self) -> float:
        """Return the run's time at the latest answer that was recalled: a replay's clock."""
        return self._seconds


class RunLog:
    """Reads and writes the diaries of runs, for as long as their records live."""

    def __init__(self, records: RecordStore, *, ttl_s: float) -> None:
        self._records = records
        self._ttl_s = ttl_s

    async def put_start(self, start: RunStart) -> None:
        """Keep how a run began; raises TransportDown: a run that is not kept is not begun."""
        content = start.model_dump_json().encode()
        await self._records.put(_start_key(start.run_id), content, ttl_s=self._ttl_s)
        await self._records.put(UNDER_WAY + start.run_id, b"1", ttl_s=self._ttl_s)

    async def start(self, run_id: str) -> RunStart:
        """Return how a run began.

        Raises:
            RunNotFound: never there, or expired.
        """
        start = await self._read(_start_key(run_id), RunStart)
        if start is None:
            raise RunNotFound(f"run {run_id[:40]!r} is not here, or not any more")
        return start

    async def lines(self, run_id: str) -> tuple[LoggedAnswer, ...]:
        """Return the answers a run has got, in their order."""
        lines: list[LoggedAnswer] = []
        while (line := await self._read(_line_key(run_id, len(lines)), LoggedAnswer)) is not None:
            lines.append(line)
        return tuple(lines)

    async def answers(self, run_id: str) -> AnswerLog:
        """Return a run's answers, to go on with."""

        async def keep(number: int, line: LoggedAnswer) -> None:
            await self._write(_line_key(run_id, number), line)

        return AnswerLog(await self.lines(run_id), keep)

    async def put_step(self, run_id: str, number: int, step: RunStep) -> None:
        """Keep what a step added."""
        await self._write(_step_key(run_id, number), step)

    async def steps(self, run_id: str, count: int) -> tuple[RunStep, ...] | None:
        """Return what the first `count` steps added, None if one was lost."""
        steps = [await self._read(_step_key(run_id, one), RunStep) for one in range(1, count + 1)]
        found = tuple(step for step in steps if step is not None)
        return found if len(found) == count else None

    async def drop_steps(self, run_id: str) -> None:
        """Forget the steps of a run that has ended: its record holds its masks."""
        await self._records.delete(UNDER_WAY + run_id)
        number = 1
        while await self._records.get(_step_key(run_id, number)) is not None:
            await self._records.delete(_step_key(run_id, number))
            number += 1

    async def forget(self, run_id: str) -> None:
        """Forget all about a run."""
        await self.drop_steps(run_id)
        for number in range(len(await self.lines(run_id))):
            await self._records.delete(_line_key(run_id, number))
        await self._records.delete(_start_key(run_id))

    async def _read(self, key: str, model: type[Kept]) -> Kept | None:
        content = await self._records.get(key)
        return None if content is None else model.model_validate_json(content)

    async def _write(self, key: str, kept: Frozen) -> None:
        try:
            await self._records.put(key, kept.model_dump_json().encode(), ttl_s=self._ttl_s)
        except (TransportDown, ValueError) as error:
            # Out of reach, or larger than a record may be.
            logger.warning("log line not kept", extra={"error": type(error).__name__})


def _start_key(run_id: str) -> str:
    return f"log:{run_id}:start"


def _line_key(run_id: str, number: int) -> str:
    return f"log:{run_id}:line:{number}"


def _step_key(run_id: str, number: int) -> str:
    return f"log:{run_id}:step:{number}"

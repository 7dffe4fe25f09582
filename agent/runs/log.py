"""What is kept of a run while it goes on: how it began, and every answer it got.

Shared: the record store. A log is written by the one process that runs the run. Guaranteed: an
answer that was kept is never asked for again, neither by the process that takes a run over nor in
a replay. An answer that could not be kept is asked for again, and costs no run.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Literal, TypeVar

from agent.errors import RecordingGap, RunNotFound
from agent.schemas.plan import Plan
from agent.schemas.rounds import Failure, Inspection, Usage
from agent.schemas.runs import AgentRequest, ThreadRecord
from agent.settings import Budget
from segmenter.contract import Capabilities, Entry, Frozen, RecordStore, SegmentResult
from segmenter.errors import TransportDown

logger = logging.getLogger(__name__)
Kept = TypeVar("Kept", bound=Frozen)


class RunStart(Frozen):
    """A run as it was taken on.

    Attributes:
        thread: as it was before the run; None while the run waits for its thread.
        undone: of an undo or a redo: what the thread showed before it.
        planner: the kind that plans, never ``auto``.
    """

    run_id: str
    created_at: datetime
    request: AgentRequest
    thread: ThreadRecord | None
    planner: str
    budget: Budget
    undone: ThreadRecord | None = None


class LoggedAnswer(Frozen):
    """An answer of the planner's model or of the tool, or why there was none.

    Attributes:
        key: what was asked, as kind and digest.
        seconds: of the run, when it came.
    """

    key: str
    seconds: float = 0.0
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
        answers: what is there.
        keep: writes a new one down; None for a recording, which takes none.
        clock: seconds of the run.
    """

    def __init__(
        self,
        answers: Iterable[LoggedAnswer] = (),
        keep: Callable[[int, LoggedAnswer], Awaitable[None]] | None = None,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._answers = {answer.key: answer for answer in answers}
        self._keep = keep
        self._clock = clock
        self._seconds = 0.0

    def recall(self, key: str) -> LoggedAnswer | None:
        """Return the answer to a question that was asked before, None for a new one.

        Raises:
            RecordingGap: this is a recording, and it does not hold it.
        """
        answer = self._answers.get(key)
        if answer is not None:
            self._seconds = max(self._seconds, answer.seconds)
        elif self._keep is None:
            kind = key.split(":")[0]
            raise RecordingGap(f"the run now asks a {kind} question that its record does not hold")
        return answer

    async def note(self, answer: LoggedAnswer) -> None:
        """Keep an answer that has just come."""
        number = len(self._answers)
        self._answers[answer.key] = answer.model_copy(update={"seconds": self._clock()})
        if self._keep is not None:
            await self._keep(number, self._answers[answer.key])

    def seconds(self) -> float:
        """Return the run's time at the latest answer that was recalled: a replay's clock."""
        return self._seconds


class RunLog:
    """Reads and writes the logs of runs, for as long as their records live."""

    def __init__(self, records: RecordStore, *, ttl_s: float) -> None:
        self._records = records
        self._ttl_s = ttl_s

    def entry(self, start: RunStart) -> Entry:
        """Return how a run begins, to be kept with all else that is kept of it then."""
        content = start.model_dump_json().encode()
        return Entry(_start_key(start.run_id), content, self._ttl_s, new=True)

    async def put_start(self, start: RunStart) -> None:
        """Keep how a run began; raises TransportDown: a run that is not kept is not begun."""
        entry = self.entry(start)
        await self._records.put(entry.key, entry.record, ttl_s=entry.ttl_s)

    async def start(self, run_id: str) -> RunStart:
        """Return how a run began.

        Raises:
            RunNotFound: never there, or expired.
        """
        start = await self._read(_start_key(run_id), RunStart)
        if start is None:
            raise RunNotFound(f"run {run_id[:40]!r} is not here, or not any more")
        return start

    async def logged(self, run_id: str) -> tuple[LoggedAnswer, ...]:
        """Return the answers a run has got, in their order."""
        answers: list[LoggedAnswer] = []
        while answer := await self._read(_answer_key(run_id, len(answers)), LoggedAnswer):
            answers.append(answer)
        return tuple(answers)

    def answers(
        self,
        run_id: str,
        logged: Iterable[LoggedAnswer],
        clock: Callable[[], float],
        got_on: Callable[[], Awaitable[object]],
    ) -> AnswerLog:
        """Return a run's answers, to go on with.

        Args:
            run_id: of the run.
            logged: those that are kept.
            clock: tells its seconds.
            got_on: is told when another one is kept.
        """

        async def keep(number: int, answer: LoggedAnswer) -> None:
            content = answer.model_dump_json().encode()
            try:
                await self._records.put(_answer_key(run_id, number), content, ttl_s=self._ttl_s)
                await got_on()
            except (TransportDown, ValueError) as error:
                # Out of reach, or larger than a record may be.
                logger.warning("answer not kept", extra={"error": type(error).__name__})

        return AnswerLog(logged, keep, clock)

    async def forget(self, run_id: str) -> None:
        """Forget all about a run."""
        for number in range(len(await self.logged(run_id))):
            await self._records.delete(_answer_key(run_id, number))
        await self._records.delete(_start_key(run_id))

    async def _read(self, key: str, model: type[Kept]) -> Kept | None:
        content = await self._records.get(key)
        return None if content is None else model.model_validate_json(content)


def _start_key(run_id: str) -> str:
    return f"log:{run_id}:start"


def _answer_key(run_id: str, number: int) -> str:
    return f"log:{run_id}:line:{number}"

"""Planner and tool with a answers between: a question that has its answer there is not asked again.

The rules are never recorded: they cost nothing and give the same answer again. What failed is
recorded as well, so that a run that is taken over, or replayed, goes the same way.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Literal

from agent.contract import Inspected, Planned, Planner, PlanQuestion, RoundView
from agent.errors import MllmError, MllmUnavailable
from agent.runs.log import AnswerLog, LoggedAnswer
from agent.schemas.rounds import Failure, Usage
from segmenter.contract import Capabilities, Segmenter, SegmentRequest, SegmentResult
from segmenter.errors import JobFailed, SegmenterError, error_class

Winner = Literal["first", "second", "same"]
Seconds = Callable[[], float]


class RecordedPlanner:
    """`agent.contract.Planner` by way of a answers."""

    def __init__(self, planner: Planner, answers: AnswerLog, seconds: Seconds) -> None:
        self._planner = planner
        self._answers = answers
        self._seconds = seconds

    @property
    def kind(self) -> Literal["rules", "gemini", "openai"]:
        """Who is asked."""
        return self._planner.kind

    @property
    def model(self) -> str | None:
        """The model's name."""
        return self._planner.model

    async def plan(self, question: PlanQuestion, *, timeout_s: float) -> Planned:
        """See `agent.contract.Planner`."""
        key = plan_key(question)
        line = self._known(key)
        if line is not None and line.plan is not None:
            return Planned(line.plan, line.usage)
        try:
            planned = await self._planner.plan(question, timeout_s=timeout_s)
        except MllmError as error:
            await self._note_failure(key, error)
            raise
        await self._note(LoggedAnswer(key=key, seconds=0.0, plan=planned.plan, usage=planned.usage))
        return planned

    async def inspect(self, view: RoundView, *, timeout_s: float) -> Inspected:
        """See `agent.contract.Planner`."""
        key = view_key("inspect", view)
        line = self._known(key)
        if line is not None and line.inspection is not None:
            return Inspected(line.inspection, line.usage)
        try:
            told = await self._planner.inspect(view, timeout_s=timeout_s)
        except MllmError as error:
            await self._note_failure(key, error)
            raise
        await self._note(
            LoggedAnswer(key=key, seconds=0.0, inspection=told.inspection, usage=told.usage)
        )
        return told

    async def compare(
        self, view: RoundView, first: tuple[str, ...], second: tuple[str, ...], *, timeout_s: float
    ) -> tuple[Winner, Usage]:
        """See `agent.contract.Planner`."""
        key = view_key("compare", view, first, second)
        line = self._known(key)
        if line is not None and line.winner is not None:
            return line.winner, line.usage
        try:
            winner, usage = await self._planner.compare(view, first, second, timeout_s=timeout_s)
        except MllmError as error:
            await self._note_failure(key, error)
            raise
        await self._note(LoggedAnswer(key=key, seconds=0.0, winner=winner, usage=usage))
        return winner, usage

    def _known(self, key: str) -> LoggedAnswer | None:
        line = self._answers.recall(key)
        if line is not None and line.failure is not None:
            kind = error_class(line.failure.kind, MllmError) or MllmUnavailable
            raise kind(line.failure.message)
        return line

    async def _note_failure(self, key: str, error: MllmError) -> None:
        # Its words may repeat what a server wrote; the kind is all that the run goes by.
        failure = Failure(kind=type(error).__name__, message="")
        await self._note(LoggedAnswer(key=key, seconds=0.0, failure=failure))

    async def _note(self, line: LoggedAnswer) -> None:
        await self._answers.note(line.model_copy(update={"seconds": self._seconds()}))


class RecordedSegmenter:
    """`segmenter.contract.Segmenter` by way of a answers."""

    def __init__(self, segmenter: Segmenter, answers: AnswerLog, seconds: Seconds) -> None:
        self._segmenter = segmenter
        self._answers = answers
        self._seconds = seconds

    async def segment(self, request: SegmentRequest, *, timeout_s: float) -> SegmentResult:
        """See `segmenter.contract.Segmenter`."""
        key = _key("segment", request.model_dump_json())
        line = self._answers.recall(key)
        if line is not None and line.failure is not None:
            kind = error_class(line.failure.kind, SegmenterError) or JobFailed
            raise kind(line.failure.message)
        if line is not None and line.result is not None:
            return line.result
        try:
            result = await self._segmenter.segment(request, timeout_s=timeout_s)
        except SegmenterError as error:
            failure = Failure(kind=type(error).__name__, message=str(error))
            await self._answers.note(
                LoggedAnswer(key=key, seconds=self._seconds(), failure=failure)
            )
            raise
        await self._answers.note(LoggedAnswer(key=key, seconds=self._seconds(), result=result))
        return result

    async def capabilities(self, *, timeout_s: float) -> Capabilities:
        """See `segmenter.contract.Segmenter`; the run's own stay, whatever worker comes later."""
        key = _key("capabilities", "")
        line = self._answers.recall(key)
        if line is not None and line.capabilities is not None:
            return line.capabilities
        known = await self._segmenter.capabilities(timeout_s=timeout_s)
        await self._answers.note(LoggedAnswer(key=key, seconds=self._seconds(), capabilities=known))
        return known


def plan_key(question: PlanQuestion) -> str:
    """Name what a plan is asked from."""
    boxes = {name: box and box.as_tuple() for name, box in question.drawn.items()}
    asked = [
        question.request,
        question.image.id,
        question.box and question.box.as_tuple(),
        boxes,
        [one.target.id for one in question.kept],
        question.first_target,
        question.modality,
    ]
    return _key("plan", json.dumps(asked))


def view_key(kind: str, view: RoundView, *sets: tuple[str, ...]) -> str:
    """Name what a judgement is asked from."""
    asked = [
        view.number,
        view.seed,
        [call.model_dump(mode="json") for call in view.calls],
        [one.id for one in view.candidates],
        {target: list(ids) for target, ids in view.incumbents.items()},
        *map(list, sets),
    ]
    return _key(kind, json.dumps(asked, sort_keys=True))


def _key(kind: str, asked: str) -> str:
    return f"{kind}:{hashlib.sha256(asked.encode('utf-8', 'replace')).hexdigest()[:32]}"

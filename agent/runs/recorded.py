"""Planner and tool with a log between: a question that has its answer there is not asked again.

The rules are never recorded: they cost nothing and give the same answer again. What failed is
recorded as well, so that a run that is taken over, or replayed, goes the same way.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Literal, NoReturn, TypeVar

from agent.contract import Inspected, Planned, Planner, PlanQuestion, RoundView
from agent.errors import MllmError, MllmUnavailable, RecordingGap
from agent.runs.log import AnswerLog, LoggedAnswer
from agent.schemas.rounds import Failure, Usage
from segmenter.contract import Capabilities, Segmenter, SegmentRequest, SegmentResult
from segmenter.errors import JobFailed, SegmenterError, error_class

Winner = Literal["first", "second", "same"]
Error = TypeVar("Error", MllmError, SegmenterError)


class RecordedPlanner:
    """`agent.contract.Planner` by way of a log."""

    def __init__(self, planner: Planner, answers: AnswerLog) -> None:
        self._planner = planner
        self._answers = answers

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

        async def ask() -> LoggedAnswer:
            planned = await self._planner.plan(question, timeout_s=timeout_s)
            return LoggedAnswer(key=key, plan=planned.plan, usage=planned.usage)

        answer = await self._once(key, ask)
        return Planned(answer.plan or _other_kind(), answer.usage)

    async def inspect(self, view: RoundView, *, timeout_s: float) -> Inspected:
        """See `agent.contract.Planner`."""
        key = view_key("inspect", view)

        async def ask() -> LoggedAnswer:
            inspected = await self._planner.inspect(view, timeout_s=timeout_s)
            return LoggedAnswer(key=key, inspection=inspected.inspection, usage=inspected.usage)

        answer = await self._once(key, ask)
        return Inspected(answer.inspection or _other_kind(), answer.usage)

    async def compare(
        self, view: RoundView, first: tuple[str, ...], second: tuple[str, ...], *, timeout_s: float
    ) -> tuple[Winner, Usage]:
        """See `agent.contract.Planner`."""
        key = view_key("compare", view, first, second)

        async def ask() -> LoggedAnswer:
            winner, usage = await self._planner.compare(view, first, second, timeout_s=timeout_s)
            return LoggedAnswer(key=key, winner=winner, usage=usage)

        answer = await self._once(key, ask)
        return answer.winner or _other_kind(), answer.usage

    async def _once(self, key: str, ask: Callable[[], Awaitable[LoggedAnswer]]) -> LoggedAnswer:
        return await _once(self._answers, key, ask, (MllmError, MllmUnavailable))


class RecordedSegmenter:
    """`segmenter.contract.Segmenter` by way of a log.

    Args:
        passing: failures that are no answers: the question is asked again.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        answers: AnswerLog,
        *,
        passing: tuple[type[SegmenterError], ...] = (),
    ) -> None:
        self._segmenter = segmenter
        self._answers = answers
        self._passing = passing

    async def segment(self, request: SegmentRequest, *, timeout_s: float) -> SegmentResult:
        """See `segmenter.contract.Segmenter`."""
        # The image counts by its content: any upload of it gives the same answer.
        key = _key("segment", request.model_dump_json(exclude={"image": {"upload"}}))

        async def ask() -> LoggedAnswer:
            result = await self._segmenter.segment(request, timeout_s=timeout_s)
            return LoggedAnswer(key=key, result=result)

        answer = await self._once(key, ask)
        return answer.result or _other_kind()

    async def capabilities(self, *, timeout_s: float) -> Capabilities:
        """See `segmenter.contract.Segmenter`; the run's own stay, whatever worker comes later."""
        key = _key("capabilities", "")

        async def ask() -> LoggedAnswer:
            known = await self._segmenter.capabilities(timeout_s=timeout_s)
            return LoggedAnswer(key=key, capabilities=known)

        answer = await self._once(key, ask)
        return answer.capabilities or _other_kind()

    async def _once(self, key: str, ask: Callable[[], Awaitable[LoggedAnswer]]) -> LoggedAnswer:
        kinds = (SegmenterError, JobFailed)
        return await _once(self._answers, key, ask, kinds, passing=self._passing)


async def _once(
    answers: AnswerLog,
    key: str,
    ask: Callable[[], Awaitable[LoggedAnswer]],
    errors: tuple[type[Error], type[Error]],
    *,
    passing: tuple[type[SegmenterError], ...] = (),
) -> LoggedAnswer:
    """Return the answer to a question, asking only if the log has none.

    Args:
        answers: the log.
        key: names the question.
        ask: asks it.
        errors: root of the failures that are answers too, and what an unknown one becomes.
        passing: failures that are no answers.
    """
    root, otherwise = errors
    answer = answers.recall(key)
    if answer is None:
        try:
            answer = await ask()
        except passing:
            raise
        except root as error:
            await answers.note(_failed(key, error))
            raise
        await answers.note(answer)
    elif answer.failure is not None:
        failed = (error_class(answer.failure.kind, root) or otherwise)(answer.failure.message)
        if isinstance(failed, MllmError):
            failed.reason, failed.usage = answer.failure.message, answer.usage
        raise failed
    return answer


def _failed(key: str, error: MllmError | SegmenterError) -> LoggedAnswer:
    """Return a failure as an answer; of a model's only the reason: more may repeat a request."""
    kind = type(error).__name__
    if isinstance(error, MllmError):
        failure = Failure(kind=kind, message=error.reason)
        return LoggedAnswer(key=key, failure=failure, usage=error.usage)
    return LoggedAnswer(key=key, failure=Failure(kind=kind, message=str(error)))


def _other_kind() -> NoReturn:
    raise RecordingGap("the record holds an answer of another kind")


def plan_key(question: PlanQuestion) -> str:
    """Name what a plan is asked from."""
    boxes = {name: box and box.as_tuple() for name, box in question.drawn.items()}
    asked = [
        question.request,
        f"img_{question.image.sha256}",
        question.box and question.box.as_tuple(),
        boxes,
        [result.target.id for result in question.kept],
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
        [candidate.id for candidate in view.candidates],
        {target: list(ids) for target, ids in view.incumbents.items()},
        *map(list, sets),
    ]
    return _key(kind, json.dumps(asked, sort_keys=True))


def _key(kind: str, asked: str) -> str:
    return f"{kind}:{hashlib.sha256(asked.encode('utf-8', 'replace')).hexdigest()[:32]}"

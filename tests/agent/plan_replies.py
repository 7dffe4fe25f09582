"""A model's answer to ``plan.md`` that says what an intent says, and a model that gives it."""

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from agent.contract import Inspected, Planned, PlanQuestion, RoundView
from agent.errors import MllmReplyError
from agent.language.coverage import Words
from agent.mllm.contract import Answer, Picture
from agent.mllm.json.misfit import Misfit
from agent.planners.mllm import MllmPlanner
from agent.planners.rules import RulesPlanner
from agent.schemas.intent import Intent, Operation, Question, Thing, Which
from agent.schemas.rounds import Usage

Read = TypeVar("Read")


def to_reply(intent: Intent, request: str) -> dict[str, object]:
    """Return the plan of a model that understands what the intent says, and sees no place.

    Operations and questions that do not tell their words verbatim are about all of the request.
    """
    says = intent.find or intent.operations or intent.questions
    return {
        "decision": "segment" if says else "unclear",
        "modality": intent.modality,
        "targets": [_target(thing) for thing in intent.find],
        "calls": [],
        "operations": [_operation(one, request) for one in intent.operations],
        "questions": [_question(one, request) for one in intent.questions],
        "talk": intent.talk,
        "context": list(intent.context),
        "not_understood": list(intent.not_understood),
        "note": None,
    }


def _said(words: str, request: str) -> str:
    return words if Words(request).places(words) else request


def _label(thing: Thing) -> str:
    return thing.terms[0] if len(thing.terms) == 1 else thing.words


def _target(thing: Thing) -> dict[str, object]:
    return {
        "label": _label(thing),
        "words": thing.words,
        "count": "several" if thing.which.several else "unknown",
        "where": thing.where or None,
        "which": _which(thing.which),
    }


def _which(which: Which) -> list[str]:
    words = [which.side, which.frame, which.place, which.rank, which.border]
    return [
        *(word for word in words if word),
        *([f"{which.nth}th"] if which.nth > 1 else []),
        *([f"at most {which.limit}"] if which.limit else []),
    ]


def _operation(one: Operation, request: str) -> dict[str, object]:
    return {
        "act": one.act,
        "words": _said(one.words, request),
        "masks": list(one.masks),
        "targets": [_label(thing) for thing in one.things],
        "minus": [_label(thing) for thing in one.minus],
        "which": _which(one.which),
        "amount": one.amount,
        "unit": one.unit,
        "box_2d": None,
    }


def _question(one: Question, request: str) -> dict[str, object]:
    return {
        "topic": one.topic,
        "words": _said(one.words, request),
        "masks": list(one.masks),
        "targets": [_label(thing) for thing in one.things],
        "unit": one.unit,
    }


class SaysMllm:
    """A model that gives the answers of a script, the last one again and again."""

    kind: Literal["gemini"] = "gemini"
    model = "gemini-scripted"

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def ask(
        self,
        *,
        system: str,
        text: str,
        pictures: Sequence[Picture],
        schema: dict[str, object],
        read: Callable[[object], Read],
        timeout_s: float,
    ) -> Answer[Read]:
        self.asked.append(text)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        try:
            return Answer(content=read(answer), usage=Usage(calls=1))
        except Misfit as misfit:
            raise MllmReplyError(reason=misfit.reason) from misfit

    async def aclose(self) -> None:
        """There is nothing to close."""


class PlansByModel:
    """A planner whose plans are a model's; the rules judge, so that only plans differ."""

    kind: Literal["gemini"] = "gemini"
    model: str | None = "gemini-scripted"

    def __init__(self, planner: MllmPlanner) -> None:
        self._planner = planner
        self._rules = RulesPlanner()

    async def plan(self, question: PlanQuestion, *, timeout_s: float) -> Planned:
        return await self._planner.plan(question, timeout_s=timeout_s)

    async def inspect(self, view: RoundView, *, timeout_s: float) -> Inspected:
        return await self._rules.inspect(view, timeout_s=timeout_s)

    async def compare(
        self, view: RoundView, first: tuple[str, ...], second: tuple[str, ...], *, timeout_s: float
    ) -> tuple[Literal["first", "second", "same"], Usage]:
        return await self._rules.compare(view, first, second, timeout_s=timeout_s)

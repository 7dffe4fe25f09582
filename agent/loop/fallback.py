"""Asks the planner; when its model fails, the rules take over that step and it is written down."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Literal, NamedTuple, TypeVar

from agent.contract import Inspected, Planned, Planner, PlanQuestion, RoundView
from agent.errors import MllmError, MllmUnavailable
from agent.loop.context import RunContext
from agent.policy.ledger import Ids, wins_comparison
from agent.policy.next_calls import MAX_FAILURES
from agent.schemas.rounds import Usage

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")
# A model's own deadline comes first: only who asked it knows what was spent.
GRACE_S = 0.5


class Judgement(NamedTuple):
    """An inspection, who gave it, and why another did not.

    Attributes:
        fallback: a sentence for the provenance, None if nobody had to stand in.
    """

    inspected: Inspected
    by: str
    fallback: str | None


async def ask_for_plan(question: PlanQuestion, context: RunContext) -> tuple[Planned, str | None]:
    """Return a plan, and a sentence for the provenance if the rules had to make it."""
    planner, rules = context.planner, context.tools.rules
    if planner.kind == rules.kind:
        return await rules.plan(question, timeout_s=context.step_s()), None
    try:
        return await _in_time(lambda limit: planner.plan(question, timeout_s=limit), context), None
    except MllmError as error:
        fallback = _fallback("plan", error, planner)
        made = await rules.plan(question, timeout_s=context.step_s())
        return replace(made, usage=made.usage.plus(error.usage)), fallback


async def ask_for_inspection(
    view: RoundView, context: RunContext, *, failures: int, spent: bool = False
) -> Judgement:
    """Return an inspection; after two failures in a row the model is not asked again.

    `spent`: the run has no tokens left to ask it with.
    """
    planner, rules = context.planner, context.tools.rules
    if spent and planner.kind != rules.kind:
        fallback = f"inspect {view.number}: the run's tokens were spent, rules took over"
        return await _by_rules(view, context, fallback)
    if planner.kind == rules.kind or failures >= MAX_FAILURES:
        return await _by_rules(view, context, None)
    try:
        inspected = await _in_time(lambda limit: planner.inspect(view, timeout_s=limit), context)
        return Judgement(inspected, planner.kind, None)
    except MllmError as error:
        fallback = _fallback(f"inspect {view.number}", error, planner)
        return await _by_rules(view, context, fallback, error.usage)


async def _by_rules(
    view: RoundView, context: RunContext, fallback: str | None, spent: Usage | None = None
) -> Judgement:
    """Let the rules inspect; `spent` is what a failed judge has cost before."""
    rules = context.tools.rules
    made = await rules.inspect(view, timeout_s=context.step_s())
    usage = made.usage.plus(spent or Usage())
    return Judgement(replace(made, usage=usage), rules.kind, fallback)


async def ask_for_comparison(
    view: RoundView, incumbent: Ids, challenger: Ids, context: RunContext, *, by: str
) -> tuple[bool, Usage, str | None]:
    """Ask twice, with the sides swapped, whether the challenger is better.

    A failed question leaves the incumbent.
    """
    judge = context.planner if by == context.planner.kind else context.tools.rules
    usage = Usage()
    answers: list[Literal["first", "second", "same"]] = []
    for first, second in ((incumbent, challenger), (challenger, incumbent)):
        try:
            answer, cost = await _in_time(_comparison(judge, view, first, second), context)
        except MllmError as error:
            fallback = _fallback(f"compare {view.number}", error, judge)
            return False, usage.plus(error.usage), fallback
        answers.append(answer)
        usage = usage.plus(cost)
    return wins_comparison(answers[0], answers[1]), usage, None


def _comparison(
    judge: Planner, view: RoundView, first: Ids, second: Ids
) -> Callable[[float], Awaitable[tuple[Literal["first", "second", "same"], Usage]]]:
    return lambda limit: judge.compare(view, first, second, timeout_s=limit)


async def _in_time(ask: Callable[[float], Awaitable[Answer]], context: RunContext) -> Answer:
    """Ask with the step's time; a planner that does not keep it counts as not there."""
    limit = context.step_s()
    if limit <= 0.0:
        raise MllmUnavailable(reason="the time for this run is over")
    try:
        async with asyncio.timeout(limit + GRACE_S):
            return await ask(limit)
    except TimeoutError as error:
        raise MllmUnavailable(reason="no answer in time") from error


def _fallback(step: str, error: MllmError, planner: Planner) -> str:
    """Name the step and why it failed; never what the model or the caller wrote."""
    kind = type(error).__name__
    logger.warning(
        "rules take over a step", extra={"step": step, "error": kind, "reason": error.reason}
    )
    why = f"{kind}: {error.reason}" if error.reason else kind
    return f"{step}: {planner.kind} failed ({why}), rules took over"

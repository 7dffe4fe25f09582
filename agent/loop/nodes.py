"""The steps of the loop: async functions of state and context that return what they change."""

import asyncio

from agent.contract import PlanQuestion, RoundView
from agent.loop.admission import admit_plan, reopened_plan, standing_ids
from agent.loop.candidates import take_in, to_failure, to_request
from agent.loop.challenge import MAX_COMPARISONS, settle, tidy
from agent.loop.context import RunContext
from agent.loop.fallback import ask_for_inspection, ask_for_plan
from agent.loop.recheck import look_again
from agent.loop.round_view import Frame, find_duplicates, grade, inherit, to_look
from agent.loop.state import (
    AgentState,
    RoundResult,
    answers_of,
    dump_incumbents,
    dump_round,
    dump_verdicts,
    failure_of,
    incumbents_of,
    pending_of,
    plan_of,
    rounds_of,
    to_json,
    to_round,
    usage_of,
    verdicts_of,
    with_fallbacks,
)
from agent.policy.calls import CallLimits, limits_after
from agent.policy.ledger import record_verdicts
from agent.policy.next_calls import MAX_FAILURES, Progress, next_step
from agent.policy.outcome import RunSummary, end_run
from agent.policy.refine import next_calls, open_targets, trim_inspection
from agent.schemas.plan import Plan
from agent.schemas.rounds import Failure, Round
from segmenter.errors import ImageNotFound, SegmenterError

TIME_OVER = Failure(kind="DeadlineExceeded", message="The time for this run was over.")
NO_PIXELS = Failure(kind="DeadlineExceeded", message="The image could not be read in time.")


async def prepare(state: AgentState, context: RunContext) -> AgentState:
    """Read the pixels and ask what the tool can do.

    Raises:
        ImageNotFound: the image has expired.
    """
    try:
        await context.lay_out()
    except ImageNotFound:
        raise
    except TimeoutError:
        return {"error": to_json(NO_PIXELS)}
    except SegmenterError as error:
        return {"error": to_json(to_failure(error))}
    opening = context.opening
    return {
        "kept": [one.target.id for one in opening.kept],
        "incumbents": dump_incumbents(opening.incumbents),
        "verdicts": dump_verdicts({verdict.candidate: verdict for verdict in opening.verdicts}),
    }


async def plan(state: AgentState, context: RunContext) -> AgentState:
    """Turn the request into targets and the first calls."""
    opening = context.opening
    limits = limits_of(state, context)
    reopened = reopened_plan(opening, limits)
    if not opening.asks_planner:
        return await _planned(state, context, {"plan": to_json(reopened)})
    planned, fallback = await ask_for_plan(question_of(context), context)
    admitted = admit_plan(planned.plan, question_of(context), reopened, limits)
    named = {target.id for target in admitted.targets}
    standing = standing_ids(opening.kept, named)
    return await _planned(
        state,
        context,
        {
            "plan": to_json(admitted),
            "kept": [name for name in state.get("kept", []) if name not in named],
            "incumbents": {**state.get("incumbents", {}), **standing},
            "usage": to_json(usage_of(state).plus(planned.usage)),
            "fallbacks": with_fallbacks(state, fallback),
        },
    )


async def _planned(state: AgentState, context: RunContext, update: AgentState) -> AgentState:
    made = plan_of(update)
    assert made is not None, "a plan was made"
    await context.tell("run.plan", targets=len(made.targets), calls=len(made.calls))
    return {**update, "pending": [to_json(call) for call in made.calls]}


async def segment(state: AgentState, context: RunContext) -> AgentState:
    """Put all pending calls to the tool as one request, and keep what it finds."""
    calls, number = pending_of(state), len(rounds_of(state)) + 1
    made = plan_of(state)
    assert made is not None, "plan comes first"
    if context.seconds_left() <= 0.0:
        return {"error": to_json(TIME_OVER), "pending": []}
    await context.tell("run.segment.started", number, calls=len(calls))
    request = to_request(calls, context.image, context.tool_capabilities())
    try:
        result = await context.tools.segmenter.segment(request, timeout_s=context.step_s())
    except ImageNotFound:
        raise
    except SegmenterError as error:
        return {"error": to_json(to_failure(error)), "pending": []}
    context.model = result.model
    answers = await asyncio.to_thread(
        take_in, calls, result, context, number=number, targets=made.targets
    )
    await context.tell("run.segment.completed", number, masks=len(answers.candidates))
    return {"latest": to_json(answers), "pending": []}


async def inspect(state: AgentState, context: RunContext) -> AgentState:
    """Judge the round, let the ledger decide who stands, and append the round."""
    made, answers = plan_of(state), answers_of(state)
    assert made is not None, "plan comes first"
    assert answers is not None, "segment comes first"
    await context.tell("run.inspect", answers.number, masks=len(answers.candidates))
    view, duplicates = await asyncio.to_thread(_look, state, made, answers, context)
    failures = state.get("failures", 0)
    spent = context.is_spent(usage_of(state))
    told = await ask_for_inspection(view, context, failures=failures, spent=spent)
    comparisons = state.get("comparisons", 0)
    if comparisons < MAX_COMPARISONS and not spent:
        told, asked = await look_again(view, told, context)
        comparisons += asked
    inspection = trim_inspection(told.inspected.inspection, view, by=told.by)
    known = verdicts_of(state)
    inherited = inherit(inspection.verdicts, duplicates, known)
    verdicts = record_verdicts(known, (*inspection.verdicts, *inherited))
    settled = await settle(
        view, verdicts, context, answers=answers, by=told.by, comparisons=comparisons
    )
    standing, verdicts, cleaned = await asyncio.to_thread(
        tidy, settled.incumbents, verdicts, context, number=answers.number
    )
    whole = inspection.model_copy(update={"verdicts": (*inspection.verdicts, *inherited)})
    done = to_round(answers, whole, by=told.by, wins=(*settled.wins, *cleaned))
    await context.tell("run.round.completed", answers.number, masks=len(answers.candidates))
    usage = usage_of(state).plus(told.inspected.usage).plus(settled.usage)
    return {
        "latest": None,
        "rounds": [*state.get("rounds", []), dump_round(done)],
        "incumbents": dump_incumbents(standing),
        "verdicts": dump_verdicts(verdicts),
        "usage": to_json(usage),
        "fallbacks": with_fallbacks(state, told.fallback, settled.fallback),
        "failures": count_failures(failures, failed=told.fallback is not None and not spent),
        "comparisons": settled.comparisons,
        "step": next_step(
            Progress(
                rounds=answers.number,
                max_rounds=context.request.max_rounds,
                settled=not open_targets(made, done, standing, verdicts),
                unchanged=settled.unchanged,
                proposed=inspection.next,
                seconds_left=context.seconds_left(),
                spent=context.is_spent(usage),
            )
        ),
    }


def _look(
    state: AgentState, made: Plan, answers: RoundResult, context: RunContext
) -> tuple[RoundView, dict[str, str]]:
    """Measure the round's candidates and gather what the inspector may know; CPU work."""
    grade(answers, made.targets, context)
    duplicates = find_duplicates(answers, context, verdicts_of(state))
    frame = Frame(question_of(context), made, incumbents_of(state), rounds_of(state), duplicates)
    return to_look(answers, frame, context), duplicates


async def refine(state: AgentState, context: RunContext) -> AgentState:
    """Name the next calls; none ends the run."""
    made = plan_of(state)
    assert made is not None, "plan comes first"
    calls = next_calls(
        made,
        rounds_of(state),
        incumbents_of(state),
        verdicts_of(state),
        context.candidates,
        limits=limits_of(state, context),
    )
    return {"pending": [to_json(call) for call in calls]}


async def finish(state: AgentState, context: RunContext) -> AgentState:
    """Say how every target, and the run, ended."""
    made, failure = plan_of(state), failure_of(state)
    stays = set(state.get("kept", [one.target.id for one in context.opening.kept]))
    story = RunSummary(
        plan=made,
        rounds=rounds_of(state),
        incumbents=incumbents_of(state),
        verdicts=verdicts_of(state),
        boxed=_boxed(rounds_of(state), context),
        owners={name: one.target for name, one in context.candidates.items()},
        limits=None if context.capabilities is None else limits_of(state, context),
        failure=failure,
        fallbacks=tuple(state.get("fallbacks", [])),
    )
    kept = [one for one in context.opening.kept if one.target.id in stays]
    outcome = end_run(made.targets if made else context.opening.reopened, kept, story)
    return {"outcome": to_json(outcome)}


def _boxed(rounds: tuple[Round, ...], context: RunContext) -> frozenset[str]:
    """Return the run's candidates that came of calls with a box."""
    return frozenset(
        name
        for done in rounds
        for name in done.candidates
        if name in context.candidates and done.calls[context.candidates[name].call].boxes
    )


def limits_of(state: AgentState, context: RunContext) -> CallLimits:
    """Return what the next calls must fit."""
    start = CallLimits(context.image, context.tool_capabilities(), context.opening.tried)
    return limits_after(start, rounds_of(state))


def question_of(context: RunContext) -> PlanQuestion:
    """Return what a planner may know before the first call."""
    return PlanQuestion(
        reading=context.opening.reading,
        image=context.image,
        pixels=context.image_pixels(),
        capabilities=context.tool_capabilities(),
        box=context.request.box,
        drawn=context.opening.drawn(),
        kept=context.opening.kept,
        first_target=context.opening.next_target,
        modality=context.opening.modality,
    )


def count_failures(failures: int, *, failed: bool) -> int:
    """Count failed judgements in a row; from the second on the rules finish the run."""
    if failed or failures >= MAX_FAILURES:
        return failures + failed
    return 0

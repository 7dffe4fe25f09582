"""The steps of the loop: plain async functions of state and bench. Each returns what it changes."""

import asyncio

from agent.contract import Look, PlanQuestion
from agent.loop.admission import admit_plan, reopened_plan, standing_ids
from agent.loop.candidates import take_in, to_failure, to_request
from agent.loop.challenge import MAX_DUELS, settle, tidy
from agent.loop.context import Bench
from agent.loop.fallback import ask_for_inspection, ask_for_plan
from agent.loop.recheck import look_again
from agent.loop.round_view import Frame, find_twins, grade, inherit, to_look
from agent.loop.state import (
    Answers,
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
from agent.policy.calls import Limits, limits_after
from agent.policy.ledger import record_verdicts
from agent.policy.next_calls import MAX_FAILURES, Progress, next_step
from agent.policy.outcome import Story, end_run
from agent.policy.refine import next_calls, open_targets, trim_inspection
from agent.schemas.runs import AgentState, Failure, Plan, Round
from segmenter.errors import ImageNotFound, SegmenterError

TIME_OVER = Failure(kind="DeadlineExceeded", message="The time for this run was over.")
NO_PIXELS = Failure(kind="DeadlineExceeded", message="The image could not be read in time.")


async def prepare(state: AgentState, bench: Bench) -> AgentState:
    """Read the pixels and ask what the tool can do.

    Raises:
        ImageNotFound: the image has expired.
    """
    try:
        await bench.lay_out()
    except ImageNotFound:
        raise
    except TimeoutError:
        return {"error": to_json(NO_PIXELS)}
    except SegmenterError as error:
        return {"error": to_json(to_failure(error))}
    opening = bench.opening
    return {
        "kept": [one.target.id for one in opening.kept],
        "incumbents": dump_incumbents(opening.incumbents),
        "verdicts": dump_verdicts({verdict.candidate: verdict for verdict in opening.verdicts}),
    }


async def plan(state: AgentState, bench: Bench) -> AgentState:
    """Turn the request into targets and the first calls."""
    opening = bench.opening
    limits = limits_of(state, bench)
    reopened = reopened_plan(opening, limits)
    if not opening.asks_planner:
        return await _planned(state, bench, {"plan": to_json(reopened)})
    planned, fallback = await ask_for_plan(question_of(bench), bench)
    admitted = admit_plan(planned.plan, question_of(bench), reopened, limits)
    named = {target.id for target in admitted.targets}
    standing = standing_ids(opening.kept, named)
    return await _planned(
        state,
        bench,
        {
            "plan": to_json(admitted),
            "kept": [name for name in state.get("kept", []) if name not in named],
            "incumbents": {**state.get("incumbents", {}), **standing},
            "usage": to_json(usage_of(state).plus(planned.usage)),
            "fallbacks": with_fallbacks(state, fallback),
        },
    )


async def _planned(state: AgentState, bench: Bench, update: AgentState) -> AgentState:
    made = plan_of(update)
    assert made is not None, "a plan was made"
    await bench.tell("run.plan", targets=len(made.targets), calls=len(made.calls))
    return {**update, "pending": [to_json(call) for call in made.calls]}


async def segment(state: AgentState, bench: Bench) -> AgentState:
    """Put all pending calls to the tool as one request, and keep what it finds."""
    calls, number = pending_of(state), len(rounds_of(state)) + 1
    made = plan_of(state)
    assert made is not None, "plan comes first"
    if bench.seconds_left() <= 0.0:
        return {"error": to_json(TIME_OVER), "pending": []}
    await bench.tell("run.segment.started", number, calls=len(calls))
    request = to_request(calls, bench.image, bench.tool_capabilities())
    try:
        result = await bench.tools.segmenter.segment(request, timeout_s=bench.step_s())
    except ImageNotFound:
        raise
    except SegmenterError as error:
        return {"error": to_json(to_failure(error)), "pending": []}
    bench.model = result.model
    answers = await asyncio.to_thread(
        take_in, calls, result, bench, number=number, targets=made.targets
    )
    await bench.tell("run.segment.completed", number, masks=len(answers.candidates))
    return {"latest": to_json(answers), "pending": []}


async def inspect(state: AgentState, bench: Bench) -> AgentState:
    """Judge the round, let the ledger decide who stands, and append the round."""
    made, answers = plan_of(state), answers_of(state)
    assert made is not None, "plan comes first"
    assert answers is not None, "segment comes first"
    await bench.tell("run.inspect", answers.number, masks=len(answers.candidates))
    look, twins = await asyncio.to_thread(_look, state, made, answers, bench)
    failures = state.get("failures", 0)
    spent = bench.is_spent(usage_of(state))
    told = await ask_for_inspection(look, bench, failures=failures, spent=spent)
    duels = state.get("duels", 0)
    if duels < MAX_DUELS and not spent:
        told, asked = await look_again(look, told, bench)
        duels += asked
    inspection = trim_inspection(told.inspected.inspection, look, by=told.by)
    known = verdicts_of(state)
    inherited = inherit(inspection.verdicts, twins, known)
    verdicts = record_verdicts(known, (*inspection.verdicts, *inherited))
    settled = await settle(look, verdicts, bench, answers=answers, by=told.by, duels=duels)
    standing, verdicts, cleaned = await asyncio.to_thread(
        tidy, settled.incumbents, verdicts, bench, number=answers.number
    )
    whole = inspection.model_copy(update={"verdicts": (*inspection.verdicts, *inherited)})
    done = to_round(answers, whole, by=told.by, wins=(*settled.wins, *cleaned))
    await bench.tell("run.round.completed", answers.number, masks=len(answers.candidates))
    usage = usage_of(state).plus(told.inspected.usage).plus(settled.usage)
    return {
        "latest": None,
        "rounds": [*state.get("rounds", []), dump_round(done)],
        "incumbents": dump_incumbents(standing),
        "verdicts": dump_verdicts(verdicts),
        "usage": to_json(usage),
        "fallbacks": with_fallbacks(state, told.fallback, settled.fallback),
        "failures": count_failures(failures, failed=told.fallback is not None and not spent),
        "duels": settled.duels,
        "step": next_step(
            Progress(
                rounds=answers.number,
                max_rounds=bench.request.max_rounds,
                settled=not open_targets(made, done, standing, verdicts),
                unchanged=settled.unchanged,
                proposed=inspection.next,
                seconds_left=bench.seconds_left(),
                spent=bench.is_spent(usage),
            )
        ),
    }


def _look(
    state: AgentState, made: Plan, answers: Answers, bench: Bench
) -> tuple[Look, dict[str, str]]:
    """Measure the round's candidates and gather what the inspector may know; CPU work."""
    grade(answers, made.targets, bench)
    twins = find_twins(answers, bench, verdicts_of(state))
    frame = Frame(question_of(bench), made, incumbents_of(state), rounds_of(state), twins)
    return to_look(answers, frame, bench), twins


async def refine(state: AgentState, bench: Bench) -> AgentState:
    """Name the next calls; none ends the run."""
    made = plan_of(state)
    assert made is not None, "plan comes first"
    calls = next_calls(
        made,
        rounds_of(state),
        incumbents_of(state),
        verdicts_of(state),
        bench.candidates,
        limits=limits_of(state, bench),
    )
    return {"pending": [to_json(call) for call in calls]}


async def finish(state: AgentState, bench: Bench) -> AgentState:
    """Say how every target, and the run, ended."""
    made, failure = plan_of(state), failure_of(state)
    stays = set(state.get("kept", [one.target.id for one in bench.opening.kept]))
    story = Story(
        plan=made,
        rounds=rounds_of(state),
        incumbents=incumbents_of(state),
        verdicts=verdicts_of(state),
        boxed=_boxed(rounds_of(state), bench),
        owners={name: one.target for name, one in bench.candidates.items()},
        limits=None if bench.capabilities is None else limits_of(state, bench),
        failure=failure,
        fallbacks=tuple(state.get("fallbacks", [])),
    )
    kept = [one for one in bench.opening.kept if one.target.id in stays]
    outcome = end_run(made.targets if made else bench.opening.reopened, kept, story)
    return {"outcome": to_json(outcome)}


def _boxed(rounds: tuple[Round, ...], bench: Bench) -> frozenset[str]:
    """Return the run's candidates that came of calls with a box."""
    return frozenset(
        name
        for done in rounds
        for name in done.candidates
        if name in bench.candidates and done.calls[bench.candidates[name].call].boxes
    )


def limits_of(state: AgentState, bench: Bench) -> Limits:
    """Return what the next calls must fit."""
    start = Limits(bench.image, bench.tool_capabilities(), bench.opening.tried)
    return limits_after(start, rounds_of(state))


def question_of(bench: Bench) -> PlanQuestion:
    """Return what a planner may know before the first call."""
    return PlanQuestion(
        request=bench.request.request,
        image=bench.image,
        pixels=bench.image_pixels(),
        capabilities=bench.tool_capabilities(),
        box=bench.request.box,
        drawn=bench.opening.drawn(),
        kept=bench.opening.kept,
        first_target=bench.opening.next_target,
        modality=bench.opening.modality,
    )


def count_failures(failures: int, *, failed: bool) -> int:
    """Count failed judgements in a row; from the second on the rules finish the run."""
    if failed or failures >= MAX_FAILURES:
        return failures + failed
    return 0

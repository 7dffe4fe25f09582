"""The steps of the loop: async functions of state and context that return what they change."""

import asyncio

from agent.contract import RoundView
from agent.conversation.follow_up import open_thread
from agent.conversation.merge import merge
from agent.language.lexicon import load_lexicon
from agent.loop.admission import admit_plan, reopened_plan, standing_ids
from agent.loop.candidates import best_concepts, take_in, to_failure, to_request
from agent.loop.challenge import MAX_COMPARISONS, settle
from agent.loop.cleaning import tidy
from agent.loop.context import RunContext
from agent.loop.fallback import ask_for_inspection, ask_for_plan
from agent.loop.recheck import check_doubted
from agent.loop.round_view import find_duplicates, grade, inherit, to_view
from agent.loop.state import AgentState
from agent.planners.frames import settle_frames
from agent.policy.calls import CallLimits, limits_after
from agent.policy.ledger import record_verdicts
from agent.policy.next_calls import MAX_FAILURES, Progress, next_step
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
        NoWorker, QueueFull, TransportDown: the run goes on when it can.
    """
    try:
        await context.prepare()
    except ImageNotFound:
        raise
    except TimeoutError:
        return {"error": NO_PIXELS}
    except SegmenterError as error:
        if context.goes_on_after(error):
            raise
        return {"error": to_failure(error)}
    opening = context.opening
    return {
        "incumbents": opening.incumbents,
        "verdicts": {verdict.candidate: verdict for verdict in opening.verdicts},
    }


async def plan(state: AgentState, context: RunContext) -> AgentState:
    """Turn the request into targets and the first calls.

    A model is asked for what is new, and for words that the rules did not understand.
    """
    limits = limits_of(state, context)
    if not (context.opening.asks_planner or asks_model(context)):
        return await _planned(reopened_plan(context.opening, limits), context)
    planned, fallback = await ask_for_plan(context.question(), context)
    made, changes = planned.plan, await _reread(planned.plan, context)
    opening = context.opening
    reopened = reopened_plan(opening, limits)
    if opening.asks_planner:
        made = admit_plan(made, context.question(), reopened, limits)
    else:
        made = reopened.model_copy(update={"note": made.note, "intent": made.intent})
    named = {target.id for target in made.targets}
    return {
        **changes,
        **await _planned(made, context, fallback),
        "kept": tuple(result for result in opening.kept if result.target.id not in named),
        "incumbents": {**opening.incumbents, **standing_ids(opening.kept, named)},
        "usage": state["usage"].plus(planned.usage),
        "fallbacks": with_fallbacks(state, fallback),
    }


def asks_model(context: RunContext) -> bool:
    """Tell whether there is a model, and words of the request are left for it to understand."""
    return context.planner.kind != "rules" and bool(context.opening.intent.not_understood)


async def _reread(made: Plan, context: RunContext) -> AgentState:
    """Start again from the thread, with what a model made of the request beside the rules."""
    if made.intent is None:
        return {}
    opening, request = context.opening, context.request
    intent = merge(opening.intent, made, request.request, context.thread)
    # Cutting masks into pieces takes seconds on large ones.
    read = await asyncio.to_thread(open_thread, request, context.thread, load_lexicon(), intent)
    context.start_from(read)
    return {"verdicts": {verdict.candidate: verdict for verdict in read.verdicts}}


async def _planned(made: Plan, context: RunContext, fallback: str | None = None) -> AgentState:
    counts = {"targets": len(made.targets), "calls": len(made.calls)}
    await context.tell("run.plan", 0, **counts, **fallback_facts(fallback))
    return {"plan": made, "pending": made.calls}


async def segment(state: AgentState, context: RunContext) -> AgentState:
    """Put all pending calls to the tool as one request, and keep what it finds.

    Raises:
        ImageNotFound: the image has expired.
        NoWorker, QueueFull, TransportDown: the run goes on when it can.
    """
    calls, number = state["pending"], len(state["rounds"]) + 1
    if context.seconds_left() <= 0.0:
        return {"error": TIME_OVER, "pending": ()}
    await context.tell("run.segment.started", number, calls=len(calls))
    request = to_request(calls, context.image, context.tool_capabilities())
    try:
        result = await context.tools.segmenter.segment(request, timeout_s=context.step_s())
    except ImageNotFound:
        raise
    except SegmenterError as error:
        if context.goes_on_after(error):
            raise
        return {"error": to_failure(error), "pending": ()}
    context.model = result.model
    answers = await asyncio.to_thread(
        take_in, calls, result, context, number=number, targets=state["plan"].targets
    )
    await context.tell("run.segment.completed", number, masks=len(answers.candidates))
    made = settle_frames(
        state["plan"],
        best_concepts(answers.candidates, context),
        context.question().intent,
        context.tool_capabilities(),
        load_lexicon(),
    )
    return {"latest": answers, "pending": (), "plan": made}


async def inspect(state: AgentState, context: RunContext) -> AgentState:
    """Judge the round, let the ledger decide who stands, and append the round."""
    answers, known, failures = state["latest"], state["verdicts"], state["failures"]
    await context.tell("run.inspect", answers.number, masks=len(answers.candidates))
    view, duplicates = await asyncio.to_thread(_view, state, context)
    spent = context.is_spent(state["usage"])
    judgement = await ask_for_inspection(view, context, failures=failures, spent=spent)
    comparisons = state["comparisons"]
    if comparisons < MAX_COMPARISONS and not spent:
        judgement, asked = await check_doubted(view, judgement, context)
        comparisons += asked
    inspection = trim_inspection(judgement.inspected.inspection, view, by=judgement.by)
    inherited = inherit(inspection.verdicts, duplicates, known)
    verdicts = record_verdicts(known, (*inspection.verdicts, *inherited))
    settled = await settle(
        view, verdicts, context, answers=answers, by=judgement.by, comparisons=comparisons
    )
    standing, verdicts, cleaned = await asyncio.to_thread(
        tidy,
        settled.incumbents,
        verdicts,
        context,
        targets=state["plan"].targets,
        answers=answers,
    )
    done = Round(
        **dict(answers),
        inspection=inspection.model_copy(update={"verdicts": (*inspection.verdicts, *inherited)}),
        planner=judgement.by,
        wins=(*settled.wins, *cleaned),
    )
    await context.tell(
        "run.round.completed",
        answers.number,
        masks=len(answers.candidates),
        **fallback_facts(judgement.fallback, settled.fallback),
    )
    usage = state["usage"].plus(judgement.inspected.usage).plus(settled.usage)
    failed = judgement.fallback is not None and not spent
    return {
        "rounds": (*state["rounds"], done),
        "incumbents": standing,
        "verdicts": verdicts,
        "usage": usage,
        "fallbacks": with_fallbacks(state, judgement.fallback, settled.fallback),
        "failures": count_failures(failures, failed=failed),
        "comparisons": settled.comparisons,
        "step": next_step(
            Progress(
                rounds=answers.number,
                max_rounds=context.request.max_rounds,
                settled=not open_targets(state["plan"], done, standing, verdicts),
                unchanged=settled.unchanged,
                proposed=inspection.next,
                seconds_left=context.seconds_left(),
                spent=context.is_spent(usage),
            )
        ),
    }


def _view(state: AgentState, context: RunContext) -> tuple[RoundView, dict[str, str]]:
    """Measure the round's candidates and gather what the inspector may know; CPU work."""
    answers = state["latest"]
    grade(answers, state["plan"].targets, context)
    duplicates = find_duplicates(answers, context, state["verdicts"])
    return to_view(state, duplicates, context), duplicates


async def refine(state: AgentState, context: RunContext) -> AgentState:
    """Name the next calls; none ends the run."""
    calls = next_calls(
        state["plan"],
        state["rounds"],
        state["incumbents"],
        state["verdicts"],
        context.candidates,
        limits=limits_of(state, context),
    )
    return {"pending": calls}


def limits_of(state: AgentState, context: RunContext) -> CallLimits:
    """Return what the next calls must fit."""
    start = CallLimits(context.image, context.tool_capabilities(), context.opening.tried)
    return limits_after(start, state["rounds"])


def fallback_facts(*sentences: str | None) -> dict[str, str]:
    """Return what an event tells of steps that the rules took over; nothing if there are none."""
    told = "; ".join(sentence for sentence in sentences if sentence)
    return {"fallback": told} if told else {}


def with_fallbacks(state: AgentState, *sentences: str | None) -> tuple[str, ...]:
    """Return the fallbacks with the new ones, if there are any."""
    return (*state["fallbacks"], *(sentence for sentence in sentences if sentence))


def count_failures(failures: int, *, failed: bool) -> int:
    """Count failed judgements in a row; from the second on the rules finish the run."""
    if failed or failures >= MAX_FAILURES:
        return failures + failed
    return 0

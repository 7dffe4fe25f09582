"""The last step of the loop: how every target, and the run, ended."""

import asyncio
from collections.abc import Collection, Sequence

from agent.conversation.closing import Ended, close_run, left_nothing
from agent.language.lexicon import load_lexicon
from agent.loop.context import RunContext
from agent.loop.state import AgentState
from agent.planners.meanings import scene_of
from agent.policy.calls import CallLimits, limits_after
from agent.policy.ledger import grade_of
from agent.policy.outcome import RunSummary, end_targets, to_outcome
from agent.policy.pictures import Seen, kinds_of, tell_kind, why_unfit, witnesses
from agent.policy.wording import Said
from agent.schemas.plan import Target
from agent.schemas.rounds import Round, Status
from segmenter.contract import Prompt, SegmentRequest
from segmenter.errors import ImageNotFound, SegmenterError


async def finish(state: AgentState, context: RunContext) -> AgentState:
    """Say how every target, and the run, ended; carry out what had to wait for its masks.

    Raises:
        ImageNotFound: the image has expired.
        NoWorker, QueueFull, TransportDown: the run goes on when it can.
    """
    made = state.get("plan")
    targets = made.targets if made else context.opening.reopened
    summary = await asyncio.to_thread(_summary, state, targets, context)
    if made is not None and context.capabilities is not None:
        summary = await _doubt_kind(targets, state, summary, context)
    ended = await asyncio.to_thread(_close, state, targets, summary, context)
    for candidate in ended.candidates:
        context.add(candidate)
    context.next_mask = ended.next_mask
    said = _said(context, ended.notes)
    summary = summary._replace(said=said._replace(emptied=said.emptied or ended.emptied))
    worked = {target.id for target in targets} & set(ended.targets)
    return {
        "outcome": to_outcome(ended.outcomes, ended.targets, worked, summary),
        "targets": ended.targets,
        "verdicts": {**state["verdicts"], **{word.candidate: word for word in ended.verdicts}},
    }


def _summary(state: AgentState, targets: Sequence[Target], context: RunContext) -> RunSummary:
    limits = None
    if context.capabilities is not None:
        start = CallLimits(context.image, context.capabilities, context.opening.tried)
        limits = limits_after(start, state["rounds"])
    return RunSummary(
        plan=state.get("plan"),
        rounds=state["rounds"],
        incumbents=state["incumbents"],
        verdicts=state["verdicts"],
        boxed=_boxed(state["rounds"], context),
        owners={name: candidate.target for name, candidate in context.candidates.items()},
        concepts={
            name: one.concept for name, one in context.candidates.items() if one.concept is not None
        },
        limits=limits,
        failure=state.get("error"),
        fallbacks=state["fallbacks"],
        left_nothing=_left_nothing(state, targets, context),
        said=_said(context, ()),
    )


def _said(context: RunContext, notes: Sequence[str]) -> Said:
    opening = context.opening
    return Said(
        done=tuple(dict.fromkeys((*opening.notes, *notes))),
        not_understood=opening.intent.not_understood,
        corrections=opening.intent.corrections,
        talk=opening.intent.talk,
        asks=bool(opening.intent.questions),
        emptied=opening.emptied,
    )


def _left_nothing(
    state: AgentState, targets: Sequence[Target], context: RunContext
) -> dict[str, str]:
    """Say for targets that nothing stands for which qualifier left nothing of what was found."""
    own = {name for done in state["rounds"] for name in done.candidates}
    sources = {context.candidates[name].derived_from for name in own}
    reasons = {}
    for target in targets:
        if state["incumbents"].get(target.id):
            continue
        found = [
            context.candidates[name]
            for name in sorted(own, key=lambda name: int(name[1:]))
            if context.candidates[name].target == target.id
            and name not in sources
            and grade_of((name,), state["verdicts"]) in ("accept", "partial")
        ]
        reason = left_nothing(target, found, context.image)
        if reason:
            reasons[target.id] = reason
    return reasons


async def _doubt_kind(
    targets: Sequence[Target], state: AgentState, summary: RunSummary, context: RunContext
) -> RunSummary:
    """Return the summary with what the model cannot look for on this kind of picture."""
    capabilities, lexicon = context.tool_capabilities(), load_lexicon()
    if not capabilities.pictures or not targets:
        return summary
    named = state["plan"].modality
    scene = await asyncio.to_thread(scene_of, context.question(), named, lexicon)
    seen = Seen(scene.modality, scene.possible)
    absent = [
        target
        for target, one in zip(targets, end_targets(targets, (), summary), strict=True)
        if one.status is Status.NOT_FOUND
    ]
    if absent and summary.failure is None:
        kinds = {kind for target in absent for kind in kinds_of(target, capabilities)}
        seen = await _look_for_kind(seen, kinds, context)
    unfit = {
        target.id: why
        for target in targets
        if (why := why_unfit(target, seen, capabilities, lexicon))
    }
    return summary._replace(unfit=unfit)


async def _look_for_kind(seen: Seen, kinds: Collection[str], context: RunContext) -> Seen:
    """Ask for what tells other kinds of picture: a chest X-ray shows lungs."""
    asked = witnesses(kinds, context.tool_capabilities())
    if not asked or not kinds or context.seconds_left() <= 0.0:
        return seen
    prompts = tuple(Prompt(text=concept) for concept in asked)
    request = SegmentRequest(image=context.image, prompts=prompts)
    try:
        result = await context.tools.segmenter.segment(request, timeout_s=context.step_s())
    except ImageNotFound:
        raise
    except SegmenterError as error:
        if context.goes_on_after(error):
            raise
        return seen
    return tell_kind(seen, asked, result.results)


def _close(
    state: AgentState, targets: Sequence[Target], summary: RunSummary, context: RunContext
) -> Ended:
    """End the targets and carry out what had to wait; CPU work."""
    by_id = {result.target.id: result.target for result in state["kept"]}
    by_id |= {target.id: target for target in targets}
    return close_run(
        end_targets(targets, state["kept"], summary),
        by_id,
        [target.id for target in targets],
        context.opening,
        image=context.image,
        candidates=context.candidates,
        verdicts=state["verdicts"],
        next_mask=context.next_mask,
    )


def _boxed(rounds: Sequence[Round], context: RunContext) -> frozenset[str]:
    """Return the run's candidates that came of calls with a box, or of those by cleaning."""
    asked = {
        name
        for done in rounds
        for name in done.candidates
        if name in context.candidates and done.calls[context.candidates[name].call].boxes
    }
    known = context.candidates.values()
    return frozenset(asked | {each.id for each in known if each.derived_from in asked})

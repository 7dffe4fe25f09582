"""Lets a round's sets meet the incumbents: options, vetoes, comparisons."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.contract import RoundView
from agent.loop.context import RunContext
from agent.loop.fallback import ask_for_comparison
from agent.loop.state import RoundResult
from agent.masks.quality import frame_share
from agent.planners.rules import mean_quality
from agent.policy.ledger import (
    Ids,
    Option,
    best_option,
    challenge,
    is_rejected_by_client,
    is_vetoed,
    sets_of,
)
from agent.policy.next_calls import SAME_MASK_IOU
from agent.schemas.plan import Target
from agent.schemas.rounds import Usage, Verdict, Win
from segmenter.masks.geometry import mask_iou

# Six MLLM calls a run at most: one plan, three inspections, one comparison of two.
MAX_COMPARISONS = 1


@dataclass
class Settled:
    """Who stands after a round, and what it took.

    Attributes:
        unchanged: every set that was offered covers what stood before.
        comparisons: asked in this run so far.
        fallback: a sentence for the provenance if a comparison failed, else None.
    """

    incumbents: dict[str, Ids]
    comparisons: int
    wins: list[Win] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    unchanged: bool = False
    fallback: str | None = None


async def settle(
    view: RoundView,
    verdicts: Mapping[str, Verdict],
    context: RunContext,
    *,
    answers: RoundResult,
    by: str,
    comparisons: int,
) -> Settled:
    """Let the best set of the round challenge the incumbent of each target."""
    settled = Settled(incumbents=dict(view.incumbents), comparisons=comparisons)
    meetings: list[bool] = []
    for target in view.plan.targets:
        old = settled.incumbents.get(target.id, ())
        option, same = await asyncio.to_thread(_offer, target, old, answers, verdicts, context)
        meetings.append(same)
        if option is None:
            continue
        reason = await _meet(option, old, view, verdicts, context, settled, same=same, by=by)
        if reason:
            settled.incumbents[target.id] = option.ids
            settled.wins.append(
                Win(target=target.id, round=view.number, old=old, new=option.ids, reason=reason)
            )
    settled.unchanged = bool(meetings) and all(meetings)
    return settled


async def _meet(
    option: Option,
    old: Ids,
    view: RoundView,
    verdicts: Mapping[str, Verdict],
    context: RunContext,
    settled: Settled,
    *,
    same: bool,
    by: str,
) -> str:
    """Return why the option now stands, "" if it does not."""
    step = challenge(old, option, verdicts, same=same)
    if step == "open":
        return "first find"
    # Rules that stand in for a failed judge may not overrule what it judged before.
    if step == "keep" or by != context.planner.kind:
        return ""
    if step == "replace":
        return "accepted, while the incumbent was rejected"
    if by != context.tools.rules.kind and settled.comparisons >= MAX_COMPARISONS:
        return ""
    settled.comparisons += 1
    won, usage, fallback = await ask_for_comparison(view, old, option.ids, context, by=by)
    settled.usage = settled.usage.plus(usage)
    settled.fallback = fallback
    return "judged better, and won the comparison both ways" if won else ""


def _offer(
    target: Target,
    old: Ids,
    answers: RoundResult,
    verdicts: Mapping[str, Verdict],
    context: RunContext,
) -> tuple[Option | None, bool]:
    """Return the round's best set for a target, and whether it covers what stands; CPU work."""
    option = best_option(_options(target, answers, verdicts, context), verdicts)
    return option, option is not None and bool(old) and _are_same(old, option.ids, context)


def _options(
    target: Target, answers: RoundResult, verdicts: Mapping[str, Verdict], context: RunContext
) -> list[Option]:
    """Return what each of the round's calls offers for a target."""
    fresh = [
        context.candidates[name]
        for name in answers.candidates
        if not is_rejected_by_client(name, verdicts)
    ]
    options: list[Option] = []
    wanted = context.opening.drawn().get(target.id, context.opening.box)
    for place, call in enumerate(answers.calls):
        mine = [
            candidate
            for candidate in fresh
            if candidate.target == target.id and candidate.call == place
        ]
        boxed = any(prompt.box == wanted for prompt in call.boxes)
        options += [
            _option(ids, target, context, boxed=boxed)
            for ids in sets_of(
                target, mine, verdicts, size=(context.image.width, context.image.height)
            )
        ]
    return options


def _option(ids: Ids, target: Target, context: RunContext, *, boxed: bool) -> Option:
    covered = context.union(ids)
    members = [context.candidates[name] for name in ids]
    return Option(
        ids=ids,
        boxed=boxed,
        vetoed=is_vetoed(float(covered.mean()), frame_share(covered), target),
        quality=mean_quality(members, ids),
    )


def _are_same(first: Ids, second: Ids, context: RunContext) -> bool:
    return first == second or mask_iou(context.union(first), context.union(second)) > SAME_MASK_IOU

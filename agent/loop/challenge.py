"""Lets a round's sets meet the incumbents: options, vetoes, duels, clean-up."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.contract import Look
from agent.loop.context import Bench
from agent.loop.fallback import ask_for_duel
from agent.loop.state import Answers
from agent.masks.quality import frame_share
from agent.masks.selection import clean, to_mask
from agent.planners.rules import mean_quality
from agent.policy.ledger import (
    Ids,
    Option,
    best_option,
    challenge,
    grade_of,
    is_accepted_by_client,
    is_rejected_by_client,
    is_vetoed,
    sets_of,
)
from agent.policy.next_calls import SAME_MASK_IOU
from agent.schemas.runs import Candidate, Issue, Target, Usage, Verdict, Win
from segmenter.masks.geometry import mask_iou

# Six MLLM calls a run at most: one plan, three inspections, one duel of two.
MAX_DUELS = 1


@dataclass
class Settled:
    """Who stands after a round, and what it took.

    Attributes:
        unchanged: every set that was offered covers what stood before.
        duels: asked in this run so far.
        fallback: one line if a duel failed, else None.
    """

    incumbents: dict[str, Ids]
    duels: int
    wins: list[Win] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    unchanged: bool = False
    fallback: str | None = None


async def settle(
    look: Look,
    verdicts: Mapping[str, Verdict],
    bench: Bench,
    *,
    answers: Answers,
    by: str,
    duels: int,
) -> Settled:
    """Let the best set of the round challenge the incumbent of each target."""
    settled = Settled(incumbents=dict(look.incumbents), duels=duels)
    meetings: list[bool] = []
    for target in look.plan.targets:
        old = settled.incumbents.get(target.id, ())
        option, same = await asyncio.to_thread(_offer, target, old, answers, verdicts, bench)
        meetings.append(same)
        if option is None:
            continue
        reason = await _meet(option, old, look, verdicts, bench, settled, same=same, by=by)
        if reason:
            settled.incumbents[target.id] = option.ids
            settled.wins.append(
                Win(target=target.id, round=look.number, old=old, new=option.ids, reason=reason)
            )
    settled.unchanged = bool(meetings) and all(meetings)
    return settled


async def _meet(
    option: Option,
    old: Ids,
    look: Look,
    verdicts: Mapping[str, Verdict],
    bench: Bench,
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
    if step == "keep" or by != bench.planner.kind:
        return ""
    if step == "replace":
        return "accepted, while the incumbent was rejected"
    if by != bench.tools.rules.kind and settled.duels >= MAX_DUELS:
        return ""
    settled.duels += 1
    won, usage, fallback = await ask_for_duel(look, old, option.ids, bench, by=by)
    settled.usage = settled.usage.plus(usage)
    settled.fallback = fallback
    return "judged better, and won the duel both ways" if won else ""


def _offer(
    target: Target, old: Ids, answers: Answers, verdicts: Mapping[str, Verdict], bench: Bench
) -> tuple[Option | None, bool]:
    """Return the round's best set for a target, and whether it covers what stands; CPU work."""
    option = best_option(_options(target, answers, verdicts, bench), verdicts)
    return option, option is not None and bool(old) and _are_same(old, option.ids, bench)


def _options(
    target: Target, answers: Answers, verdicts: Mapping[str, Verdict], bench: Bench
) -> list[Option]:
    """Return what each of the round's calls offers for a target."""
    fresh = [
        bench.candidates[one]
        for one in answers.candidates
        if not is_rejected_by_client(one, verdicts)
    ]
    options: list[Option] = []
    wanted = bench.opening.drawn().get(target.id, bench.request.box)
    for place, call in enumerate(answers.calls):
        mine = [one for one in fresh if one.target == target.id and one.call == place]
        boxed = any(prompt.box == wanted for prompt in call.boxes)
        options += [
            _option(ids, target, bench, boxed=boxed)
            for ids in sets_of(target, mine, verdicts, width=bench.image.width)
        ]
    return options


def _option(ids: Ids, target: Target, bench: Bench, *, boxed: bool) -> Option:
    covered = bench.union(ids)
    members = [bench.candidates[one] for one in ids]
    return Option(
        ids=ids,
        boxed=boxed,
        vetoed=is_vetoed(float(covered.mean()), frame_share(covered), target),
        quality=mean_quality(members, ids),
    )


def _are_same(first: Ids, second: Ids, bench: Bench) -> bool:
    return first == second or mask_iou(bench.union(first), bench.union(second)) > SAME_MASK_IOU


def tidy(
    incumbents: Mapping[str, Ids],
    verdicts: Mapping[str, Verdict],
    bench: Bench,
    *,
    number: int,
) -> tuple[dict[str, Ids], dict[str, Verdict], list[Win]]:
    """Clean incumbents that were judged fragmented: specks go, holes are filled; no new call."""
    standing, words, wins = dict(incumbents), dict(verdicts), []
    for target, ids in incumbents.items():
        if not any(_is_fragmented(one, verdicts) for one in ids):
            continue
        if is_accepted_by_client(ids, verdicts) or grade_of(ids, verdicts) == "reject":
            continue
        new = tuple(
            _cleaned(one, words, bench) if _is_fragmented(one, verdicts) else one for one in ids
        )
        if new != ids:
            standing[target] = new
            reason = "judged fragmented: specks removed, holes filled"
            wins.append(Win(target=target, round=number, old=ids, new=new, reason=reason))
    return standing, words, wins


def _is_fragmented(name: str, verdicts: Mapping[str, Verdict]) -> bool:
    return name in verdicts and verdicts[name].issue is Issue.FRAGMENTED


def _cleaned(name: str, words: dict[str, Verdict], bench: Bench) -> str:
    """Keep a cleaned copy as a candidate under the verdict of its source; return its id."""
    source, mask = bench.candidates[name], bench.mask(name)
    cleaned = clean(mask)
    if not cleaned.any() or bool((cleaned == mask).all()):
        return name
    copy: Candidate = source.model_copy(
        update={
            "id": bench.new_id(),
            "mask": to_mask(source.mask, cleaned),
            "derived_from": name,
        }
    )
    bench.add(copy)
    words[copy.id] = words[name].model_copy(update={"candidate": copy.id, "issue": Issue.NONE})
    return copy.id

"""A find that the tool's own words do not support is looked at again before it counts.

Where plain words found nothing, what a box or a lowered threshold gave may be drawn on a picture
that does not hold the target, and one wrong word would make it a result. So the model judges the
same panels once more, in another order, and a third time if the two differ: two of three decide.
Asked at most once a run, in place of its comparison, so that a run still asks six times at most.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from agent.contract import Inspected, RoundView
from agent.loop.context import RunContext
from agent.loop.fallback import Judgement, ask_for_inspection
from agent.schemas.plan import Call
from agent.schemas.rounds import Candidate, Inspection, Issue, Verdict

LOOKS = 3


class SecondLook(NamedTuple):
    """What was told in the end, and whether it took more than one view."""

    told: Judgement
    asked: bool


async def look_again(view: RoundView, told: Judgement, context: RunContext) -> SecondLook:
    """Return the inspection that two looks of three agree on, where one alone is not enough."""
    before = {one.id for one in context.opening.candidates}
    own = [one for one in context.candidates.values() if one.id not in before]
    doubted = doubted_finds(view, told.inspected.inspection.verdicts, own)
    if not doubted or told.by == context.tools.rules.kind:
        return SecondLook(told, asked=False)
    looks, usage = [told.inspected.inspection], told.inspected.usage
    while len(looks) < LOOKS and not _agree(looks, doubted):
        seed = view.seed + len(looks)
        more = await ask_for_inspection(replace(view, seed=seed), context, failures=0)
        if more.by != told.by:
            # Nobody can be asked any more: what one look alone says does not count.
            looks.append(Inspection(verdicts=()))
            break
        usage = usage.plus(more.inspected.usage)
        looks.append(more.inspected.inspection)
    decided = decide(looks, doubted)
    return SecondLook(told._replace(inspected=Inspected(decided, usage)), asked=True)


def doubted_finds(
    view: RoundView, verdicts: Sequence[Verdict], own: Sequence[Candidate]
) -> frozenset[str]:
    """Return the finds of targets that plain words have not found, and that nothing stands for.

    `own`: all the run's candidates; the look lacks those that repeat another one's pixels.
    """
    rounds = [(one.number, one.calls) for one in view.history] + [(view.number, view.calls)]
    spoken = {
        (number, place)
        for number, calls in rounds
        for place, call in enumerate(calls)
        if _is_plain(call)
    }
    heard = {one.target for one in own if (one.round, one.call) in spoken}
    asked = {call.target for _, calls in rounds for call in calls if _is_plain(call)}
    rejected = _rejected(view)
    standing = {target for target, ids in view.incumbents.items() if set(ids) - rejected}
    doubted = asked - heard - standing
    finds = {one.candidate for one in verdicts if one.verdict != "reject"}
    return frozenset(one.id for one in view.candidates if one.target in doubted and one.id in finds)


def _rejected(view: RoundView) -> set[str]:
    """Return what the latest word before this look rejected."""
    words = {one.candidate: one for done in view.history for one in done.inspection.verdicts}
    return {name for name, word in words.items() if word.verdict == "reject"}


def _is_plain(call: Call) -> bool:
    return call.concept is not None and not call.boxes and call.threshold is None


def _finds(inspection: Inspection) -> frozenset[str]:
    return frozenset(one.candidate for one in inspection.verdicts if one.verdict != "reject")


def _agree(looks: Sequence[Inspection], doubted: frozenset[str]) -> bool:
    """Tell whether two looks say the same of every doubted find."""
    if len(looks) < 2:
        return False
    return len({_finds(one) & doubted for one in looks}) == 1


def decide(looks: Sequence[Inspection], doubted: frozenset[str]) -> Inspection:
    """Return the first look with every doubted find rejected that most looks did not confirm."""
    first, last = looks[0], looks[-1]
    needed = len(looks) // 2 + 1
    votes = {name: sum(name in _finds(one) for one in looks) for name in doubted}
    lost = {name for name, count in votes.items() if count < needed}
    verdicts = tuple(
        one.model_copy(
            update={
                "verdict": "reject",
                "issue": Issue.NOT_PRESENT,
                "better_than_incumbent": "same",
            }
        )
        if one.candidate in lost
        else one
        for one in first.verdicts
    )
    if not lost:
        return first
    # What was complete with these finds is not without them.
    proposed = "segment" if first.next == "stop" else first.next
    return first.model_copy(
        update={
            "verdicts": verdicts,
            "complete": {},
            "next": last.next if last.next != "stop" else proposed,
            "calls": last.calls or first.calls,
        }
    )

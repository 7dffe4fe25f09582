"""A find that the tool's own words do not support is judged again before it counts.

Where plain words found nothing, what a box or a lowered threshold gave may be drawn on a picture
that does not hold the target, and one wrong word would make it a result. So the model judges the
same panels once more, in another order, and a third time if the two differ: two of three decide.
Asked at most once a run, in place of its comparison, so that a run still asks six times at most.
"""

from collections.abc import Sequence
from dataclasses import replace

from agent.contract import Inspected, RoundView
from agent.loop.context import RunContext
from agent.loop.fallback import Judgement, ask_for_inspection
from agent.schemas.plan import Call
from agent.schemas.rounds import Candidate, Inspection, Issue, Verdict

MAX_INSPECTIONS = 3


async def check_doubted(
    view: RoundView, judgement: Judgement, context: RunContext
) -> tuple[Judgement, bool]:
    """Return what two inspections of three agree on, and whether one alone was not enough."""
    before = {candidate.id for candidate in context.opening.candidates}
    own = [candidate for name, candidate in context.candidates.items() if name not in before]
    doubted = doubted_finds(view, judgement.inspected.inspection.verdicts, own)
    if not doubted or judgement.by == context.tools.rules.kind:
        return judgement, False
    inspections, usage = [judgement.inspected.inspection], judgement.inspected.usage
    while len(inspections) < MAX_INSPECTIONS and not _agree(inspections, doubted):
        seed = view.seed + len(inspections)
        more = await ask_for_inspection(replace(view, seed=seed), context, failures=0)
        usage = usage.plus(more.inspected.usage)
        if more.by != judgement.by:
            # Nobody can be asked any more: what one alone says does not count.
            inspections.append(Inspection(verdicts=()))
            judgement = judgement._replace(fallback=more.fallback)
            break
        inspections.append(more.inspected.inspection)
    decided = decide(inspections, doubted)
    return judgement._replace(inspected=Inspected(decided, usage)), True


def doubted_finds(
    view: RoundView, verdicts: Sequence[Verdict], own: Sequence[Candidate]
) -> frozenset[str]:
    """Return the finds of targets that plain words have not found, and that nothing stands for.

    `own`: all the run's candidates; the view lacks those that repeat another one's pixels.
    """
    rounds = [(done.number, done.calls) for done in view.history] + [(view.number, view.calls)]
    plain = {
        (number, place)
        for number, calls in rounds
        for place, call in enumerate(calls)
        if _is_plain(call)
    }
    found = {candidate.target for candidate in own if (candidate.round, candidate.call) in plain}
    asked = {call.target for _, calls in rounds for call in calls if _is_plain(call)}
    rejected = _rejected(view)
    standing = {target for target, ids in view.incumbents.items() if set(ids) - rejected}
    doubted = asked - found - standing
    finds = {verdict.candidate for verdict in verdicts if verdict.verdict != "reject"}
    return frozenset(
        candidate.id
        for candidate in view.candidates
        if candidate.target in doubted and candidate.id in finds
    )


def _rejected(view: RoundView) -> set[str]:
    """Return what the latest verdicts before this round rejected."""
    latest = {
        verdict.candidate: verdict for done in view.history for verdict in done.inspection.verdicts
    }
    return {name for name, verdict in latest.items() if verdict.verdict == "reject"}


def _is_plain(call: Call) -> bool:
    return call.concept is not None and not call.boxes and call.threshold is None


def _finds(inspection: Inspection) -> frozenset[str]:
    return frozenset(
        verdict.candidate for verdict in inspection.verdicts if verdict.verdict != "reject"
    )


def _agree(inspections: Sequence[Inspection], doubted: frozenset[str]) -> bool:
    """Tell whether two inspections say the same of every doubted find."""
    found = {_finds(inspection) & doubted for inspection in inspections}
    return len(inspections) > 1 and len(found) == 1


def decide(inspections: Sequence[Inspection], doubted: frozenset[str]) -> Inspection:
    """Return the first inspection, every doubted find rejected that most did not confirm."""
    first, last = inspections[0], inspections[-1]
    needed = len(inspections) // 2 + 1
    votes = {
        name: sum(name in _finds(inspection) for inspection in inspections) for name in doubted
    }
    lost = {name for name, count in votes.items() if count < needed}
    verdicts = tuple(
        verdict.model_copy(
            update={
                "verdict": "reject",
                "issue": Issue.NOT_PRESENT,
                "better_than_incumbent": "same",
            }
        )
        if verdict.candidate in lost
        else verdict
        for verdict in first.verdicts
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

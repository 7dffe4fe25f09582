"""What follows a judged round: the inspector's words made safe, and the next calls. Pure."""

from collections.abc import Mapping
from typing import Literal

from agent.contract import RoundView
from agent.policy.calls import CallLimits, admit
from agent.policy.ledger import Ids, grade_of
from agent.policy.next_calls import Flaw, repair_calls, widening_calls
from agent.schemas.plan import Call, Plan, Target
from agent.schemas.rounds import Candidate, Inspection, Issue, Round, Verdict
from segmenter.contract import Box

MAX_MISSING_CHARS = 300


def trim_inspection(inspection: Inspection, view: RoundView, *, by: str) -> Inspection:
    """Keep what speaks of this round's candidates and targets; one word each, and who said it."""
    shown = {candidate.id for candidate in view.candidates}
    targets = {target.id for target in view.plan.targets}
    author: Literal["rules", "mllm"] = "rules" if by == "rules" else "mllm"
    words = {
        verdict.candidate: verdict.model_copy(update={"by": author})
        for verdict in inspection.verdicts
        if verdict.candidate in shown
    }
    return inspection.model_copy(
        update={
            "verdicts": tuple(words.values()),
            "complete": {key: is_ for key, is_ in inspection.complete.items() if key in targets},
            "missing": inspection.missing[:MAX_MISSING_CHARS],
        }
    )


def open_targets(
    plan: Plan, last: Round, incumbents: Mapping[str, Ids], verdicts: Mapping[str, Verdict]
) -> tuple[Target, ...]:
    """Return the targets that are not both accepted and complete."""
    return tuple(
        target
        for target in plan.targets
        if grade_of(incumbents.get(target.id, ()), verdicts) != "accept"
        or not last.inspection.complete.get(target.id, True)
    )


def next_calls(
    plan: Plan,
    rounds: tuple[Round, ...],
    incumbents: Mapping[str, Ids],
    verdicts: Mapping[str, Verdict],
    candidates: Mapping[str, Candidate],
    *,
    limits: CallLimits,
) -> tuple[Call, ...]:
    """Return what to try next: the inspector's calls, then what the issue table adds.

    The rules propose all they want themselves; re-prompting with own boxes did not pay.
    """
    last = rounds[-1]
    targets = open_targets(plan, last, incumbents, verdicts)
    wanted: list[Call] = list(last.inspection.calls)
    if last.planner != "rules":
        for target in targets:
            ids = incumbents.get(target.id, ())
            wanted += _repairs(target, ids, verdicts, candidates, limits, _box_of(target, rounds))
    return admit(wanted, targets, limits)


def _repairs(
    target: Target,
    ids: Ids,
    verdicts: Mapping[str, Verdict],
    candidates: Mapping[str, Candidate],
    limits: CallLimits,
    box: Box | None,
) -> tuple[Call, ...]:
    if not ids:
        return widening_calls(target, limits)
    flaws = [
        Flaw(verdicts[name].issue, candidates[name], box)
        for name in ids
        if name in verdicts and verdicts[name].issue is not Issue.NONE
    ]
    calls = [call for flaw in flaws for call in repair_calls(target, flaw, limits)]
    if not calls and grade_of(ids, verdicts) == "reject":
        return widening_calls(target, limits)
    return tuple(calls)


def _box_of(target: Target, rounds: tuple[Round, ...]) -> Box | None:
    """Return where the planner or the caller last said the target is."""
    boxes = [
        prompt.box
        for past in rounds
        for call in (*past.calls, *past.inspection.calls)
        if call.target == target.id
        for prompt in call.boxes
        if prompt.label == "positive"
    ]
    return boxes[-1] if boxes else None

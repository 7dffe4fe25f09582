"""How targets and runs end: the rule of absence, statuses, plain words. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent.policy.calls import CallLimits
from agent.policy.ledger import Grade, Ids, grade_of
from agent.policy.next_calls import is_searched
from agent.schemas.plan import Plan, Target
from agent.schemas.rounds import Failure, Issue, Outcome, Round, Status, TargetOutcome, Verdict
from agent.schemas.runs import TargetResult

# Below it the tool itself says that the concept is not there. Set by hand, not fitted.
ABSENT_PRESENCE = 0.3
# "Absent" is never one voice alone.
VOTES_NEEDED = 2
_ABSENT_ISSUES = frozenset({Issue.WRONG_STRUCTURE, Issue.NOT_PRESENT})
# As many concepts as a sentence can list.
_LISTED_CONCEPTS = 20


class RunSummary(NamedTuple):
    """Everything a run saw, as far as its end depends on it.

    Attributes:
        owners: target id of every candidate of the run.
        boxed: candidates that a box asked for: a box gives something wherever it lies.
        limits: with every call that was made.
    """

    plan: Plan | None
    rounds: tuple[Round, ...]
    incumbents: Mapping[str, Ids]
    verdicts: Mapping[str, Verdict]
    owners: Mapping[str, str]
    limits: CallLimits | None
    failure: Failure | None
    fallbacks: tuple[str, ...]
    boxed: frozenset[str] = frozenset()


def absence_votes(target: Target, run: RunSummary) -> int:
    """Count the voices for "not there": the planner, the search, two rounds of rejections."""
    looked = [presence for known, presence in _searches(target, run) if known]
    if not looked or run.limits is None:
        return 0
    planner = _planner_says_absent(run, max(looked))
    found = any(owner == target.id and name not in run.boxed for name, owner in run.owners.items())
    searched = not found and is_searched(target, run.limits)
    return planner + searched + (_rounds_rejected(target, run) >= 2)


def _searches(target: Target, run: RunSummary) -> list[tuple[bool, float]]:
    """Return for each call of a target whether the model knows the concept, and its presence."""
    return [
        (known, presence)
        for past in run.rounds
        for call, known, presence in zip(past.calls, past.known, past.presence, strict=True)
        if call.target == target.id
    ]


def _planner_says_absent(run: RunSummary, presence: float) -> bool:
    if run.plan is not None and run.plan.decision == "absent":
        return True
    last = run.rounds[-1]
    if last.planner == "rules":
        return presence < ABSENT_PRESENCE
    return last.inspection.next == "absent"


def _rounds_rejected(target: Target, run: RunSummary) -> int:
    """Count rounds in which all candidates were rejected as another structure."""
    count = 0
    for past in run.rounds:
        mine = {name for name in past.candidates if run.owners.get(name) == target.id}
        verdicts = [v for v in past.inspection.verdicts if v.candidate in mine]
        judged = {v.candidate for v in verdicts} == mine
        wrong = all(v.verdict == "reject" and v.issue in _ABSENT_ISSUES for v in verdicts)
        count += bool(mine) and judged and wrong
    return count


def end_target(target: Target, run: RunSummary) -> TargetOutcome:
    """Decide how a target ended."""
    ids = run.incumbents.get(target.id, ())
    grade = grade_of(ids, run.verdicts)
    if ids and grade in ("accept", "partial"):
        doubted = grade == "partial" and _by_rules(ids, run.verdicts)
        status = Status.UNCERTAIN if doubted else Status.FOUND
        reason = "the mask is of middling quality" if doubted else _why_look(target, grade)
        return _ended(target, status, ids, reason)
    if run.failure is not None:
        if ids:
            return _ended(target, Status.UNCERTAIN, ids, run.failure.message)
        return _ended(target, Status.FAILED, (), run.failure.message)
    if absence_votes(target, run) >= VOTES_NEEDED:
        return _ended(target, Status.NOT_FOUND, (), f"looked for {target.label} and found none")
    if ids:
        reason = f"something was found, but it may not be {target.label}"
        return _ended(target, Status.UNCERTAIN, ids, reason)
    return _ended(target, Status.UNCERTAIN, (), _why_nothing(target, run))


def _ended(target: Target, status: Status, ids: Ids, reason: str) -> TargetOutcome:
    return TargetOutcome(target=target.id, status=status, masks=ids, reason=reason)


def _by_rules(ids: Ids, verdicts: Mapping[str, Verdict]) -> bool:
    """Tell whether no one with eyes judged: a middling score is doubt of the find, not the edge."""
    return all(verdicts[name].by == "rules" for name in ids)


def _why_look(target: Target, grade: Grade) -> str:
    """Say why a person should look at what was found, "" if nothing speaks for it."""
    if grade != "accept":
        return "the outline may be partial or imprecise"
    return "" if target.known else f"{target.label!r} is no word of the lexicon"


def _why_nothing(target: Target, run: RunSummary) -> str:
    known = [known for known, _ in _searches(target, run)]
    if not known:
        return f"{target.label!r} was not looked for"
    if not any(known):
        return f"this model cannot look for {target.label!r}{_listed(run.limits)}"
    return f"nothing was found for {target.label}, but its absence is not established"


def _listed(limits: CallLimits | None) -> str:
    if limits is None or limits.capabilities.concepts is None:
        return ""
    return "; it knows: " + ", ".join(limits.capabilities.concepts[:_LISTED_CONCEPTS])


def end_run(targets: Sequence[Target], kept: Sequence[TargetResult], run: RunSummary) -> Outcome:
    """Decide how a run ended: its status is that of the targets it worked on.

    Targets of earlier runs that were `kept` are returned as they are; they give the status only of
    a run that worked on nothing else.
    """
    stay = [_kept(result) for result in kept]
    worked = [end_target(target, run) for target in targets]
    ended = (*stay, *worked)
    labels = {result.target.id: result.target.label for result in kept}
    labels |= {target.id: target.label for target in targets}
    return Outcome(
        status=_joint_status([outcome.status for outcome in worked or stay], run.failure),
        targets=ended,
        needs_review=_needs_review(ended, run),
        message=_message(ended, labels, run),
    )


def _kept(result: TargetResult) -> TargetOutcome:
    ids = tuple(mask.candidate.id for mask in result.masks)
    return _ended(result.target, result.status, ids, result.reason)


def _needs_review(ended: Sequence[TargetOutcome], run: RunSummary) -> bool:
    """Tell whether a person should look.

    A clean find needs none, nor an absence that a judge with eyes confirmed; when only the rules
    looked, both voices for an absence come from the same model.
    """
    if run.fallbacks or run.failure is not None or not ended:
        return True
    seen = bool(run.rounds) and run.rounds[-1].planner != "rules"
    return any(
        not (outcome.status is Status.FOUND and not outcome.reason)
        and not (outcome.status is Status.NOT_FOUND and seen)
        for outcome in ended
    )


def _joint_status(statuses: Sequence[Status], failure: Failure | None) -> Status:
    for status in (Status.FOUND, Status.UNCERTAIN, Status.FAILED, Status.NOT_FOUND):
        if status in statuses:
            return status
    return Status.FAILED if failure is not None else Status.UNCERTAIN


def _message(ended: Sequence[TargetOutcome], labels: Mapping[str, str], run: RunSummary) -> str:
    if run.failure is not None and all(outcome.status is Status.FAILED for outcome in ended):
        return run.failure.message
    if not ended:
        return "The request does not say what to outline; name a structure or draw a box."
    done = {win.new: win.note for past in run.rounds for win in past.wins}
    return " ".join(
        _sentence(end, labels.get(end.target, end.target), done.get(end.masks, "")) for end in ended
    )


def _sentence(outcome: TargetOutcome, label: str, done: str) -> str:
    """Say how a target ended, and what code did to its masks."""
    many = f"{len(outcome.masks)} masks" if len(outcome.masks) > 1 else "1 mask"
    head = {
        Status.FOUND: f"{label}: found, {many}",
        Status.NOT_FOUND: f"{label}: not found",
        Status.UNCERTAIN: f"{label}: uncertain",
        Status.FAILED: f"{label}: failed",
    }[outcome.status]
    if outcome.reason and outcome.status is not Status.NOT_FOUND:
        head += f" ({outcome.reason})"
    return f"{head}; {done}." if done else f"{head}."

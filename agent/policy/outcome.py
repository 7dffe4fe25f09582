"""How targets and runs end: the rule of absence, statuses, plain words. Pure."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from agent.policy.calls import CallLimits, listed_phrases
from agent.policy.ledger import Grade, Ids, grade_of, is_accepted_by_client
from agent.policy.next_calls import is_searched
from agent.policy.wording import LISTED_CONCEPTS, Said, run_message
from agent.schemas.plan import Plan, Target
from agent.schemas.rounds import Failure, Issue, Outcome, Round, Status, TargetOutcome, Verdict
from agent.schemas.runs import TargetResult

# Below it the tool itself says that the concept is not there. Set by hand, not fitted.
ABSENT_PRESENCE = 0.3
# "Absent" is never one voice alone.
VOTES_NEEDED = 2
_ABSENT_ISSUES = frozenset({Issue.WRONG_STRUCTURE, Issue.NOT_PRESENT})


class RunSummary(NamedTuple):
    """Everything a run saw, as far as its end depends on it.

    Attributes:
        owners: target id of every candidate of the run.
        concepts: the model's own name of what a candidate shows, by its id.
        boxed: candidates that a box asked for: a box gives something wherever it lies.
        limits: with every call that was made.
        unfit: by target, why the model cannot look for it on this kind of picture.
        left_nothing: by target, which qualifier leaves nothing of what was found.
        said: what the request said beside its targets.
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
    concepts: Mapping[str, str] = MappingProxyType({})
    unfit: Mapping[str, str] = MappingProxyType({})
    left_nothing: Mapping[str, str] = MappingProxyType({})
    said: Said = Said()


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
        doubt = _doubt(target, ids, grade, run)
        status = Status.UNCERTAIN if doubt else Status.FOUND
        return _ended(target, status, ids, doubt or _why_look(target, grade))
    if run.failure is not None:
        if ids:
            return _ended(target, Status.UNCERTAIN, ids, run.failure.message)
        return _ended(target, Status.FAILED, (), run.failure.message)
    if why := run.left_nothing.get(target.id) or (not ids and run.unfit.get(target.id)):
        return _ended(target, Status.UNCERTAIN, (), why)
    if absence_votes(target, run) >= VOTES_NEEDED:
        return _ended(target, Status.NOT_FOUND, (), f"looked for {target.label} and found none")
    if ids:
        reason = f"something was found, but it may not be {target.label}"
        return _ended(target, Status.UNCERTAIN, ids, reason)
    return _ended(target, Status.UNCERTAIN, (), _why_nothing(target, run))


def _doubt(target: Target, ids: Ids, grade: Grade, run: RunSummary) -> str:
    """Say why what was found is doubted, "" if it is not; a person's word is above all doubt."""
    if is_accepted_by_client(ids, run.verdicts):
        return ""
    by_rules = _by_rules(ids, run.verdicts)
    if _is_unproven(target, ids, run):
        return (
            f"this model draws {target.label} on pictures without it too, so this does not say"
            " that it is there"
        )
    if target.id in run.unfit:
        return run.unfit[target.id]
    if by_rules and set(ids) <= run.boxed and _is_unsupported(target, run):
        return (
            "the outline is of what stands out in the box; this model cannot tell whether that is"
            f" {target.label}"
        )
    return "the mask is of middling quality" if by_rules and grade == "partial" else ""


def _is_unproven(target: Target, ids: Ids, run: RunSummary) -> bool:
    """Tell whether masks show a concept that the model draws where it is absent too.

    Of a word with several meanings it is the one that was found that counts.
    """
    if run.limits is None:
        return False
    shown = {run.concepts[name] for name in ids if name in run.concepts} or set(target.phrases)
    return bool(shown & set(run.limits.capabilities.unproven))


def _is_unsupported(target: Target, run: RunSummary) -> bool:
    """Tell whether nothing but the box speaks for a target that has a name of its own."""
    if not target.phrases or run.limits is None:
        return False
    if not listed_phrases(target, run.limits.capabilities):
        return True
    plain = [
        presence if known else 0.0
        for past in run.rounds
        for call, known, presence in zip(past.calls, past.known, past.presence, strict=True)
        if call.target == target.id and not call.boxes
    ]
    return bool(plain) and max(plain) < ABSENT_PRESENCE


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
    return "; it knows: " + ", ".join(limits.capabilities.concepts[:LISTED_CONCEPTS])


def end_run(targets: Sequence[Target], kept: Sequence[TargetResult], run: RunSummary) -> Outcome:
    """Decide how a run ended: its status is that of the targets it worked on.

    Targets of earlier runs that were `kept` are returned as they are; they give the status only of
    a run that worked on nothing else.
    """
    by_id = {result.target.id: result.target for result in kept}
    by_id |= {target.id: target for target in targets}
    worked = {target.id for target in targets}
    return to_outcome(end_targets(targets, kept, run), by_id, worked, run)


def end_targets(
    targets: Sequence[Target], kept: Sequence[TargetResult], run: RunSummary
) -> tuple[TargetOutcome, ...]:
    """Decide how the targets a run worked on ended; those that were `kept` come first."""
    return (*map(_kept, kept), *(end_target(target, run) for target in targets))


def to_outcome(
    ended: Sequence[TargetOutcome],
    targets: Mapping[str, Target],
    worked: Collection[str],
    run: RunSummary,
) -> Outcome:
    """Return the end of a run from those of its targets; what was not understood is in doubt.

    Args:
        ended: how every target ended.
        targets: by id.
        worked: ids of those that the run worked on; they give the status.
        run: what it saw and did.
    """
    capabilities = run.limits.capabilities if run.limits else None
    cleaned = {win.new: win.note for past in run.rounds for win in past.wins}
    statuses = [one.status for one in ended if one.target in worked]
    status = _joint_status(statuses or [one.status for one in ended], run)
    return Outcome(
        status=status,
        targets=tuple(ended),
        needs_review=_needs_review(ended, run),
        message=run_message(
            ended, targets, run.said._replace(cleaned=cleaned), run.failure, capabilities
        ),
    )


def _kept(result: TargetResult) -> TargetOutcome:
    ids = tuple(mask.candidate.id for mask in result.masks)
    kept = _ended(result.target, result.status, ids, result.reason)
    return kept.model_copy(update={"alone": result.alone})


def _needs_review(ended: Sequence[TargetOutcome], run: RunSummary) -> bool:
    """Tell whether a person should look.

    A clean find needs none, nor an absence that a judge with eyes confirmed; when only the rules
    looked, both voices for an absence come from the same model.
    """
    if run.fallbacks or run.failure is not None or run.said.not_understood:
        return True
    if not ended:
        return not (run.said.emptied or run.said.talk)
    seen = bool(run.rounds) and run.rounds[-1].planner != "rules"
    return any(
        not (outcome.status is Status.FOUND and not outcome.reason)
        and not (outcome.status is Status.NOT_FOUND and seen)
        for outcome in ended
    )


def _joint_status(statuses: Sequence[Status], run: RunSummary) -> Status:
    if run.said.not_understood and (run.said.emptied or statuses) and not _all_failed(statuses):
        return Status.UNCERTAIN
    for status in (Status.FOUND, Status.UNCERTAIN, Status.FAILED, Status.NOT_FOUND):
        if status in statuses:
            return status
    if run.failure is not None:
        return Status.FAILED
    # What was to go is gone: nothing is left to find, and nothing to doubt.
    return Status.FOUND if run.said.emptied else Status.UNCERTAIN


def _all_failed(statuses: Sequence[Status]) -> bool:
    return bool(statuses) and set(statuses) == {Status.FAILED}

"""The planner of last resort: words and numbers only, no key, no network. Pure but for a thread."""

import asyncio
import math
from collections.abc import Sequence
from itertools import chain
from typing import Literal

from agent.contract import Inspected, Planned, PlanQuestion, RoundView
from agent.language.lexicon import Lexicon, load_lexicon
from agent.masks.quality import member_prior
from agent.masks.selection import on_side
from agent.planners.meanings import scene_of
from agent.planners.sides import side_note
from agent.planners.targets import to_targets
from agent.policy.calls import CallLimits, limits_after, unknown_concepts
from agent.policy.ledger import Ids
from agent.policy.next_calls import first_calls, widening_calls
from agent.policy.outcome import ABSENT_PRESENCE
from agent.schemas.plan import MAX_TARGETS, Call, Plan, Target
from agent.schemas.rounds import Candidate, Inspection, Issue, Usage, Verdict

# Quality from which the rules accept a mask; from the second on they show it, but as uncertain.
# Chosen on validation images of the train split (`python -m benchmarks.fit_quality`, 547 questions,
# weights compact-2026-11-23): from 0.58 on 89 % of the present targets are kept, 93 % of the absent
# ones have no mask, and 94 % of the masks overlap the truth with a Dice of at least 0.5; from 0.50
# on 94 %, 81 % and 93 %.
ACCEPT_QUALITY = 0.58
PARTIAL_QUALITY = 0.50
# Presence is calibrated: below one half the thing is likelier absent than there.
LIKELY_PRESENCE = 0.50
# A later set must beat the incumbent by it: re-prompting with own masks moved Dice by -0.09 to
# +0.03 (agent-loop.md), so small differences of the score are noise.
QUALITY_MARGIN = 0.05
# A mask with less of itself in the caller's box, and covering less of it, shows something else.
OUTSIDE_BOX_SHARE = 0.05


class RulesPlanner:
    """`agent.contract.Planner` without a model."""

    kind: Literal["rules"] = "rules"
    model: str | None = None

    async def plan(self, question: PlanQuestion, *, timeout_s: float) -> Planned:
        """See `agent.contract.Planner`; never fails."""
        del timeout_s
        plan = await asyncio.to_thread(plan_request, question, load_lexicon())
        return Planned(plan=plan, usage=Usage())

    async def inspect(self, view: RoundView, *, timeout_s: float) -> Inspected:
        """See `agent.contract.Planner`; never fails."""
        del timeout_s
        return Inspected(inspection=inspect_round(view), usage=Usage())

    async def compare(
        self, view: RoundView, first: Ids, second: Ids, *, timeout_s: float
    ) -> tuple[Literal["first", "second", "same"], Usage]:
        """See `agent.contract.Planner`; the better quality wins by a margin."""
        del timeout_s
        lead = mean_quality(view.candidates, first) - mean_quality(view.candidates, second)
        winner: Literal["first", "second"] = "first" if lead > 0 else "second"
        return ("same" if abs(lead) < QUALITY_MARGIN else winner), Usage()


def plan_request(question: PlanQuestion, lexicon: Lexicon) -> Plan:
    """Read the request with the lexicon and name the first calls."""
    intent = question.intent
    scene = scene_of(question, intent.modality, lexicon)
    targets = to_targets(question, scene)
    limits = CallLimits(question.image, question.capabilities, ())
    calls = first_calls(targets, (), question.box, limits)
    notes = [side_note(intent, targets)]
    if len(intent.find) > MAX_TARGETS:
        notes.append(f"only the first {MAX_TARGETS} of {len(intent.find)} things were looked for")
    return Plan(
        decision="segment" if targets else "unclear",
        modality=scene.modality,
        targets=targets,
        calls=calls,
        note="; ".join(note for note in notes if note),
    )


def inspect_round(view: RoundView) -> Inspection:
    """Judge a round by numbers; ask for more only where nothing acceptable was found."""
    targets = {target.id: target for target in view.plan.targets}
    # An incumbent of an earlier run may bear the same round number.
    standing = set(chain.from_iterable(view.incumbents.values()))
    fresh = [
        candidate
        for candidate in view.candidates
        if candidate.round == view.number
        and candidate.target in targets
        and candidate.id not in standing
    ]
    verdicts = tuple(judge(candidate, targets[candidate.target], view) for candidate in fresh)
    judged = zip(fresh, verdicts, strict=True)
    good = {candidate.target for candidate, verdict in judged if verdict.verdict != "reject"}
    good.update(view.incumbents)
    open_targets = [target for target in view.plan.targets if target.id not in good]
    calls = tuple(call for target in open_targets for call in _widen(target, view))
    return Inspection(
        verdicts=verdicts,
        complete={target.id: target not in open_targets for target in view.plan.targets},
        missing=", ".join(target.label for target in open_targets),
        next="segment" if calls else _when_done(view, open_targets),
        calls=calls,
    )


def _widen(target: Target, view: RoundView) -> tuple[Call, ...]:
    start = CallLimits(view.question.image, view.question.capabilities, ())
    earlier = limits_after(start, view.history)
    limits = earlier._replace(
        tried=(*earlier.tried, *view.calls),
        unknown=earlier.unknown | unknown_concepts(view.calls, view.known),
    )
    return widening_calls(target, limits)


def _when_done(view: RoundView, open_targets: Sequence[Target]) -> Literal["stop", "absent"]:
    """Say "absent" only if nothing at all was found and the model itself sees nothing."""
    looked = [presence for presence, known in zip(view.presence, view.known, strict=True) if known]
    absent = (
        bool(looked)
        and max(looked) < ABSENT_PRESENCE
        and len(open_targets) == len(view.plan.targets)
        and not view.candidates
    )
    return "absent" if absent else "stop"


def judge(candidate: Candidate, target: Target, view: RoundView) -> Verdict:
    """Give the rules' word on one candidate."""
    issue = find_issue(candidate, target, view)
    quality = quality_of(candidate)
    word: Literal["accept", "partial", "reject"] = "reject"
    if issue is Issue.NONE:
        sure = quality >= ACCEPT_QUALITY and candidate.mask.presence >= LIKELY_PRESENCE
        word = "accept" if sure else "partial"
    return Verdict(
        candidate=candidate.id,
        verdict=word,
        issue=issue,
        better_than_incumbent=_compare(quality, candidate.target, view),
    )


def find_issue(candidate: Candidate, target: Target, view: RoundView) -> Issue:
    """Return the first thing that speaks against a candidate."""
    question = view.question
    share = candidate.mask.area_px / (question.image.width * question.image.height)
    low, high = member_prior(target)
    if not on_side(candidate.mask.box, target.selection.side, width=question.image.width):
        return Issue.WRONG_SIDE
    if _is_elsewhere(candidate, target, view):
        return Issue.WRONG_STRUCTURE
    if candidate.mask.joint < question.capabilities.threshold_of(candidate.concept):
        return Issue.NOT_PRESENT
    if not low <= share <= high:
        return Issue.TOO_SMALL if share < low else Issue.TOO_LARGE
    return Issue.NONE if quality_of(candidate) >= PARTIAL_QUALITY else Issue.NOT_PRESENT


def _is_elsewhere(candidate: Candidate, target: Target, view: RoundView) -> bool:
    """Tell whether a mask has nothing to do with the caller's box.

    A box is where the one thing is; of several things it is but an example.
    """
    wanted = view.question.box_of(target.id)
    if wanted is None or target.count != "one":
        return False
    mask = view.masks[candidate.id]
    rows = slice(math.floor(wanted.y0), math.ceil(wanted.y1))
    columns = slice(math.floor(wanted.x0), math.ceil(wanted.x1))
    inside = float(mask[rows, columns].sum())
    least = min(float(candidate.mask.area_px), wanted.area)
    return inside < OUTSIDE_BOX_SHARE * least


def _compare(quality: float, target: str, view: RoundView) -> Literal["yes", "no", "same"]:
    incumbent = view.incumbents.get(target, ())
    if not incumbent:
        return "same"
    lead = quality - mean_quality(view.candidates, incumbent)
    if abs(lead) < QUALITY_MARGIN:
        return "same"
    return "yes" if lead > 0 else "no"


def quality_of(candidate: Candidate) -> float:
    """Return the measured quality, or the tool's joint score where none was measured."""
    return candidate.mask.joint if candidate.quality is None else candidate.quality


def mean_quality(candidates: Sequence[Candidate], ids: Ids) -> float:
    """Return the mean quality of a set, 0 for none."""
    values = [quality_of(candidate) for candidate in candidates if candidate.id in ids]
    return sum(values) / len(values) if values else 0.0

"""What an inspector gets to see of a round: graded candidates, without duplicates."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from agent.contract import PlanQuestion, RoundView
from agent.loop.context import RunContext
from agent.loop.state import RoundResult
from agent.masks.quality import measure, score
from agent.policy.ledger import Ids
from agent.policy.next_calls import SAME_MASK_IOU
from agent.schemas.plan import Plan, Target
from agent.schemas.rounds import Candidate, Round, Verdict
from segmenter.masks.geometry import box_iou, mask_iou

# Boxes of masks that overlap by SAME_MASK_IOU overlap at least so much, but for hair-thin tails.
_DUPLICATE_BOX_IOU = 0.8


def grade(answers: RoundResult, targets: Iterable[Target], context: RunContext) -> None:
    """Measure the quality of a round's candidates; CPU work, belongs in a thread."""
    by_id = {target.id: target for target in targets}
    fresh = [context.candidates[one] for one in answers.candidates]
    for candidate in fresh:
        others = [
            context.mask(other.id)
            for other in fresh
            if other.target == candidate.target and other.call != candidate.call
        ]
        features = measure(
            candidate,
            context.mask(candidate.id),
            context.image_pixels(),
            target=by_id[candidate.target],
            others=others,
        )
        context.add(candidate.model_copy(update={"quality": score(features)}))


def find_duplicates(
    answers: RoundResult, context: RunContext, known: Container[str]
) -> dict[str, str]:
    """Return for each new candidate an earlier one of the target with the same pixels, if any.

    A candidate of an earlier run whose verdict is not `known` any more is no duplicate: nobody
    would judge its repetition.
    """
    duplicates: dict[str, str] = {}
    fresh = set(answers.candidates)
    before = {one.id for one in context.opening.candidates}
    earlier = [
        one
        for one in context.candidates.values()
        if one.id not in fresh and (one.id in known or one.id not in before)
    ]
    for name in answers.candidates:
        candidate = context.candidates[name]
        duplicate = next((one for one in earlier if _are_duplicates(one, candidate, context)), None)
        if duplicate is None:
            earlier.append(candidate)
        else:
            duplicates[name] = duplicate.id
    return duplicates


def _are_duplicates(first: Candidate, second: Candidate, context: RunContext) -> bool:
    again = first.id in context.rejected and first.concept == second.concept
    if first.target != second.target and not again:
        return False
    if box_iou(first.mask.box, second.mask.box) < _DUPLICATE_BOX_IOU:
        return False
    return mask_iou(context.mask(first.id), context.mask(second.id)) > SAME_MASK_IOU


def inherit(
    verdicts: Sequence[Verdict], duplicates: Mapping[str, str], known: Mapping[str, Verdict]
) -> list[Verdict]:
    """Give every duplicate the word on the candidate it repeats."""
    said = {**known, **{verdict.candidate: verdict for verdict in verdicts}}
    return [
        said[original].model_copy(update={"candidate": name})
        for name, original in duplicates.items()
        if original in said
    ]


class Frame(NamedTuple):
    """What a round's look is made of beside the context."""

    question: PlanQuestion
    plan: Plan
    incumbents: Mapping[str, Ids]
    history: tuple[Round, ...]
    duplicates: Mapping[str, str]


def to_look(answers: RoundResult, frame: Frame, context: RunContext) -> RoundView:
    """Gather what the inspector may know; a duplicate is not shown a second time."""
    standing = [one for ids in frame.incumbents.values() for one in ids]
    fresh = [one for one in answers.candidates if one not in frame.duplicates]
    shown = tuple(context.candidates[one] for one in dict.fromkeys((*standing, *fresh)))
    return RoundView(
        question=frame.question,
        plan=frame.plan,
        number=answers.number,
        calls=answers.calls,
        candidates=shown,
        masks={one.id: context.mask(one.id) for one in shown},
        incumbents=dict(frame.incumbents),
        history=frame.history,
        seed=int(context.run_id[-8:], 16),
        presence=answers.presence,
        known=answers.known,
        reasons=answers.reasons,
    )

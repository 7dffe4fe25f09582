"""What an inspector gets to see of a round: graded candidates, without duplicates."""

from collections.abc import Container, Iterable, Mapping, Sequence

from agent.contract import RoundView
from agent.loop.context import RunContext
from agent.loop.state import AgentState, RoundResult
from agent.masks.quality import measure, score
from agent.policy.next_calls import SAME_MASK_IOU
from agent.schemas.plan import Target
from agent.schemas.rounds import Candidate, Verdict
from segmenter.masks.geometry import box_iou, mask_iou

# Boxes of masks that overlap by SAME_MASK_IOU overlap at least so much, but for hair-thin tails.
_DUPLICATE_BOX_IOU = 0.8


def grade(answers: RoundResult, targets: Iterable[Target], context: RunContext) -> None:
    """Measure the quality of a round's candidates; CPU work, belongs in a thread."""
    by_id = {target.id: target for target in targets}
    fresh = [context.candidates[candidate_id] for candidate_id in answers.candidates]
    for candidate in fresh:
        rivals = [
            other
            for other in fresh
            if other.target == candidate.target and other.call != candidate.call
        ]
        # Masks whose boxes do not meet share no pixel; one of them says so for all.
        near = [one for one in rivals if box_iou(one.mask.box, candidate.mask.box) > 0.0]
        others = [context.mask(one.id) for one in near or rivals[:1]]
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
    before = {candidate.id for candidate in context.opening.candidates}
    earlier = [
        candidate
        for candidate in context.candidates.values()
        if candidate.id not in fresh and (candidate.id in known or candidate.id not in before)
    ]
    for name in answers.candidates:
        candidate = context.candidates[name]
        duplicate = next(
            (other for other in earlier if _are_duplicates(other, candidate, context)), None
        )
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
    """Give every duplicate the verdict on the candidate it repeats."""
    latest = {**known, **{verdict.candidate: verdict for verdict in verdicts}}
    return [
        latest[original].model_copy(update={"candidate": name})
        for name, original in duplicates.items()
        if original in latest
    ]


def to_view(state: AgentState, duplicates: Container[str], context: RunContext) -> RoundView:
    """Gather what the inspector may know; a duplicate is not shown a second time."""
    answers, incumbents = state["latest"], state["incumbents"]
    standing = [candidate_id for ids in incumbents.values() for candidate_id in ids]
    fresh = [candidate_id for candidate_id in answers.candidates if candidate_id not in duplicates]
    shown = tuple(
        context.candidates[candidate_id] for candidate_id in dict.fromkeys((*standing, *fresh))
    )
    return RoundView(
        question=context.question(),
        plan=state["plan"],
        number=answers.number,
        calls=answers.calls,
        candidates=shown,
        masks={candidate.id: context.mask(candidate.id) for candidate in shown},
        incumbents=incumbents,
        history=state["rounds"],
        seed=int(context.run_id[-8:], 16),
        presence=answers.presence,
        known=answers.known,
        reasons=answers.reasons,
    )

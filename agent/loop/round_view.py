"""What an inspector gets to see of a round: graded candidates, without twins."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from agent.contract import Look, PlanQuestion
from agent.loop.context import Bench
from agent.loop.state import Answers
from agent.masks.quality import measure, score
from agent.policy.ledger import Ids
from agent.policy.next_calls import SAME_MASK_IOU
from agent.schemas.runs import Candidate, Plan, Round, Target, Verdict
from segmenter.masks.geometry import box_iou, mask_iou

# Boxes of masks that overlap by SAME_MASK_IOU overlap at least so much, but for hair-thin tails.
_TWIN_BOX_IOU = 0.8


def grade(answers: Answers, targets: Iterable[Target], bench: Bench) -> None:
    """Measure the quality of a round's candidates; CPU work, belongs in a thread."""
    by_id = {target.id: target for target in targets}
    fresh = [bench.candidates[one] for one in answers.candidates]
    for candidate in fresh:
        others = [
            bench.mask(other.id)
            for other in fresh
            if other.target == candidate.target and other.call != candidate.call
        ]
        features = measure(
            candidate,
            bench.mask(candidate.id),
            bench.image_pixels(),
            target=by_id[candidate.target],
            others=others,
        )
        bench.add(candidate.model_copy(update={"quality": score(features)}))


def find_twins(answers: Answers, bench: Bench, known: Container[str]) -> dict[str, str]:
    """Return for each new candidate an earlier one of the target with the same pixels, if any.

    A candidate of an earlier run whose verdict is not `known` any more is no twin: nobody would
    judge its repetition.
    """
    twins: dict[str, str] = {}
    fresh = set(answers.candidates)
    before = {one.id for one in bench.opening.candidates}
    earlier = [
        one
        for one in bench.candidates.values()
        if one.id not in fresh and (one.id in known or one.id not in before)
    ]
    for name in answers.candidates:
        candidate = bench.candidates[name]
        twin = next((one for one in earlier if _are_twins(one, candidate, bench)), None)
        if twin is None:
            earlier.append(candidate)
        else:
            twins[name] = twin.id
    return twins


def _are_twins(first: Candidate, second: Candidate, bench: Bench) -> bool:
    again = first.id in bench.rejected and first.concept == second.concept
    if first.target != second.target and not again:
        return False
    if box_iou(first.mask.box, second.mask.box) < _TWIN_BOX_IOU:
        return False
    return mask_iou(bench.mask(first.id), bench.mask(second.id)) > SAME_MASK_IOU


def inherit(
    verdicts: Sequence[Verdict], twins: Mapping[str, str], known: Mapping[str, Verdict]
) -> list[Verdict]:
    """Give every twin the word on the candidate it repeats."""
    said = {**known, **{verdict.candidate: verdict for verdict in verdicts}}
    return [
        said[original].model_copy(update={"candidate": name})
        for name, original in twins.items()
        if original in said
    ]


class Frame(NamedTuple):
    """What a round's look is made of beside the bench."""

    question: PlanQuestion
    plan: Plan
    incumbents: Mapping[str, Ids]
    history: tuple[Round, ...]
    twins: Mapping[str, str]


def to_look(answers: Answers, frame: Frame, bench: Bench) -> Look:
    """Gather what the inspector may know; a twin is not shown a second time."""
    standing = [one for ids in frame.incumbents.values() for one in ids]
    fresh = [one for one in answers.candidates if one not in frame.twins]
    shown = tuple(bench.candidates[one] for one in dict.fromkeys((*standing, *fresh)))
    return Look(
        question=frame.question,
        plan=frame.plan,
        number=answers.number,
        calls=answers.calls,
        candidates=shown,
        masks={one.id: bench.mask(one.id) for one in shown},
        incumbents=dict(frame.incumbents),
        history=frame.history,
        seed=int(bench.run_id[-8:], 16),
        presence=answers.presence,
        known=answers.known,
        reasons=answers.reasons,
    )

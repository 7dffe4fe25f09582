"""Ends a run: carries out what had to wait for its masks, and doubts what cannot all be true.

CPU work on masks; belongs in a thread.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from agent.conversation.choosing import narrow
from agent.conversation.opening import Opening
from agent.conversation.operations import carry_out
from agent.conversation.standing import Standing, mask_ids, named_targets
from agent.language.lexicon import load_lexicon
from agent.masks.selection import select, why_none
from agent.schemas.plan import EVERY, Target
from agent.schemas.rounds import Candidate, Ending, Status, TargetOutcome, Verdict
from agent.schemas.runs import ResultMask, TargetResult
from segmenter.contract import ImageRef
from segmenter.masks.geometry import box_iou, mask_iou, unite

# Two structures that share more of their pixels cannot both be right, unless one is part of the
# other. Set by hand.
SAME_PLACE_IOU = 0.5


@dataclass(frozen=True)
class Ended:
    """Targets as a run leaves them, and what came with them.

    Attributes:
        targets: by id, for every outcome.
        candidates: masks that were made at the end.
        verdicts: words on them.
        notes: what was done, or why not.
        emptied: operations took away all that there was.
    """

    outcomes: tuple[TargetOutcome, ...]
    targets: Mapping[str, Target]
    candidates: tuple[Candidate, ...]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]
    next_mask: int
    emptied: bool


def close_run(
    outcomes: Sequence[TargetOutcome],
    targets: Mapping[str, Target],
    worked: Iterable[str],
    opening: Opening,
    *,
    image: ImageRef,
    candidates: Mapping[str, Candidate],
    verdicts: Mapping[str, Verdict],
    next_mask: int,
) -> Ended:
    """Carry out the operations that had to wait, and doubt what shares its pixels.

    Args:
        outcomes: how every target ended.
        targets: by id, for every outcome.
        worked: ids of the targets that the run worked on; the others were kept.
        opening: what the run started from.
        image: it was about.
        candidates: every mask it knows.
        verdicts: the latest word on each.
        next_mask: number of the next free mask id.
    """
    found = [target for key, target in targets.items() if key in set(worked)]
    standing = Standing(
        image=image,
        targets={
            one.target: _result(one, targets[one.target], candidates, verdicts) for one in outcomes
        },
        candidates=dict(candidates),
        next_mask=next_mask,
        modality=opening.modality,
        spoken=tuple(found) or opening.spoken,
        verdicts=list(verdicts.values()),
    )
    silent = dict(standing.targets)
    for operation in opening.deferred:
        carry_out(operation, standing)
    _rank_together(opening, standing)
    for key in named_targets(opening.hidden, standing):
        del standing.targets[key]
    _restore_unseen(silent, standing, opening)
    _doubt_same_place(set(worked) | set(standing.touched), standing)
    results = standing.targets
    return Ended(
        outcomes=tuple(
            TargetOutcome(
                target=key,
                status=one.status,
                masks=mask_ids(one),
                reason=one.reason,
                alone=one.alone,
            )
            for key, one in results.items()
        ),
        targets={key: one.target for key, one in results.items()},
        candidates=tuple(
            one for name, one in standing.candidates.items() if name not in candidates
        ),
        verdicts=tuple(standing.verdicts[len(verdicts) :]),
        notes=tuple(standing.notes),
        next_mask=standing.next_mask,
        emptied=bool(standing.removed) and not results,
    )


def _rank_together(opening: Opening, standing: Standing) -> None:
    """Keep what is wanted of a word that was looked for by several meanings.

    "The bigger ventricle" is the larger one of the left and the right.
    """
    for thing in opening.looked_for:
        keys = [key for key in named_targets([thing], standing) if standing.targets[key].masks]
        if thing.which.rank and len(keys) > 1:
            narrow(keys, thing.which, standing)


def _restore_unseen(
    before: Mapping[str, TargetResult], standing: Standing, opening: Opening
) -> None:
    """Bring back targets without a mask that an operation had nothing to do with.

    An operation forgets what shows nothing; a target that was looked for and not found says so.
    """
    hidden = set(
        named_targets(
            opening.hidden,
            Standing(image=standing.image, targets=dict(before), candidates={}, next_mask=1),
        )
    )
    unseen = {
        key: one
        for key, one in before.items()
        if not one.masks and key not in standing.targets and key not in hidden
    }
    kept = {**unseen, **standing.targets}
    standing.targets = {key: kept[key] for key in (*before, *standing.targets) if key in kept}


def _result(
    ended: TargetOutcome,
    target: Target,
    candidates: Mapping[str, Candidate],
    verdicts: Mapping[str, Verdict],
) -> TargetResult:
    masks = []
    for name in ended.masks:
        word = verdicts.get(name)
        masks.append(
            ResultMask(
                candidate=candidates[name],
                label=target.label,
                verdict=word.verdict if word else None,
                by=word.by if word else "rules",
            )
        )
    return TargetResult(
        target=target,
        status=ended.status,
        masks=tuple(masks),
        reason=ended.reason,
        alone=ended.alone,
    )


def _doubt_same_place(fresh: set[str], standing: Standing) -> None:
    """Make targets uncertain that cover the same pixels as another one.

    Both of two of which at least one is of this run, and what was in doubt of late and still is: a
    target that a person has accepted since stays so. What was in doubt and is no more ends as it
    would have without the other.
    """
    before = _lift_doubts(standing)
    shape = (standing.image.height, standing.image.width)
    shown = {key: one for key, one in standing.targets.items() if one.masks}
    for first, second in combinations(shown, 2):
        pair = shown[first], shown[second]
        doubted = {first, second} if {first, second} & fresh else {first, second} & before
        if not doubted or _is_part(*pair) or not _meet(*pair):
            continue
        unions = [
            unite((standing.mask(name) for name in mask_ids(shown[key])), shape)
            for key in (first, second)
        ]
        overlap = mask_iou(*unions)
        if overlap <= SAME_PLACE_IOU:
            continue
        labels = f"{standing.label(first)} and {standing.label(second)}"
        reason = f"{labels} cover the same pixels (IoU {overlap:.2f}): both cannot be right"
        for key in doubted:
            result = standing.targets[key]
            alone = result.alone or Ending(status=result.status, reason=result.reason)
            doubt = {"status": Status.UNCERTAIN, "reason": reason, "alone": alone}
            standing.targets[key] = result.model_copy(update=doubt)


def _lift_doubts(standing: Standing) -> set[str]:
    """Let targets end as they would have alone; returns which were in doubt of another one."""
    doubted = {key: one.alone for key, one in standing.targets.items() if one.alone is not None}
    for key, alone in doubted.items():
        ending = {"status": alone.status, "reason": alone.reason, "alone": None}
        standing.targets[key] = standing.targets[key].model_copy(update=ending)
    return set(doubted)


def _is_part(first: TargetResult, second: TargetResult) -> bool:
    """Tell whether one of two structures lies in the other: the cup in the disc."""
    lexicon = load_lexicon()
    labels = first.target.label, second.target.label
    terms = [lexicon.labels.get(label) for label in labels]
    return any(
        term is not None and other in term.within
        for term, other in zip(terms, reversed(labels), strict=True)
    )


def _meet(first: TargetResult, second: TargetResult) -> bool:
    return any(
        box_iou(one.candidate.mask.box, other.candidate.mask.box) > 0.0
        for one in first.masks
        for other in second.masks
    )


def left_nothing(target: Target, found: Sequence[Candidate], image: ImageRef) -> str:
    """Say why a qualifier leaves nothing of what was found for a target, "" if it does not."""
    size = (image.width, image.height)
    if not found or target.selection == EVERY or select(found, target.selection, size):
        return ""
    return why_none(found, target.selection, size, target)

"""From what a model predicts to what travels: rank, threshold, suppress, cap, encode. Pure."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from segmenter.backends.contract import PredictedMask, Prediction
from segmenter.contract import BinaryMask, Box, Mask, Postprocess, PromptResult
from segmenter.masks import rle
from segmenter.masks.geometry import box_iou, mask_box, mask_iou


class _Ranked(NamedTuple):
    """A mask, and `rank`, the score that counts."""

    predicted: PredictedMask
    box: Box
    joint: float
    rank: float


def select(
    prediction: Prediction,
    *,
    threshold: float,
    nms_iou: float,
    max_masks: int,
    postprocess: Postprocess = "sam3",
) -> PromptResult:
    """Choose a prompt's masks: score at least `threshold`, best first, no near-duplicates.

    Args:
        prediction: of one prompt.
        threshold: of the joint score; of the raw one for ``medsam3``.
        nms_iou: of masks; of their boxes for ``medsam3``.
        max_masks: best first.
        postprocess: whose rule. Source of ``medsam3``: infer_sam.py of Joey-S-Liu/MedSAM3.
    """
    ranked = _rank(prediction, postprocess)
    good = [mask for mask in ranked if mask.rank >= threshold]
    overlap = _box_overlap if postprocess == "medsam3" else _mask_overlap
    chosen = _suppress(good, overlap, nms_iou=nms_iou, max_masks=max_masks)
    reason = prediction.reason
    if reason is None and ranked and not chosen:
        reason = f"the best mask scores {ranked[0].rank:.2f}, below the threshold {threshold:.2f}"
    return PromptResult(
        masks=tuple(
            describe(
                mask.predicted.mask,
                score=mask.predicted.score,
                presence=prediction.presence,
                stability=mask.predicted.stability,
            )
            for mask in chosen
        ),
        concept=prediction.concept,
        presence=prediction.presence,
        known=prediction.known,
        reason=reason,
    )


def _rank(prediction: Prediction, postprocess: Postprocess) -> list[_Ranked]:
    ranked: list[_Ranked] = []
    for predicted in prediction.masks:
        box = mask_box(predicted.mask)
        if box is not None:
            joint = predicted.score * prediction.presence
            rank = predicted.score if postprocess == "medsam3" else joint
            ranked.append(_Ranked(predicted, box, joint, rank))
    return sorted(ranked, key=lambda mask: mask.rank, reverse=True)


def _suppress(
    ranked: Sequence[_Ranked],
    overlap: Callable[[_Ranked, _Ranked], float],
    *,
    nms_iou: float,
    max_masks: int,
) -> list[_Ranked]:
    """Keep a mask unless a better one that is kept covers nearly the same.

    Source: greedy non-maximum suppression by mask IoU, as in Kirillov et al. (2023), Segment
    Anything, section 4, there by box.
    """
    kept: list[_Ranked] = []
    for mask in ranked:
        if len(kept) == max_masks:
            break
        if not any(overlap(mask, better) > nms_iou for better in kept):
            kept.append(mask)
    return kept


def _box_overlap(first: _Ranked, second: _Ranked) -> float:
    return box_iou(first.box, second.box)


def _mask_overlap(first: _Ranked, second: _Ranked) -> float:
    # Most pairs do not even touch, and a mask IoU reads every pixel.
    if box_iou(first.box, second.box) == 0.0:
        return 0.0
    return mask_iou(first.predicted.mask, second.predicted.mask)


def describe(mask: BinaryMask, *, score: float, presence: float, stability: float = 1.0) -> Mask:
    """Write a mask as it travels.

    Args:
        mask: bool, shape (H, W); not empty.
        score: raw score, [0, 1].
        presence: [0, 1].
        stability: [0, 1].
    """
    box = mask_box(mask)
    assert box is not None
    return Mask(
        rle=rle.encode(mask),
        box=box,
        score=score,
        presence=presence,
        joint=score * presence,
        area_px=int(mask.sum()),
        stability=stability,
    )

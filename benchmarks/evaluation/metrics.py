"""The figures of one answer beside the truth."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from benchmarks.evaluation.instances import (
    Labels,
    aggregated_jaccard,
    label_masks,
    panoptic_quality,
)
from benchmarks.evaluation.surfaces import Spacing, hd95, outline_distances, surface_dice
from segmenter.contract import BinaryMask
from segmenter.masks.geometry import dice, mask_iou, unite


class Overlap(NamedTuple):
    """How much two masks share, [0, 1]."""

    dice: float
    iou: float


class Figures(NamedTuple):
    """The fields of `Score` that come from pixels; see there for their meaning.

    ``Score(**figures._asdict(), ...)`` takes them over.
    """

    dice: float | None
    iou: float | None
    hd95: float | None
    surface_dice: float | None
    unit: Literal["px", "mm"]
    aji: float | None
    pq: float | None


class _Outlines(NamedTuple):
    hd95: float | None
    surface_dice: float | None


class _Objects(NamedTuple):
    aji: float | None
    pq: float | None


def overlap(found: BinaryMask, target: BinaryMask) -> Overlap:
    """Return Dice and IoU; two empty masks score 1.

    Args:
        found: bool, shape (H, W).
        target: bool, same shape.
    """
    return Overlap(dice=dice(found, target), iou=mask_iou(found, target))


def score_answer(
    masks: Sequence[BinaryMask],
    target: BinaryMask,
    *,
    labels: Labels | None = None,
    spacing: Spacing | None = None,
) -> Figures:
    """Measure an answer; a figure that is not defined is None.

    Without a target there is no overlap or distance to speak of: such images count in the
    specificity. Labels without any object give no AJI or PQ for the same reason.

    Args:
        masks: of the answer, bool, each shape (H, W), best first; none if nothing was found.
        target: bool, shape (H, W).
        labels: one number per true object, integers, shape (H, W), 0 is background.
        spacing: (row, column) size of a pixel of the target in mm; None if unknown.

    Raises:
        ValueError: a mask or the labels are not of the target's shape.
    """
    _check_shapes(masks, target, labels)
    height, width = target.shape
    found = unite(masks, (height, width))
    pair = overlap(found, target) if target.any() else None
    outlines = _score_outlines(found, target, spacing)
    objects = _score_objects(masks, labels)
    return Figures(
        dice=pair.dice if pair else None,
        iou=pair.iou if pair else None,
        hd95=outlines.hd95,
        surface_dice=outlines.surface_dice,
        unit="px" if spacing is None else "mm",
        aji=objects.aji,
        pq=objects.pq,
    )


def _check_shapes(masks: Sequence[BinaryMask], target: BinaryMask, labels: Labels | None) -> None:
    for array in (*masks, *(() if labels is None else (labels,))):
        if array.shape != target.shape:
            raise ValueError(f"shape {array.shape} is not the target's {target.shape}")


def _score_outlines(found: BinaryMask, target: BinaryMask, spacing: Spacing | None) -> _Outlines:
    if not target.any():
        return _Outlines(None, None)
    if not found.any():
        return _Outlines(None, 0.0)
    distances = outline_distances(found, target, spacing)
    return _Outlines(hd95(distances), surface_dice(distances))


def _score_objects(masks: Sequence[BinaryMask], labels: Labels | None) -> _Objects:
    if labels is None or not labels.any():
        return _Objects(None, None)
    height, width = labels.shape
    found = label_masks(masks, (height, width))
    return _Objects(aggregated_jaccard(found, labels), panoptic_quality(found, labels))

"""How well single objects were told apart: aggregated Jaccard index and panoptic quality."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from segmenter.contract import BinaryMask
from segmenter.masks.components import components

Labels = npt.NDArray[np.integer[Any]]
Counts = npt.NDArray[np.int64]

# A pair matches above it; no object can then be in two pairs (Kirillov et al. 2019, section 4.1).
MATCH_IOU = 0.5


def label_masks(masks: Sequence[BinaryMask], shape: tuple[int, int]) -> Labels:
    """Number the objects of an answer.

    Every 8-connected piece of every mask is an object. So a mask of all nuclei gives its pieces,
    and masks of one nucleus each stay apart where they touch.

    Args:
        masks: bool, each of the shape; best first, as the best keeps a pixel claimed twice.
        shape: (H, W) of the image.

    Returns:
        int32, shape (H, W); 0 is background, other numbers may have gaps.
    """
    labels = np.zeros(shape, dtype=np.int32)
    last = 0
    for mask in masks:
        pieces = components(mask)
        free = mask & (labels == 0)
        labels[free] = pieces.labels[free] + last
        last += pieces.areas.size - 1
    return labels


def aggregated_jaccard(found: Labels, true: Labels) -> float | None:
    """Return the aggregated Jaccard index, [0, 1]; None if neither image has an object.

    Each true object takes the found one of highest IoU, even if another true object has taken it.
    The intersections of these pairs are divided by their unions plus the area of all found objects
    that nobody took. A true object that touches none adds its own area below the line.

    Args:
        found: integer labels, shape (H, W), 0 is background.
        true: likewise, same shape.

    Source: Kumar et al. (2017), IEEE TMI 36(7):1550-1560, algorithm 1.
    """
    pairs = _pairs(found, true)
    taken, rows = pairs.iou.argmax(axis=1), np.arange(len(pairs.true_areas))
    shared = pairs.shared[rows, taken]
    partners = np.where(shared > 0, pairs.found_areas[taken], 0)
    alone = np.ones(len(pairs.found_areas), dtype=np.bool_)
    alone[taken[shared > 0]] = False
    joined = int((pairs.true_areas + partners - shared).sum() + pairs.found_areas[alone].sum())
    return int(shared.sum()) / joined if joined else None


def panoptic_quality(found: Labels, true: Labels) -> float | None:
    """Return the panoptic quality of one class, [0, 1]; None if neither image has an object.

    The IoU of all matched pairs, summed, over the mean number of true and found objects; a pair
    matches if its IoU is above one half.

    Args:
        found: integer labels, shape (H, W), 0 is background.
        true: likewise, same shape.

    Source: Kirillov et al. (2019), arXiv:1801.00868, equation 1.
    """
    pairs = _pairs(found, true)
    iou = pairs.iou
    objects = len(pairs.true_areas) + int(np.count_nonzero(pairs.found_areas))
    return 2 * float(iou[iou > MATCH_IOU].sum()) / objects if objects else None


class _Pairs(NamedTuple):
    """Every true object (row) beside every found one (column), then one empty column.

    The empty column lets a row without found objects have a best one, that shares nothing.
    """

    shared: Counts
    true_areas: Counts
    found_areas: Counts

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        joined = self.true_areas[:, None] + self.found_areas[None, :] - self.shared
        return self.shared / joined


def _pairs(found: Labels, true: Labels) -> _Pairs:
    found_ids, found_count = _consecutive(found)
    true_ids, true_count = _consecutive(true)
    shape = (true_count + 1, found_count + 2)
    cells = np.bincount(true_ids * shape[1] + found_ids, minlength=shape[0] * shape[1])
    counts = cells.reshape(shape)
    return _Pairs(
        shared=counts[1:, 1:],
        true_areas=counts.sum(axis=1)[1:],
        found_areas=counts.sum(axis=0)[1:],
    )


def _consecutive(labels: Labels) -> tuple[Counts, int]:
    """Renumber objects from 1 without gaps; return int64, shape (H * W,), and their number."""
    with_background = np.append(np.zeros(1, dtype=labels.dtype), labels)
    numbers, ids = np.unique(with_background, return_inverse=True)
    return ids[1:].astype(np.int64), len(numbers) - 1

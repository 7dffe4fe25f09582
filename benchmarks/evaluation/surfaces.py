"""Distances between the outlines of two masks: HD95 and surface Dice.

scipy's exact Euclidean distance transform does the work. MONAI 1.6.1 gives the same values, but
every call of its two functions raises deprecation warnings of its own, and importing it takes
seconds and torch.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from segmenter.contract import BinaryMask
from segmenter.masks.geometry import mask_box

Spacing = tuple[float, float]
Distances = npt.NDArray[np.float64]

PERCENTILE = 95.0
# In mm if the spacing is known, else in pixels. Nikolov et al. set one tolerance per organ from how
# far experts differ; we have no second readings, so one value for all concepts is our own choice.
TOLERANCE = 2.0


class OutlineDistances(NamedTuple):
    """How far each outline pixel of one mask is from the outline of the other.

    Attributes:
        to_target: float64, shape (outline pixels of the answer,); in the unit of the spacing.
        to_found: float64, shape (outline pixels of the target,); likewise.
    """

    to_target: Distances
    to_found: Distances


def outline(mask: BinaryMask) -> BinaryMask:
    """Return the pixels of a mask with an edge neighbour outside of it.

    What lies beyond the image is outside of the mask.

    Args:
        mask: bool, shape (H, W).

    Returns:
        bool, shape (H, W).
    """
    return mask & ~np.asarray(ndimage.binary_erosion(mask), dtype=np.bool_)


def outline_distances(
    found: BinaryMask, target: BinaryMask, spacing: Spacing | None = None
) -> OutlineDistances:
    """Measure both outlines against each other, from pixel centre to pixel centre.

    Args:
        found: bool, shape (H, W); the answer.
        target: bool, same shape.
        spacing: (row, column) size of a pixel in mm; None measures in pixels.

    Raises:
        ValueError: a mask is empty; it has no outline to measure from.
    """
    if not (found.any() and target.any()):
        raise ValueError("the distance to the outline of an empty mask is not defined")
    rows, columns = _around(found | target)
    first, second = outline(found[rows, columns]), outline(target[rows, columns])
    return OutlineDistances(
        to_target=_distances(first, second, spacing), to_found=_distances(second, first, spacing)
    )


def hd95(distances: OutlineDistances) -> float:
    """Return the 95th percentile Hausdorff distance in the unit of the distances.

    The larger of the two directed percentiles, each interpolated linearly between ranks; other
    tools take one percentile of both directions pooled.

    Source: Huttenlocher et al. (1993), IEEE TPAMI 15(9):850-863; Maier-Hein, Reinke et al.
    (2024), Nature Methods 21:195-212, for the percentile.
    """
    return max(float(np.percentile(one_way, PERCENTILE)) for one_way in distances)


def surface_dice(distances: OutlineDistances, tolerance: float = TOLERANCE) -> float:
    """Return the share of both outlines, [0, 1], that lies within a tolerance of the other.

    Outlines are counted in pixels, not in length: a diagonal pixel weighs as much as a straight
    one, and so does a pixel whose sides differ.

    Args:
        distances: of the two outlines.
        tolerance: in the unit of the distances; a pixel exactly this far away counts.

    Source: Nikolov et al. (2018), arXiv:1809.04430; counted in pixels as by Seidlitz et al.
    (2021), arXiv:2111.05408.
    """
    near = sum(int((one_way <= tolerance).sum()) for one_way in distances)
    return near / sum(one_way.size for one_way in distances)


def _around(mask: BinaryMask) -> tuple[slice, slice]:
    """Return the rows and columns of the tight box around a mask that is not empty.

    No margin is needed: all that is cut off is outside, as is all beyond an array for `outline`.
    """
    box = mask_box(mask)
    assert box is not None
    return slice(int(box.y0), int(box.y1)), slice(int(box.x0), int(box.x1))


def _distances(start: BinaryMask, end: BinaryMask, spacing: Spacing | None) -> Distances:
    to_end = ndimage.distance_transform_edt(~end, sampling=spacing)
    return np.asarray(to_end, dtype=np.float64)[start]

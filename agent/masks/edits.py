"""Edits of an outline: larger, smaller, smoother, fuller. Pure.

Every function takes and gives a mask (bool, shape (H, W)) and never the one it was given. What the
picture's border cuts off has no contour there, so nothing shrinks from the border.
"""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from agent.masks.selection import without_specks
from segmenter.contract import BinaryMask, Spacing
from segmenter.masks.components import fill_holes

# "Tighter" and "bigger" without an amount move the outline by this share of the radius of the
# circle of the same area: a step that is seen, and can be taken again.
DEFAULT_STEP = 0.1
# Smoothing levels out what is narrower than about this share of that radius.
_SMOOTH_SHARE = 0.1

Sampling = tuple[float, float]
PIXELS: Sampling = (1.0, 1.0)


def sampling_of(spacing: Spacing | None) -> Sampling | None:
    """Return millimetres between rows and between columns, None where they are not known."""
    return None if spacing is None else (spacing.row_mm, spacing.column_mm)


def grow(mask: BinaryMask, distance: float, sampling: Sampling = PIXELS) -> BinaryMask:
    """Add every pixel at most `distance` away, in the unit of `sampling`."""
    if not mask.any():
        return mask.copy()
    grown: BinaryMask = _distances(~mask, sampling) <= distance
    return grown


def shrink(mask: BinaryMask, distance: float, sampling: Sampling = PIXELS) -> BinaryMask:
    """Take away every pixel whose nearest pixel outside is at most `distance` away.

    The whole mask may go; a mask without an outside stays.
    """
    if mask.all():
        return mask.copy()
    kept: BinaryMask = mask & (_distances(mask, sampling) > distance)
    return kept


def grow_by_share(mask: BinaryMask, share: float) -> BinaryMask:
    """Add the nearest pixels until the area has grown by `share` of it (1 doubles it)."""
    wanted = min(mask.size, round(float(mask.sum()) * (1.0 + share)))
    return _nearest(mask, _distances(~mask, PIXELS), wanted)


def shrink_by_share(mask: BinaryMask, share: float) -> BinaryMask:
    """Take the outermost pixels away until the area has shrunk by `share` of it, [0, 1]."""
    if mask.all():
        return mask.copy()
    wanted = max(0, round(float(mask.sum()) * (1.0 - share)))
    depth = np.where(mask, -_distances(mask, PIXELS), np.inf)
    kept: BinaryMask = mask & _nearest(np.zeros_like(mask), depth, wanted)
    return kept


def _nearest(mask: BinaryMask, distance: npt.NDArray[np.float64], wanted: int) -> BinaryMask:
    """Return the mask with the pixels of the smallest distance; equals in reading order."""
    order = np.argsort(distance, axis=None, kind="stable")[:wanted]
    chosen = mask.copy()
    chosen.flat[order] = True
    return chosen


def _distances(inside: BinaryMask, sampling: Sampling) -> npt.NDArray[np.float64]:
    """Return for each pixel how far the next one outside is, from centre to centre."""
    return np.asarray(ndimage.distance_transform_edt(inside, sampling=sampling))


def radius_px(mask: BinaryMask) -> float:
    """Return the radius of the circle of the same area, in pixels."""
    return float(np.sqrt(mask.sum() / np.pi))


def default_step_px(mask: BinaryMask) -> int:
    """Return how far "tighter" and "bigger" move an outline, in whole pixels, at least 1."""
    return max(1, round(DEFAULT_STEP * radius_px(mask)))


def smooth(mask: BinaryMask) -> BinaryMask:
    """Level out what is narrow: half and more of a Gaussian-blurred mask."""
    sigma = max(1.0, _SMOOTH_SHARE * radius_px(mask))
    blurred = ndimage.gaussian_filter(mask.astype(np.float32), sigma, mode="nearest")
    levelled: BinaryMask = blurred >= 0.5
    return levelled


def fill(mask: BinaryMask) -> BinaryMask:
    """Fill the holes."""
    return fill_holes(mask)


def despeckle(mask: BinaryMask) -> BinaryMask:
    """Remove the specks beside the largest piece."""
    return without_specks(mask)

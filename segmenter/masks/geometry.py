"""Pure geometry of boxes and masks."""

from collections.abc import Iterable

import numpy as np

from segmenter.contract import BinaryMask, Box


def clip_box(box: Box, *, width: int, height: int) -> Box | None:
    """Cut a box to the image; None if nothing of it is inside."""
    x0, y0 = max(box.x0, 0.0), max(box.y0, 0.0)
    x1, y1 = min(box.x1, float(width)), min(box.y1, float(height))
    if x1 <= x0 or y1 <= y0:
        return None
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def grow_box(box: Box, factor: float) -> Box:
    """Scale a box about its centre; `factor` 1 changes nothing."""
    cx, cy = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    half_w, half_h = (box.x1 - box.x0) * factor / 2, (box.y1 - box.y0) * factor / 2
    return Box(x0=cx - half_w, y0=cy - half_h, x1=cx + half_w, y1=cy + half_h)


def box_iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes, [0, 1]."""
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (first.area + second.area - shared)


def mask_box(mask: BinaryMask) -> Box | None:
    """Return the tight box around a mask, None for an empty one.

    Args:
        mask: bool, shape (H, W).
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return Box(
        x0=float(columns[0]), y0=float(rows[0]), x1=float(columns[-1] + 1), y1=float(rows[-1] + 1)
    )


def unite(masks: Iterable[BinaryMask], shape: tuple[int, ...]) -> BinaryMask:
    """Return the pixels in any of the masks, bool, of the shape (H, W); no mask gives no pixel."""
    united: BinaryMask = np.zeros(shape, dtype=np.bool_)
    for mask in masks:
        united |= mask
    return united


def mask_iou(first: BinaryMask, second: BinaryMask) -> float:
    """Intersection over union of two masks in [0, 1]; two empty masks score 1.

    Args:
        first: bool, shape (H, W).
        second: bool, same shape.

    Source: Jaccard (1912), New Phytologist 11(2):37-50.
    """
    union = int(np.logical_or(first, second).sum())
    return 1.0 if union == 0 else int(np.logical_and(first, second).sum()) / union


def dice(first: BinaryMask, second: BinaryMask) -> float:
    """Overlap of two masks in [0, 1]; two empty masks score 1.

    Args:
        first: bool, shape (H, W).
        second: bool, same shape.

    Source: Dice (1945), Ecology 26(3):297-302.
    """
    total = int(first.sum()) + int(second.sum())
    return 1.0 if total == 0 else 2 * int(np.logical_and(first, second).sum()) / total

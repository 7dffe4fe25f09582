"""Measures two masks of one picture against each other. Pure."""

import numpy as np

from segmenter.contract import BinaryMask, Box, PairMeasures, Spacing
from segmenter.masks.geometry import mask_box


def compare(first: BinaryMask, second: BinaryMask, spacing: Spacing | None = None) -> PairMeasures:
    """Measure one mask against another, for example the optic cup against the disc.

    Args:
        first: bool, shape (H, W).
        second: bool, same shape.
        spacing: size of a pixel, if it is known.

    Raises:
        ValueError: a mask is empty, or the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"masks of shapes {first.shape} and {second.shape} are of two pictures")
    one, other = _box(first), _box(second)
    area, other_area = int(np.count_nonzero(first)), int(np.count_nonzero(second))
    shared = int(np.count_nonzero(first & second))
    pixel_mm2 = None if spacing is None else spacing.row_mm * spacing.column_mm
    return PairMeasures(
        area_ratio=area / other_area,
        vertical_ratio=(one.y1 - one.y0) / (other.y1 - other.y0),
        horizontal_ratio=(one.x1 - one.x0) / (other.x1 - other.x0),
        difference_px=area - other_area,
        difference_mm2=None if pixel_mm2 is None else (area - other_area) * pixel_mm2,
        shared_px=shared,
        shared_mm2=None if pixel_mm2 is None else shared * pixel_mm2,
        share_of_first=shared / area,
        share_of_second=shared / other_area,
        iou=shared / (area + other_area - shared),
        spacing_source=None if spacing is None else spacing.source,
    )


def _box(mask: BinaryMask) -> Box:
    box = mask_box(mask)
    if box is None:
        raise ValueError("an empty mask cannot be compared")
    return box

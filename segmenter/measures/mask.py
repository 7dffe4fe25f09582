"""Measures one mask of a picture. Pure; works on the box around the mask alone."""

import math

import numpy as np

from segmenter.contract import (
    BinaryMask,
    Box,
    Intensity,
    Length,
    Line,
    Measures,
    PixelValues,
    Side,
    Spacing,
)
from segmenter.masks.components import count_components
from segmenter.masks.geometry import mask_box
from segmenter.measures.diameters import Chord, diameters
from segmenter.measures.perimeter import perimeter

# Of a pixel.
POINT_DECIMALS = 6
# Values whose deviations are summed together: all of a large mask would take as much again twice.
PART = 2**18


def measure(
    mask: BinaryMask, spacing: Spacing | None = None, values: PixelValues | None = None
) -> Measures:
    """Measure a mask.

    Args:
        mask: bool, shape (H, W).
        spacing: size of a pixel, if it is known.
        values: of the picture's pixels, if they are known.

    Raises:
        ValueError: the mask is empty.
    """
    box = mask_box(mask)
    if box is None:
        raise ValueError("an empty mask has no measures")
    place = slice(int(box.y0), int(box.y1)), slice(int(box.x0), int(box.x1))
    # Masks are decoded column by column, and row by row all of this is twice as fast.
    inside = np.ascontiguousarray(mask[place])
    area_px = int(np.count_nonzero(inside))
    area_mm2 = None if spacing is None else area_px * spacing.row_mm * spacing.column_mm
    longest, short = (_line(chord, box, spacing) for chord in diameters(inside, _ratio(spacing)))
    around = _perimeter(inside, spacing)
    x, y = _centroid(inside, area_px, box)
    edge = _edge_distance(box, mask.shape, spacing)
    return Measures(
        area_px=area_px,
        area_mm2=area_mm2,
        longest=longest,
        short=short,
        width=_across(box.x1 - box.x0, spacing),
        height=_down(box.y1 - box.y0, spacing),
        perimeter=around,
        centroid=(x, y),
        equivalent_diameter=_equivalent_diameter(area_px, area_mm2),
        circularity=_circularity(area_px, area_mm2, around),
        picture_share=area_px / mask.size,
        image_side=_side(x, mask.shape[1]),
        edge_distance=edge,
        touches_edge=edge.px == 0.0,
        pieces=count_components(inside),
        intensity=None if values is None else _intensity(values, inside, place),
        spacing_source=None if spacing is None else spacing.source,
    )


def length_of(
    start: tuple[float, float], end: tuple[float, float], spacing: Spacing | None
) -> Length:
    """Return the distance of two points of a picture, (x, y) in pixels."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    mm = None if spacing is None else math.hypot(dx * spacing.column_mm, dy * spacing.row_mm)
    return Length(px=math.hypot(dx, dy), mm=mm)


def _ratio(spacing: Spacing | None) -> float:
    return 1.0 if spacing is None else spacing.row_mm / spacing.column_mm


def _line(chord: Chord, box: Box, spacing: Spacing | None) -> Line:
    length = length_of(chord.start, chord.end, spacing)
    start, end = (_placed(point, box) for point in chord)
    return Line(px=length.px, mm=length.mm, start=start, end=end)


def _placed(point: tuple[float, float], box: Box) -> tuple[float, float]:
    """Return a point of the box as one of the picture, without the noise of rotating it."""
    x, y = (round(side, POINT_DECIMALS) for side in point)
    return x + box.x0, y + box.y0


def _across(px: float, spacing: Spacing | None) -> Length:
    return Length(px=px, mm=None if spacing is None else px * spacing.column_mm)


def _down(px: float, spacing: Spacing | None) -> Length:
    return Length(px=px, mm=None if spacing is None else px * spacing.row_mm)


def _perimeter(inside: BinaryMask, spacing: Spacing | None) -> Length:
    px = perimeter(inside)
    if spacing is None:
        return Length(px=px)
    ratio = _ratio(spacing)
    widths = px if ratio == 1.0 else perimeter(inside, ratio)
    return Length(px=px, mm=widths * spacing.column_mm)


def _centroid(inside: BinaryMask, area_px: int, box: Box) -> tuple[float, float]:
    """Return the mean of the pixels' middles."""
    rows, columns = np.count_nonzero(inside, axis=1), np.count_nonzero(inside, axis=0)
    x = float(columns @ np.arange(columns.size)) / area_px
    y = float(rows @ np.arange(rows.size)) / area_px
    return box.x0 + x + 0.5, box.y0 + y + 0.5


def _equivalent_diameter(area_px: int, area_mm2: float | None) -> Length:
    mm = None if area_mm2 is None else 2 * math.sqrt(area_mm2 / math.pi)
    return Length(px=2 * math.sqrt(area_px / math.pi), mm=mm)


def _circularity(area_px: int, area_mm2: float | None, around: Length) -> float:
    """Return 4 pi A / P^2, which the few pixels of a tiny mask take above 1.

    Source: Cox (1927), J. Paleontology 1(3):179-183.
    """
    if area_mm2 is not None and around.mm is not None:
        return min(1.0, 4 * math.pi * area_mm2 / around.mm**2)
    return min(1.0, 4 * math.pi * area_px / around.px**2)


def _side(x: float, width: int) -> Side:
    if math.isclose(x, width / 2):
        return "middle"
    return "left" if x < width / 2 else "right"


def _edge_distance(box: Box, shape: tuple[int, ...], spacing: Spacing | None) -> Length:
    """Return the shortest of the distances to the four edges, by mm where they are known."""
    distances = (
        _across(box.x0, spacing),
        _across(shape[1] - box.x1, spacing),
        _down(box.y0, spacing),
        _down(shape[0] - box.y1, spacing),
    )
    return min(distances, key=lambda each: each.px if each.mm is None else each.mm)


def _intensity(
    values: PixelValues, inside: BinaryMask, place: tuple[slice, slice]
) -> Intensity | None:
    found = values.pixels[place][inside]
    if not np.isfinite(found.sum(dtype=np.float64)):
        found = found[np.isfinite(found)]
    if not found.size:
        return None
    mean = float(found.mean(dtype=np.float64))
    squares = 0.0
    for start in range(0, found.size, PART):
        apart = found[start : start + PART].astype(np.float64) - mean
        squares += float(apart @ apart)
    return Intensity(mean=mean, std=math.sqrt(squares / found.size), unit=values.unit)

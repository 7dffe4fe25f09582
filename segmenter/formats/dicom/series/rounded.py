"""Grids of slices whose positions are written with few digits. Pure.

Slices 1.5 mm apart in whole millimetres (0, 2, 3, 4, 6) look like those of a 1 mm grid with gaps,
and a straight stack of few slices in tenths looks tilted. What rounding explains comes first.
"""

from collections.abc import Sequence

import numpy as np

from segmenter.formats.dicom.series.planes import (
    EXACT_MM,
    UNEVEN,
    EvenGrid,
    Plane,
    UnevenSlices,
    Vector,
    even_grid,
    least,
    nearest_line,
    rounding_of,
)

# One or two gaps can lie as rounding would put them; three longer and three shorter distances that
# all fit do not by chance.
LEAST_OF_EACH = 3


def grid_of(
    planes: Sequence[Plane],
    pixel_mm: float | None,
    *,
    between_mm: float | None,
    thickness_mm: float | None,
) -> EvenGrid:
    """Lay slices onto their grid; see `even_grid`.

    Args:
        planes: two or more, parallel, in order along their normal.
        pixel_mm: shorter side of a pixel; None if unknown.
        between_mm: SpacingBetweenSlices.
        thickness_mm: SliceThickness.

    Raises:
        UnevenSlices.
    """
    try:
        grid: EvenGrid | None = even_grid(planes, pixel_mm)
        uneven = None
    except UnevenSlices as error:
        grid, uneven = None, error
    if grid is None or grid.missing:
        whole = _without_gaps(planes)
        if whole and _is_likelier(whole, grid, planes, between_mm, thickness_mm):
            return _straight(whole, planes, rounding_of(planes, whole=True))
    if grid is None:
        assert uneven is not None
        raise uneven
    return _straight(grid, planes, rounding_of(planes))


def _without_gaps(planes: Sequence[Plane]) -> EvenGrid | None:
    """Return the grid without gaps whose rounded positions are those of the slices, if any is."""
    positions = np.array([plane.position for plane in planes])
    places = np.arange(len(planes))
    lines = np.array([nearest_line(values, places) for values in positions.T])
    rest = positions - lines[:, 0] - np.outer(places, lines[:, 1])
    if (np.abs(rest) > rounding_of(planes, whole=True) + EXACT_MM).any():
        return None
    return EvenGrid(tuple(range(len(planes))), lines[:, 0], lines[:, 1], _farthest(rest))


def _is_likelier(
    whole: EvenGrid,
    gaps: EvenGrid | None,
    planes: Sequence[Plane],
    between_mm: float | None,
    thickness_mm: float | None,
) -> bool:
    """Tell whether slices are rather evenly spaced and rounded than with gaps, or uneven."""
    normal = planes[0].normal
    step = float(abs(whole.step @ normal))
    # Rounding of both ends leaves the step open by as much.
    open_mm = 2 * float(np.abs(normal) @ rounding_of(planes, whole=True)) / (len(planes) - 1)
    if between_mm is not None:
        return abs(step - between_mm) <= min(open_mm, UNEVEN * step) + EXACT_MM
    if thickness_mm is not None:
        if gaps and abs(float(abs(gaps.step @ normal)) - thickness_mm) <= UNEVEN * thickness_mm:
            return False
        if abs(step - thickness_mm) <= min(open_mm, UNEVEN * step) + EXACT_MM:
            return True
    distances = np.diff([plane.along for plane in planes])
    longer = int((distances > step).sum())
    return min(longer, len(distances) - longer) >= LEAST_OF_EACH


def _straight(grid: EvenGrid, planes: Sequence[Plane], rounding: Vector) -> EvenGrid:
    """Return a grid along the normal if rounding explains what is beside it, else as it is."""
    positions, normal = np.array([plane.position for plane in planes]), planes[0].normal
    places = np.array(grid.places)
    around = float(grid.step @ normal)
    if np.linalg.norm(grid.step - around * normal) <= EXACT_MM:
        return grid

    def beyond(step: float) -> float:
        rest = positions - np.outer(places, normal * step)
        return float((np.ptp(rest, axis=0) - 2 * rounding).max())

    step = least(beyond, around, 2 * float(np.linalg.norm(rounding)) / float(places[-1]))
    if beyond(step) > EXACT_MM:
        return grid
    rest = positions - np.outer(places, normal * step)
    origin = (rest.max(axis=0) + rest.min(axis=0)) / 2
    return EvenGrid(grid.places, origin, normal * step, _farthest(rest - origin))


def _farthest(rest: Vector) -> float:
    return float(np.linalg.norm(rest, axis=1).max())

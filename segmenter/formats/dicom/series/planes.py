"""Where slices are, and the even grid that they lie on. Pure.

Positions come as decimal texts, often cut to few digits: a grid is even if what is left over is
within the rounding of the digits that are there.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from segmenter.formats.dicom.values import numbers

Vector = npt.NDArray[np.float64]

# Slices may be off an even grid by this share of its step, or of a pixel within their plane.
UNEVEN = 0.05
# Closer than this two slices are at one place.
SAME_PLACE_MM = 1e-3
# Positions that fit a grid so well are on it, digit for digit.
EXACT_MM = 1e-6
# Cosines of one plane, written with few digits.
SAME_PLANE = 1e-3
# Rounding explains no more than this share of a step: beyond it, a gap could not be told from it.
LARGEST_ROUNDING = 0.25
# Each takes a third off the steps that are tried: in all some ten orders of magnitude.
NARROWINGS = 60
# With more slices missing than this share of those that are there, it is no grid with gaps.
LARGEST_MISSING = 0.5
# Nor where fewer neighbours than this share are one step apart: a slice halfway between two others
# would halve the step of a whole stack.
LEAST_SINGLES = 0.5
# Further digits are those of a float, and mean nothing.
MOST_DECIMALS = 9


class Plane(NamedTuple):
    """Where a slice is.

    Attributes:
        position: of the first pixel's centre, millimetres, LPS.
        across: unit vector along which columns grow.
        down: unit vector along which rows grow.
        decimals: of the three numbers of `position` as they were written.
    """

    position: Vector
    across: Vector
    down: Vector
    decimals: tuple[int, int, int] = (MOST_DECIMALS,) * 3

    @property
    def normal(self) -> Vector:
        """Unit vector along which a right-handed grid grows."""
        return np.cross(self.across, self.down)

    @property
    def along(self) -> float:
        """Millimetres along the normal of the plane."""
        return float(self.normal @ self.position)

    def parallel(self, other: "Plane") -> bool:
        """Tell whether two planes have the same orientation."""
        turned = np.abs([self.across - other.across, self.down - other.down])
        return bool(turned.max() <= SAME_PLANE)


class UnevenSlices(ValueError):
    """Slices that lie on no even grid.

    Attributes:
        pairs: places in the list of two neighbours whose distance is one, and of two whose
            distance is another.
        within: they are off within their plane, not along its normal.
    """

    def __init__(self, pairs: tuple[int, int], *, within: bool) -> None:
        super().__init__("uneven")
        self.pairs = pairs
        self.within = within


class EvenGrid(NamedTuple):
    """Slices on a grid.

    Attributes:
        places: of the slices, from 0, rising.
        origin: of the first place, millimetres, LPS.
        step: from a place to the next, millimetres, LPS; in a tilted stack not along the normal.
        residual_mm: how far the slice that is farthest off is from its place.
    """

    places: tuple[int, ...]
    origin: Vector
    step: Vector
    residual_mm: float

    @property
    def missing(self) -> int:
        """Number of places without a slice."""
        return self.places[-1] + 1 - len(self.places)


def read_plane(view: Dataset, position: str, orientation: str) -> Plane | None:
    """Return the plane of a frame; None where the attributes do not tell.

    Args:
        view: attributes of the frame.
        position: keyword of three numbers.
        orientation: keyword of six.
    """
    at, cosines = numbers(view, position), numbers(view, orientation)
    if len(at) != 3 or len(cosines) != 6:
        return None
    across, down = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = np.linalg.norm(across), np.linalg.norm(down)
    if min(lengths) < 1e-6 or abs(across @ down) > 0.01 * lengths[0] * lengths[1]:
        return None
    first, second, third = (decimals(each) for each in view[position].value)
    return Plane(
        np.array(at), across / lengths[0], down / lengths[1], decimals=(first, second, third)
    )


def decimals(value: object) -> int:
    """Return the digits behind the point that a number was written with."""
    text = str(getattr(value, "original_string", value)).strip()
    try:
        exponent = Decimal(text).as_tuple().exponent
    except InvalidOperation:
        return MOST_DECIMALS
    return min(max(0, -exponent), MOST_DECIMALS) if isinstance(exponent, int) else MOST_DECIMALS


def even_grid(planes: Sequence[Plane], pixel_mm: float | None) -> EvenGrid:
    """Lay slices onto the even grid that is nearest to all of them.

    Args:
        planes: two or more, parallel, in order along their normal.
        pixel_mm: shorter side of a pixel; None if unknown.

    Raises:
        UnevenSlices.
    """
    positions = np.array([plane.position for plane in planes])
    first = planes[0]
    axes = np.array([first.across, first.down, first.normal])
    rounding = rounding_of(planes)
    # How far rounding moves a slice along each axis of the grid, at most.
    rounded = np.abs(axes) @ rounding
    distances = np.diff(positions @ first.normal)
    counts = _counts(distances, rounded[2])
    places = np.concatenate([[0], np.cumsum(counts)])
    origin, step = _line(positions, places)
    step_mm = float(abs(step @ first.normal))
    side = min(step_mm, pixel_mm or step_mm)
    explained = np.minimum(rounded, LARGEST_ROUNDING / 2 * step_mm)
    allowed = np.maximum(explained, UNEVEN * np.array([side, side, step_mm])) + EXACT_MM
    rest = positions - origin - np.outer(places, step)
    off = np.abs(rest @ axes.T).max(axis=0)
    missing = int(places[-1]) + 1 - len(places)
    singles = int((counts == 1).sum())
    too_many = missing > LARGEST_MISSING * len(places) or singles < LEAST_SINGLES * len(counts)
    if off[2] > allowed[2] or too_many:
        raise UnevenSlices((int(distances.argmin()), int(distances.argmax())), within=False)
    if (off[:2] > allowed[:2]).any():
        steps = np.linalg.norm(np.diff(positions @ axes[:2].T, axis=0), axis=1)
        raise UnevenSlices((int(steps.argmin()), int(steps.argmax())), within=True)
    residual = float(np.linalg.norm(rest, axis=1).max())
    return EvenGrid(tuple(int(place) for place in places), origin, step, residual)


def _line(positions: Vector, places: npt.NDArray[np.int64]) -> tuple[Vector, Vector]:
    """Return the first place and the step of the grid nearest to all positions."""
    step: Vector = (positions[-1] - positions[0]) / places[-1]
    if np.abs(positions - positions[0] - np.outer(places, step)).max() <= EXACT_MM:
        return positions[0], step
    lines = np.array([nearest_line(values, places) for values in positions.T])
    return lines[:, 0], lines[:, 1]


def nearest_line(values: Vector, places: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return start and step of the even values whose farthest distance to `values` is least.

    What was even before it was rounded lies within half a digit of such a line; of least squares,
    which weigh by number, that is not so. The farthest distance is convex in the step, so that
    the best one is found by narrowing.
    """

    def spread(step: float) -> float:
        return float(np.ptp(values - places * step))

    around = float(values[-1] - values[0]) / float(places[-1])
    step = least(spread, around, spread(around) / float(places[-1]) + EXACT_MM)
    rest = values - places * step
    return float(rest.max() + rest.min()) / 2, step


def least(spread: Callable[[float], float], around: float, reach: float) -> float:
    """Return the argument within `reach` of `around` at which a convex function is least."""
    low, high = around - reach, around + reach
    for _ in range(NARROWINGS):
        first, second = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, second) if spread(first) <= spread(second) else (first, high)
    return (low + high) / 2


def rounding_of(planes: Sequence[Plane], *, whole: bool = False) -> Vector:
    """Return half a unit of the last digit of each coordinate, millimetres.

    Args:
        planes: of the slices.
        whole: a coordinate without a digit behind the point in any slice is rounded too, else it
            is exact: who writes whole millimetres mostly means them.
    """
    digits = np.array([plane.decimals for plane in planes]).max(axis=0)
    rounded = (digits > 0) | whole
    half: Vector = np.where(rounded, 0.5 * 10.0 ** -digits.astype(np.float64), 0.0)
    return half


def _counts(distances: Vector, rounded_mm: float) -> npt.NDArray[np.int64]:
    """Return how many steps of an even grid lie between neighbours."""
    slack = 2 * min(2 * rounded_mm, LARGEST_ROUNDING * float(distances.min()))
    near = distances[distances <= distances.min() * (1 + UNEVEN) + slack]
    # Median of those that can be single steps; each distance is counted alone, so that what
    # rounding adds to it does not add up over hundreds of slices.
    return np.maximum(1, np.rint(distances / float(np.median(near)))).astype(np.int64)

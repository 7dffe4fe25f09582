"""The longest diameter of a mask, and the short axis across it. Pure.

Both are between points of the outline, of pixels as squares. The short axis is a chord: of all
lines at a right angle to the longest diameter, each from the first point of the mask on it to the
last, the longest; the line may cross a hole or a notch. Where several diameters are equally long,
as of a rectangle, the one with the longest short axis counts.

Source: RECIST 1.1 (Eisenhauer et al. 2009, Eur. J. Cancer 45:228-247) and the WHO handbook (1979),
which measure the longest diameter and the longest one perpendicular to it.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from segmenter.contract import BinaryMask
from segmenter.measures.outline import Outline, Points, farthest, hull_corners, outline

# Corners whose places along the diameter differ by less are at one place.
DECIMALS = 9
# Places on the diameter that are looked at together; bounds the memory of a ragged outline.
CHUNK = 65_536
# Along the diameter, of a piece of 1: less is across it, and its ends lie on other pieces.
ACROSS = 1e-7


# (x, y), of corners or of points between.
Place = npt.NDArray[np.int64] | npt.NDArray[np.float64]


class Chord(NamedTuple):
    """A line between two points of an outline, (x, y) in pixels."""

    start: tuple[float, float]
    end: tuple[float, float]


def diameters(mask: BinaryMask, ratio: float = 1.0) -> tuple[Chord, Chord]:
    """Return the longest diameter of a mask and the short axis across it.

    Args:
        mask: bool, shape (H, W), not empty.
        ratio: height of a pixel / its width.
    """
    shape, corners = np.array((1.0, ratio)), hull_corners(mask)
    around = outline(mask)
    _, pairs = farthest(corners * shape)
    ends = [_in_order(corners[first], corners[second]) for first, second in pairs]
    found = [(_across(around, first, second, shape), first, second) for first, second in ends]
    (_, short), first, second = max(found, key=lambda each: each[0][0])
    return Chord(_point(first), _point(second)), short


def _in_order(first: Place, second: Place) -> tuple[Place, Place]:
    """Begin at the upper end, of equal ones at the left one."""
    return (first, second) if tuple(first[::-1]) < tuple(second[::-1]) else (second, first)


def _across(around: Outline, first: Place, second: Place, shape: Points) -> tuple[float, Chord]:
    """Return the longest chord at a right angle to a line, and its length in widths of a pixel.

    In coordinates along and across the line the outline is straight pieces of two slopes. Between
    two of their ends the length of a chord changes evenly, so the longest is at an end.
    """
    along = (second - first) * shape
    along = along / np.hypot(*along)
    axes = np.stack((along, (-along[1], along[0])))
    corners = np.concatenate([pieces.reshape(-1, 2) for pieces in around])
    places = np.unique(np.round((corners * shape) @ axes[0], DECIMALS))
    top = np.full(places.size, -np.inf)
    bottom = np.full(places.size, np.inf)
    for pieces in around:
        _raise_to(top, bottom, places, (pieces * shape) @ axes.T)
    longest = int(np.argmax(top - bottom))
    at = places[longest]
    ends = _in_order(*((at, v) @ axes / shape for v in (bottom[longest], top[longest])))
    return float(top[longest] - bottom[longest]), Chord(*map(_point, ends))


def _raise_to(top: Points, bottom: Points, places: Points, pieces: Points) -> None:
    """Move the first and last points at each place out to the pieces of one slope.

    Args:
        top: float64, shape (P,); the last points so far, changed in place.
        bottom: the first ones, likewise.
        places: sorted, shape (P,).
        pieces: shape (N, 2, 2): both ends, along and across.
    """
    (u0, v0), (u1, v1) = pieces[0]
    if abs(u1 - u0) <= ACROSS * np.hypot(u1 - u0, v1 - v0):
        return
    slope = (v1 - v0) / (u1 - u0)
    span = np.sort(np.round(pieces[:, :, 0], DECIMALS), axis=1)
    first, last = np.searchsorted(places, span[:, 0]), np.searchsorted(places, span[:, 1])
    offset = pieces[:, 0, 1] - slope * pieces[:, 0, 0]
    for start in range(0, places.size, CHUNK):
        stop = min(start + CHUNK, places.size)
        here = (last >= start) & (first < stop)
        begin, end = first[here].clip(start) - start, last[here].clip(max=stop - 1) - start
        some, line = slice(start, stop), slope * places[start:stop]
        highest = _highest(offset[here], begin, end, stop - start)
        lowest = -_highest(-offset[here], begin, end, stop - start)
        top[some] = np.maximum(top[some], highest + line)
        bottom[some] = np.minimum(bottom[some], lowest + line)


def _highest(
    heights: Points, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64], size: int
) -> Points:
    """Return the largest height over each place, -inf where there is none.

    Each span is laid down as two of a power of two, which are then halved down to single places.

    Args:
        heights: float64, shape (N,).
        first: first place of each, from 0.
        last: last place of each, included.
        size: number of places.
    """
    if not heights.size:
        return np.full(size, -np.inf)
    power = np.log2(last - first + 1).astype(np.int64)
    levels = np.full((int(power.max()) + 1, size), -np.inf)
    for begin in (first, last + 1 - (1 << power)):
        np.maximum.at(levels.reshape(-1), power * size + begin, heights)
    for level in range(len(levels) - 1, 0, -1):
        half = 1 << (level - 1)
        np.maximum(levels[level - 1], levels[level], out=levels[level - 1])
        np.maximum(levels[level - 1, half:], levels[level, :-half], out=levels[level - 1, half:])
    highest: Points = levels[0]
    return highest


def _point(xy: npt.ArrayLike) -> tuple[float, float]:
    x, y = np.asarray(xy, dtype=np.float64).tolist()
    return x, y

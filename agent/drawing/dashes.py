"""Broken contours: walks along the edge of a mask and leaves gaps. Pure.

The edge is walked pixel side by pixel side, so that gaps are evenly long whatever way it runs.
"""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from segmenter.contract import BinaryMask

# An accepted mask, one that a person should look at, and a rejected one.
Line = Literal["solid", "dashed", "dotted"]
# A pattern that repeats less often than this is no pattern.
MIN_REPEATS = 2

Sides = npt.NDArray[np.intp]


class Pattern(NamedTuple):
    """A dash and its gap: their length together, in pixels, and the dash's share of it, [0, 1]."""

    length_px: float
    share: float


def broken_edge(mask: BinaryMask, pattern: Pattern) -> BinaryMask:
    """Return the pixels on either side of a mask's edge that lie in a dash.

    Args:
        mask: bool, shape (H, W); its edge at the frame counts.
        pattern: stretched so that it fits each closed edge a whole number of times.

    Returns:
        bool, shape (H, W).
    """
    inner, outer, following = _sides(np.pad(mask, 1))
    kept = _in_dash(following, pattern)
    marked = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), dtype=np.bool_)
    for pixels in (inner, outer):
        marked.reshape(-1)[pixels[kept]] = True
    return marked[1:-1, 1:-1]


def _sides(mask: BinaryMask) -> tuple[Sides, Sides, Sides]:
    """Return each side of a pixel on the edge: its pixel inside, the one outside, the next side.

    Sides run clockwise around the mask. Where two edges meet at a corner of pixels, as many sides
    end as begin, and they are joined in order: all of them make closed walks.
    """
    width = mask.shape[1]
    rows, columns = np.nonzero(mask)
    corner = rows * (width + 1) + columns
    # Row and column of the neighbour; the side's first and last corner, as steps from the pixel's.
    ways = (
        (-1, 0, 0, 1),
        (0, 1, 1, width + 2),
        (1, 0, width + 2, width + 1),
        (0, -1, width + 1, 0),
    )
    parts: list[tuple[Sides, Sides, Sides, Sides]] = []
    for down, across, first, last in ways:
        free = ~mask[rows + down, columns + across]
        pixel = (rows * width + columns)[free]
        parts.append(
            (pixel, pixel + down * width + across, corner[free] + first, corner[free] + last)
        )
    inner, outer, begins, ends = (np.concatenate(each) for each in zip(*parts, strict=True))
    following = np.empty_like(begins)
    following[np.argsort(ends, kind="stable")] = np.argsort(begins, kind="stable")
    return inner, outer, following


def _in_dash(following: Sides, pattern: Pattern) -> npt.NDArray[np.bool_]:
    """Tell of each side whether it lies in a dash, walking every closed edge once."""
    kept = np.zeros(following.size, dtype=np.bool_)
    after, seen = following.tolist(), bytearray(following.size)
    for start in range(following.size):
        walk: list[int] = []
        side = start
        while not seen[side]:
            seen[side] = 1
            walk.append(side)
            side = after[side]
        if walk:
            repeats = max(MIN_REPEATS, round(len(walk) / pattern.length_px))
            phase = np.arange(len(walk)) * repeats / len(walk) % 1.0
            kept[walk] = phase < pattern.share
    return kept

"""Measures of small masks worked out the slow way: each corner, each pixel, no hull."""

from itertools import combinations

import numpy as np

from segmenter.contract import BinaryMask

TOLERANCE = 1e-7


def corners_of(mask: BinaryMask) -> list[tuple[int, int]]:
    """All four corners of every pixel, (x, y)."""
    pixels = [(int(x), int(y)) for y, x in zip(*np.nonzero(mask), strict=True)]
    return sorted({(x + dx, y + dy) for x, y in pixels for dx in (0, 1) for dy in (0, 1)})


def longest(mask: BinaryMask, column: float = 1.0, row: float = 1.0) -> float:
    """The largest distance of any two corners."""
    return max(
        float(np.hypot((a[0] - b[0]) * column, (a[1] - b[1]) * row))
        for a, b in combinations(corners_of(mask), 2)
    )


def short(mask: BinaryMask, column: float = 1.0, row: float = 1.0) -> float:
    """The longest chord at a right angle to a longest diameter, of all those there are.

    Through each corner a line is laid across the diameter, and cut with the box of each pixel.
    """
    size, most, found = np.array((column, row)), longest(mask, column, row), 0.0
    corners = np.array(corners_of(mask)) * size
    pixels = np.argwhere(mask)[:, ::-1]
    for first, second in combinations(corners, 2):
        if np.hypot(*(first - second)) < most - TOLERANCE:
            continue
        along = (second - first) / np.hypot(*(second - first))
        across = np.array((-along[1], along[0]))
        for corner in corners:
            cuts = [cut(corner, across, pixel * size, (pixel + 1) * size) for pixel in pixels]
            places = [place for each in cuts if each is not None for place in each]
            found = max(found, max(places) - min(places))
    return found


def cut(at, direction, low, high) -> tuple[float, float] | None:
    """From where to where a line through `at` is in a closed box; None if it misses it."""
    enter, leave = -np.inf, np.inf
    for axis in (0, 1):
        if abs(direction[axis]) < TOLERANCE:
            if not low[axis] - TOLERANCE <= at[axis] <= high[axis] + TOLERANCE:
                return None
            continue
        ends = sorted((side[axis] - at[axis]) / direction[axis] for side in (low, high))
        enter, leave = max(enter, ends[0]), min(leave, ends[1])
    return (enter, leave) if enter <= leave + TOLERANCE else None


def crofton(mask: BinaryMask, column: float = 1.0, row: float = 1.0) -> float:
    """Crossings of the outline along each line of four directions, pixel by pixel."""
    height, width = mask.shape

    def at(y: int, x: int) -> bool:
        return 0 <= y < height and 0 <= x < width and bool(mask[y, x])

    diagonal = np.hypot(column, row)
    angle = np.arctan2(row, column)
    # Step, distance to the next line of the direction, and the angle that it stands for.
    directions = (
        ((0, 1), row, angle),
        ((1, 0), column, np.pi / 2 - angle),
        ((1, 1), row * column / diagonal, np.pi / 4),
        ((1, -1), row * column / diagonal, np.pi / 4),
    )
    total = 0.0
    for (down, right), apart, stands_for in directions:
        crossings = sum(
            at(y, x) != at(y + down, x + right)
            for y in range(-1, height + 1)
            for x in range(-1, width + 1)
        )
        total += crossings * apart * stands_for
    return total / 2


def pieces(mask: BinaryMask) -> int:
    """Number of 8-connected components, by walking from pixel to pixel."""
    left, count = {(int(y), int(x)) for y, x in np.argwhere(mask)}, 0
    while left:
        count += 1
        open_ends = [left.pop()]
        while open_ends:
            y, x = open_ends.pop()
            beside = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= beside
            open_ends += beside
    return count

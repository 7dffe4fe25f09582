"""Where letters go on a drawing: label plates, notes and scale bar, off the masks. Pure.

Where they find no room on the picture, and beside every flat or tall picture, the drawing gets a
strip of ground of its own for them.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agent.drawing.layout import Size
from segmenter.contract import BinaryMask, Box

# Plates are placed on a grid of this step; finer steps cannot be told apart by eye.
CELL_PX = 4
# Free space wanted between a plate and any mask.
PLATE_GAP_PX = 8
# A picture that is not so many plates high, or wide, has its plates beside it.
MIN_PLATES_HIGH, MIN_PLATES_WIDE = 4.0, 1.5
# Plates lie near their masks, not close packed.
SLACK = 1.5

Point = tuple[int, int]


class Margin(NamedTuple):
    """Pixels that a drawing is wider and higher than its picture."""

    right: int = 0
    below: int = 0


class Corner(NamedTuple):
    """Something that belongs into a corner, a bottom one or a top one."""

    size: Size
    bottom: bool


class Arrangement(NamedTuple):
    """Left upper corners, in pixels of the drawing, in the order in which things were given."""

    margin: Margin
    corners: list[Point]
    plates: list[Point]


def arrange(
    occupied: BinaryMask, anchors: Sequence[Box], sizes: Sequence[Size], corners: Sequence[Corner]
) -> Arrangement:
    """Find places for plates and for what belongs into corners, and the strip they need, if any.

    Args:
        occupied: bool, shape (H, W) of the picture, true where a mask is.
        anchors: for each plate the box of its mask, in pixels of the picture.
        sizes: of the plates.
        corners: what belongs into corners.
    """
    picture = Size(occupied.shape[1], occupied.shape[0])
    everything = [*sizes, *(corner.size for corner in corners)]
    narrow = bool(everything) and is_narrow(picture, everything)
    if not narrow:
        tried = _placed(occupied, anchors, sizes, corners, Margin())
        if not _hides(occupied, tried, sizes, corners):
            return tried
    margin = _strip(picture, everything)
    grown = np.pad(occupied, ((0, margin.below), (0, margin.right)))
    if narrow:
        grown[: picture.height, : picture.width] = True
    return _placed(grown, anchors, sizes, corners, margin)


def is_narrow(picture: Size, sizes: Sequence[Size]) -> bool:
    """Tell whether a picture is too flat or too tall to be written on."""
    return _is_flat(picture, sizes) or picture.width < MIN_PLATES_WIDE * max(
        size.width for size in sizes
    )


def _is_flat(picture: Size, sizes: Sequence[Size]) -> bool:
    tallest = max(size.height for size in sizes)
    return picture.width >= picture.height and picture.height < MIN_PLATES_HIGH * tallest


def _strip(picture: Size, sizes: Sequence[Size]) -> Margin:
    """Return a strip with room for all: beside a tall picture, else below."""
    wide, high = (max(size[axis] for size in sizes) + 2 * PLATE_GAP_PX for axis in (0, 1))
    if picture.height > picture.width and is_narrow(picture, sizes):
        stacked = SLACK * sum(size.height + PLATE_GAP_PX for size in sizes)
        columns = math.ceil(stacked / max(picture.height, high))
        return Margin(right=wide * columns, below=max(high - picture.height, 0))
    in_row = SLACK * sum(size.width + PLATE_GAP_PX for size in sizes)
    rows = math.ceil(in_row / max(picture.width, wide))
    return Margin(right=max(wide - picture.width, 0), below=high * rows)


def _placed(
    occupied: BinaryMask,
    anchors: Sequence[Box],
    sizes: Sequence[Size],
    corners: Sequence[Corner],
    margin: Margin,
) -> Arrangement:
    taken = occupied.copy()
    found: list[Point] = []
    for size, bottom in corners:
        left, top = place_in_corner(taken, size, bottom_first=bottom)
        taken[top : top + size.height, left : left + size.width] = True
        found.append((left, top))
    return Arrangement(margin, found, place_plates(taken, anchors, sizes))


def _hides(
    occupied: BinaryMask, tried: Arrangement, sizes: Sequence[Size], corners: Sequence[Corner]
) -> bool:
    """Tell whether anything covers a mask."""
    parts = (*sizes, *(corner.size for corner in corners))
    placed = zip((*tried.plates, *tried.corners), parts, strict=True)
    return any(
        bool(occupied[top : top + size.height, left : left + size.width].any())
        for (left, top), size in placed
    )


def place_in_corner(occupied: BinaryMask, size: Size, *, bottom_first: bool) -> Point:
    """Return the place in the corner that hides least: left before right, then as asked for."""
    height, width = occupied.shape
    lefts = (PLATE_GAP_PX, max(width - size.width - PLATE_GAP_PX, 0))
    tops = (PLATE_GAP_PX, max(height - size.height - PLATE_GAP_PX, 0))
    places = [(left, top) for top in (reversed(tops) if bottom_first else tops) for left in lefts]
    return min(
        places,
        key=lambda at: int(occupied[at[1] : at[1] + size.height, at[0] : at[0] + size.width].sum()),
    )


def place_plates(
    occupied: BinaryMask, anchors: Sequence[Box], sizes: Sequence[Size]
) -> list[tuple[int, int]]:
    """Find a place for each plate: near its anchor, off every mask and every other plate.

    Args:
        occupied: bool, shape (H, W) of the canvas, true where a mask is.
        anchors: box of the plate's own mask, in canvas pixels.
        sizes: sizes of the plates.

    Returns:
        Left upper corner of each plate, in canvas pixels.
    """
    weights = _cells(occupied).astype(np.int64)
    places: list[tuple[int, int]] = []
    for anchor, size in zip(anchors, sizes, strict=True):
        row, column = _cheapest(weights, anchor, size)
        # Another plate is worse to cover than a mask: it hides a name, not an edge.
        rows, columns = _span_cells(size)
        weights[row : row + rows, column : column + columns] += 8
        places.append((column * CELL_PX, row * CELL_PX))
    return places


def _cells(occupied: BinaryMask) -> BinaryMask:
    rows, columns = (-(-side // CELL_PX) for side in occupied.shape)
    padded = np.zeros((rows * CELL_PX, columns * CELL_PX), dtype=np.bool_)
    padded[: occupied.shape[0], : occupied.shape[1]] = occupied
    blocks = padded.reshape(rows, CELL_PX, columns, CELL_PX)
    return np.asarray(blocks.any(axis=(1, 3)), dtype=np.bool_)


def _span_cells(size: Size) -> tuple[int, int]:
    return -(-size.height // CELL_PX), -(-size.width // CELL_PX)


def _cheapest(weights: npt.NDArray[np.int64], anchor: Box, size: Size) -> tuple[int, int]:
    """Return row and column of the cell with the least cover, then the shortest way."""
    rows, columns = _span_cells(size)
    cover = _window_sums(weights, rows, columns)
    tops = np.arange(cover.shape[0], dtype=np.float64)[:, None] * CELL_PX
    lefts = np.arange(cover.shape[1], dtype=np.float64)[None, :] * CELL_PX
    down = _gap(tops, size.height, anchor.y0, anchor.y1)
    across = _gap(lefts, size.width, anchor.x0, anchor.x1)
    off_centre = np.abs(lefts + size.width / 2 - (anchor.x0 + anchor.x1) / 2)
    cost = cover * 1000.0 + np.hypot(down, across) + off_centre * 0.1
    row, column = np.unravel_index(int(np.argmin(cost)), cost.shape)
    return int(row), int(column)


def _gap(
    starts: npt.NDArray[np.float64], length: int, low: float, high: float
) -> npt.NDArray[np.float64]:
    return np.maximum(np.maximum(low - (starts + length), starts - high), 0.0)


def _window_sums(weights: npt.NDArray[np.int64], rows: int, columns: int) -> npt.NDArray[np.int64]:
    """Sum the weights under a plate and its margin, for every place inside the canvas."""
    margin = PLATE_GAP_PX // CELL_PX
    height, width = weights.shape
    padded = np.pad(weights, margin)
    sums = np.pad(padded.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    tall, wide = rows + 2 * margin, columns + 2 * margin
    down, across = max(height - rows + 1, 1), max(width - columns + 1, 1)
    bottom = np.minimum(np.arange(down) + tall, sums.shape[0] - 1)
    right = np.minimum(np.arange(across) + wide, sums.shape[1] - 1)
    top, left = np.arange(down), np.arange(across)
    return np.asarray(
        sums[np.ix_(bottom, right)]
        - sums[np.ix_(top, right)]
        - sums[np.ix_(bottom, left)]
        + sums[np.ix_(top, left)]
    )

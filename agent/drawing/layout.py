"""Where things go on a drawing: canvas sizes, grids of tiles, places for label plates. Pure."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from segmenter.contract import BinaryMask, Box

# Providers rescale what is longer, which moves coordinates (reference/ecosystem.md, 5.1).
MAX_SIDE_PX = 1024
# Small pictures are enlarged: a person must see a 2-pixel contour well.
MIN_SIDE_PX = 768
# Plates are placed on a grid of this step; finer steps cannot be told apart by eye.
CELL_PX = 4
# Free space wanted between a plate and any mask.
PLATE_GAP_PX = 8


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


class Grid(NamedTuple):
    """Equal tiles in rows; `tile` is the size of the picture inside each of them."""

    columns: int
    rows: int
    tile: Size


def fit(width: int, height: int) -> Size:
    """Scale a size so that its longest side lies between the two limits, keeping its shape."""
    longest = max(width, height)
    scale = min(max(longest, MIN_SIDE_PX), MAX_SIDE_PX) / longest
    return Size(max(1, round(width * scale)), max(1, round(height * scale)))


def best_grid(count: int, shape: Size, *, header_px: int, gap_px: int) -> Grid:
    """Arrange `count` tiles of one shape on a sheet so that each is as large as can be."""
    grids = (
        _grid(columns, math.ceil(count / columns), shape, header_px=header_px, gap_px=gap_px)
        for columns in range(1, count + 1)
    )
    return max(grids, key=lambda grid: (grid.tile.width * grid.tile.height, grid.columns))


def _grid(columns: int, rows: int, shape: Size, *, header_px: int, gap_px: int) -> Grid:
    width = (MAX_SIDE_PX - gap_px * (columns + 1)) / columns
    height = (MAX_SIDE_PX - gap_px * (rows + 1)) / rows - header_px
    scale = min(width / shape.width, height / shape.height)
    tile = Size(max(1, int(shape.width * scale)), max(1, int(shape.height * scale)))
    return Grid(columns, rows, tile)


class Region(NamedTuple):
    """Half-open rectangle of whole pixels of the image."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels down."""
        return self.bottom - self.top


def square_region(box: Box, *, factor: float, least_px: int, frame: Size) -> Region:
    """Return a square around a box, moved (then cut) to lie inside the frame.

    Its side is `factor` times the longer side of the box, but not below `least_px`, so that a tiny
    box keeps its surroundings.
    """
    side = max(math.ceil(max(box.x1 - box.x0, box.y1 - box.y0) * factor), least_px)
    left, right = _span((box.x0 + box.x1) / 2, side, frame.width)
    top, bottom = _span((box.y0 + box.y1) / 2, side, frame.height)
    return Region(left, top, right, bottom)


def _span(centre: float, side: int, limit: int) -> tuple[int, int]:
    side = min(side, limit)
    start = min(max(round(centre - side / 2), 0), limit - side)
    return start, start + side


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

"""How large things are on a drawing: canvases, grids of tiles, crops. Pure."""

import math
from typing import NamedTuple

from segmenter.contract import Box

# Providers rescale what is longer, which moves coordinates (reference/ecosystem.md, 5.1).
MAX_SIDE_PX = 1024
# Small pictures are enlarged: a person must see a 2-pixel contour well.
MIN_SIDE_PX = 768
# For people: a flat or tall picture is drawn longer, until its short side has so many pixels.
MIN_SHORT_SIDE_PX = 120
MAX_LONG_SIDE_PX = 2048


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


class Grid(NamedTuple):
    """Equal tiles in rows.

    Attributes:
        tile: size of the picture inside each of them.
        pitch: pixels from one column to the next, without the gap; at least the tile's width.
    """

    columns: int
    rows: int
    tile: Size
    pitch: int


def fit(width: int, height: int) -> Size:
    """Scale a size so that its longest side lies between the two limits, keeping its shape."""
    longest = max(width, height)
    scale = min(max(longest, MIN_SIDE_PX), MAX_SIDE_PX) / longest
    return Size(max(1, round(width * scale)), max(1, round(height * scale)))


def fit_for_people(width: int, height: int) -> Size:
    """Scale a size as `fit` does, but leave a flat or tall picture longer, so that it is legible.

    Models do not see it, so nothing moves when it is rescaled.
    """
    usual = fit(width, height)
    longer = min(MIN_SHORT_SIDE_PX / min(width, height), MAX_LONG_SIDE_PX / max(width, height))
    if longer <= usual.width / width:
        return usual
    return Size(max(1, round(width * longer)), max(1, round(height * longer)))


def best_grid(
    count: int,
    shape: Size,
    *,
    header_px: int,
    gap_px: int,
    side_px: int = MAX_SIDE_PX,
    least_width_px: int = 0,
) -> Grid:
    """Arrange `count` tiles of one shape on a sheet so that each is as large as can be.

    A column is at least `least_width_px` wide: what is written above a narrow tile needs room.
    """
    grids = [
        _grid(columns, math.ceil(count / columns), shape, header_px, gap_px, side_px)
        for columns in range(1, count + 1)
    ]
    wide = [grid for grid in grids if _room(side_px, grid.columns, gap_px) >= least_width_px]
    best = max(wide, key=lambda grid: (grid.tile.width * grid.tile.height, grid.columns))
    return best._replace(pitch=max(best.pitch, least_width_px))


def _grid(columns: int, rows: int, shape: Size, header_px: int, gap_px: int, side_px: int) -> Grid:
    height = _room(side_px, rows, gap_px) - header_px
    scale = min(_room(side_px, columns, gap_px) / shape.width, height / shape.height)
    tile = Size(max(1, int(shape.width * scale)), max(1, int(shape.height * scale)))
    return Grid(columns, rows, tile, tile.width)


def _room(side_px: int, count: int, gap_px: int) -> float:
    """Return what each of some tiles in a row has of a sheet's side."""
    return (side_px - gap_px * (count + 1)) / count


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

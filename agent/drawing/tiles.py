"""Sheets for people: titled pictures side by side, with a legend of colours."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from agent.drawing.canvas import to_png
from agent.drawing.colours import BACKGROUND, INK, colour_of
from agent.drawing.labels import Lettering, Letters, plain
from agent.drawing.layout import Size, best_grid
from agent.drawing.overlay import LabelledMask, compose
from segmenter.contract import Box, RgbImage, Spacing

# A sheet fits a screen; three tiles of 500 pixels stand side by side.
SHEET_SIDE_PX = 1536
FONT_PX = 20
# Labels within a tile are short.
TILE_FONT_PX = 16
GAP_PX = 8
# A heading of some words has room above the narrowest tile.
MIN_TILE_PX = 240
MAX_TITLE_CHARS = 200


@dataclass(frozen=True)
class Tile:
    """A picture under a heading.

    Attributes:
        pixels: uint8, shape (H, W, 3), RGB; all tiles of a sheet have one shape.
        heading: what the picture is.
        remark: a second line below it.
        box: the prompt's, drawn as a dashed frame, or None.
    """

    pixels: RgbImage
    masks: tuple[LabelledMask, ...]
    heading: str
    remark: str = ""
    box: Box | None = None


def draw_tiles(
    title: str,
    tiles: Sequence[Tile],
    *,
    legend: Sequence[tuple[str, int]] = (),
    spacing: Spacing | None = None,
) -> bytes:
    """Draw pictures with masks on one sheet.

    Args:
        title: written above all; as many lines as it needs.
        tiles: at least one. One without a mask says so.
        legend: names of things, each with the index of its colour.
        spacing: size of a pixel of the pictures, for scale bars; None draws none.
    """
    first = tiles[0].pixels
    shape = Size(first.shape[1], first.shape[0])
    letters = Letters(FONT_PX)
    heading_px = letters.lines_px + GAP_PX
    grid = best_grid(
        len(tiles),
        shape,
        header_px=heading_px,
        gap_px=GAP_PX,
        side_px=SHEET_SIDE_PX,
        least_width_px=MIN_TILE_PX,
    )
    drawn = [_composed(tile, grid.tile, spacing) for tile in tiles]
    pitch = max(grid.pitch, *(picture.width for picture in drawn))
    rise = heading_px + max(picture.height for picture in drawn) + GAP_PX
    width = grid.columns * (pitch + GAP_PX) + GAP_PX
    head = _head(title, legend, letters, width)
    sheet = Image.new("RGB", (width, head.height + grid.rows * rise), BACKGROUND)
    sheet.paste(head, (0, 0))
    pen = Lettering(sheet, letters)
    for place, (tile, picture) in enumerate(zip(tiles, drawn, strict=True)):
        row, column = divmod(place, grid.columns)
        left, top = GAP_PX + column * (pitch + GAP_PX), head.height + row * rise
        heading, remark = (plain(words, MAX_TITLE_CHARS) for words in (tile.heading, tile.remark))
        pen.line((left, top), heading, remark, width=pitch)
        sheet.paste(picture, (left, top + heading_px))
    return to_png(sheet)


def _composed(tile: Tile, size: Size, spacing: Spacing | None) -> Image.Image:
    return compose(
        tile.pixels, tile.masks, size=size, font_px=TILE_FONT_PX, spacing=spacing, box=tile.box
    )


def _head(
    title: str, legend: Sequence[tuple[str, int]], letters: Letters, width: int
) -> Image.Image:
    """Write the title, and a plate for each thing in its colour, on as many lines as they need."""
    lines = letters.wrapped(plain(title, MAX_TITLE_CHARS), width - 2 * GAP_PX)
    names = [letters.cut(plain(name), width - 4 * GAP_PX, letters.main) for name, _ in legend]
    places, bottom = _in_rows([letters.plate_size(name) for name in names], width)
    start = GAP_PX + len(lines) * letters.line_px
    head = Image.new("RGB", (width, start + bottom + GAP_PX), BACKGROUND)
    pen = Lettering(head, letters)
    for number, line in enumerate(lines):
        pen.line((GAP_PX, GAP_PX + number * letters.line_px), line)
    for name, (left, top), (_, colour) in zip(names, places, legend, strict=True):
        pen.plate((left, start + top), name, fill=colour_of(colour), ink=INK)
    return head


def _in_rows(sizes: Sequence[Size], width: int) -> tuple[list[tuple[int, int]], int]:
    """Return a corner for each of some plates, in rows, and where the last row ends."""
    places: list[tuple[int, int]] = []
    left, top, bottom = GAP_PX, GAP_PX, 0
    for size in sizes:
        if left > GAP_PX and left + size.width + GAP_PX > width:
            left, top = GAP_PX, top + size.height + GAP_PX
        places.append((left, top))
        left, bottom = left + size.width + GAP_PX, top + size.height
    return places, bottom

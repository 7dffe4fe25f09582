"""Draws answers beside the truth: tiles with two outlines and a caption, arranged as one sheet."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from agent.drawing.colours import BACKGROUND, PAPER, Colour
from agent.drawing.contours import OVERSAMPLING, Stroke, paint, trace
from agent.drawing.layout import Region, Size
from segmenter.contract import BinaryMask, RgbImage

TRUTH: Colour = (90, 255, 60)
ANSWER: Colour = (255, 70, 255)
FAINT: Colour = (160, 168, 180)

COLUMNS = 3
TILE_PX = 288
LINE_PX = 18
CAPTION_PX = 2 * LINE_PX + 6
GAP_PX = 10
TITLE_PX = 34
LEGEND_PX = 28
HEADING_PX = 28
FONT_PX = 14
BIG_FONT_PX = 20
SWATCH_PX = 22


class SheetRow(NamedTuple):
    """Tiles under a heading; more than `COLUMNS` go on in the next line.

    Attributes:
        heading: what the tiles have in common.
        tiles: from `draw_tile`.
    """

    heading: str
    tiles: Sequence[RgbImage]


def draw_tile(
    image: RgbImage, truth: BinaryMask, answer: BinaryMask | None, caption: tuple[str, str]
) -> RgbImage:
    """Draw one picture with the outlines of truth (green) and answer (magenta), and a caption.

    Args:
        image: uint8, shape (H, W, 3), RGB.
        truth: bool, shape (H, W).
        answer: bool, shape (H, W); None without a mask.
        caption: two lines; what is too long for the tile is cut in the middle.

    Returns:
        uint8, shape (TILE_PX + CAPTION_PX, TILE_PX, 3), RGB.
    """
    size = _fitted(Size(image.shape[1], image.shape[0]))
    strokes = [
        (_stroke(mask, size), colour)
        for mask, colour in ((truth, TRUTH), (answer, ANSWER))
        if mask is not None and mask.any()
    ]
    picture = Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.LANCZOS)
    drawn = paint(np.asarray(picture, dtype=np.uint8), strokes, fill_alpha=0.0)
    tile = Image.new("RGB", (TILE_PX, TILE_PX + CAPTION_PX), BACKGROUND)
    tile.paste(Image.fromarray(drawn), ((TILE_PX - size.width) // 2, (TILE_PX - size.height) // 2))
    pen = ImageDraw.Draw(tile)
    for number, (text, colour) in enumerate(zip(caption, (PAPER, FAINT), strict=True)):
        place = (2, TILE_PX + 4 + number * LINE_PX)
        pen.text(place, _shortened(text, FONT_PX, TILE_PX - 4), fill=colour, font=_font(FONT_PX))
    return np.asarray(tile, dtype=np.uint8)


def draw_comparison(title: str, rows: Sequence[SheetRow]) -> bytes:
    """Arrange tiles as one PNG: title, legend of the colours, then the rows.

    Args:
        title: one line; what is too long for the sheet is cut in the middle.
        rows: rows without tiles are left out.
    """
    shown = [row for row in rows if row.tiles]
    width = COLUMNS * (TILE_PX + GAP_PX) + GAP_PX
    sheet = Image.new("RGB", (width, _height(shown)), BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    heading = _shortened(title, BIG_FONT_PX, width - 2 * GAP_PX)
    pen.text((GAP_PX, GAP_PX), heading, fill=PAPER, font=_font(BIG_FONT_PX))
    _draw_legend(pen, GAP_PX + TITLE_PX)
    top = GAP_PX + TITLE_PX + LEGEND_PX
    for row in shown:
        pen.text((GAP_PX, top + 4), row.heading, fill=PAPER, font=_font(FONT_PX + 2))
        _paste(sheet, row.tiles, top + HEADING_PX)
        top += _row_height(row)
    stream = io.BytesIO()
    sheet.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def _height(rows: Sequence[SheetRow]) -> int:
    return GAP_PX + TITLE_PX + LEGEND_PX + sum(_row_height(row) for row in rows)


def _row_height(row: SheetRow) -> int:
    lines = -(-len(row.tiles) // COLUMNS)
    return HEADING_PX + lines * (TILE_PX + CAPTION_PX + GAP_PX)


def _paste(sheet: Image.Image, tiles: Sequence[RgbImage], top: int) -> None:
    for index, tile in enumerate(tiles):
        line, column = divmod(index, COLUMNS)
        left = GAP_PX + column * (TILE_PX + GAP_PX)
        down = top + line * (TILE_PX + CAPTION_PX + GAP_PX)
        sheet.paste(Image.fromarray(tile), (left, down))


def _draw_legend(pen: ImageDraw.ImageDraw, top: int) -> None:
    left: float = GAP_PX
    middle = top + LEGEND_PX // 2 - 4
    for text, colour in (("truth", TRUTH), ("answer (on top)", ANSWER)):
        pen.line(((left, middle), (left + SWATCH_PX, middle)), fill=colour, width=4)
        pen.text((left + SWATCH_PX + 6, middle), text, fill=PAPER, font=_font(FONT_PX), anchor="lm")
        left += SWATCH_PX + 6 + _font(FONT_PX).getlength(text) + 2 * GAP_PX


def _fitted(size: Size) -> Size:
    scale = TILE_PX / max(size)
    return Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))


def _stroke(mask: BinaryMask, size: Size) -> Stroke:
    """Trace a mask that is not empty on a canvas of `size`."""
    fine = (size.width * OVERSAMPLING, size.height * OVERSAMPLING)
    soft = Image.fromarray(mask.astype(np.uint8) * 255).resize(fine, Image.Resampling.BICUBIC)
    return trace(Region(0, 0, size.width, size.height), np.asarray(soft))


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)


def _shortened(text: str, font_px: int, room_px: int) -> str:
    """Cut letters out of the middle until a line fits: both ends of an id tell it apart."""
    text = " ".join(text.split())
    font = _font(font_px)
    if font.getlength(text) <= room_px:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: (kept + 1) // 2]}...{text[len(text) - kept // 2 :]}"
        if font.getlength(short) <= room_px:
            return short
    return "..."

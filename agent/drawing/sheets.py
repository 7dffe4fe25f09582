"""Sheets of outlines to be judged: the whole image once per answer, and crops.

Models see them, so they are no larger than what a model sees as it is. The same input gives the
same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from agent.drawing.canvas import resized, to_png, trace_mask
from agent.drawing.colours import BACKGROUND, Colour, colour_of
from agent.drawing.contours import paint
from agent.drawing.labels import Lettering, Letters
from agent.drawing.layout import Grid, Size, best_grid, square_region
from agent.drawing.overlay import NO_MASK, LabelledMask
from segmenter.contract import BinaryMask, Box, RgbImage
from segmenter.masks.geometry import mask_box

# More panels than these cannot be told apart on 1024 pixels.
MAX_PANELS = 6
CROP_FACTOR = 1.6
# Smaller crops would show blur only.
MIN_CROP_PX = 48
GAP_PX = 8
HEADER_PX = 40
PAIR_GAP_PX = 4
# A label of a panel ("M12") has room above the narrowest tile.
MIN_TILE_PX = 120


@dataclass(frozen=True)
class Panel:
    """One tile of a sheet: all masks of one answer, in one colour, under one label."""

    label: str
    masks: tuple[BinaryMask, ...]
    box: Box | None = None


def draw_sheet(image: RgbImage, panels: Sequence[Panel]) -> bytes:
    """Draw the whole image once per panel, with its masks' contours and a big label above.

    Args:
        image: uint8, shape (H, W, 3), RGB.
        panels: at most `MAX_PANELS` are drawn. A panel without a mask says so.
    """
    shown = panels[:MAX_PANELS]
    shape = Size(image.shape[1], image.shape[0])
    grid = _grid(len(shown), shape)
    sheet = _Sheet(grid)
    for index, panel in enumerate(shown):
        drawn = _outlined(image, panel.masks, grid.tile, colour_of(index))
        empty = not any(mask.any() for mask in panel.masks)
        sheet.put(index, drawn, panel.label, remark=NO_MASK if empty else "")
        scale = grid.tile.width / shape.width, grid.tile.height / shape.height
        sheet.frame(index, panel.box, scale)
    return to_png(sheet.picture)


def draw_crops(image: RgbImage, masks: Sequence[LabelledMask]) -> bytes:
    """Draw per mask a raw crop beside the same crop with its contour.

    Args:
        image: uint8, shape (H, W, 3), RGB.
        masks: at most `MAX_PANELS` are drawn. The crop of an empty mask is the whole image.
    """
    shown = masks[:MAX_PANELS]
    grid = _grid(len(shown), Size(2, 1))
    sheet = _Sheet(grid)
    for index, item in enumerate(shown):
        pair = _crop_pair(image, item.mask, grid.tile, colour_of(index))
        sheet.put(index, pair, item.label, remark="left: as it is, right: outlined")
    return to_png(sheet.picture)


def _grid(count: int, shape: Size) -> Grid:
    return best_grid(
        max(count, 1), shape, header_px=HEADER_PX, gap_px=GAP_PX, least_width_px=MIN_TILE_PX
    )


def _crop_pair(image: RgbImage, mask: BinaryMask, tile: Size, colour: Colour) -> RgbImage:
    height, width = mask.shape
    box = mask_box(mask) or Box(x0=0, y0=0, x1=width, y1=height)
    region = square_region(box, factor=CROP_FACTOR, least_px=MIN_CROP_PX, frame=Size(width, height))
    rows, columns = slice(region.top, region.bottom), slice(region.left, region.right)
    room = Size((tile.width - PAIR_GAP_PX) // 2, tile.height)
    scale = min(room.width / region.width, room.height / region.height)
    size = Size(max(1, int(region.width * scale)), max(1, int(region.height * scale)))
    raw = resized(image[rows, columns], size)
    outlined = _outlined(image[rows, columns], (mask[rows, columns],), size, colour)
    pair = np.full((tile.height, tile.width, 3), BACKGROUND, dtype=np.uint8)
    pair[: size.height, : size.width] = raw
    start = size.width + PAIR_GAP_PX
    pair[: size.height, start : start + size.width] = outlined
    return pair


class _Sheet:
    """A grid of pictures, each under a header with its label."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        width = grid.columns * (grid.pitch + GAP_PX) + GAP_PX
        height = grid.rows * (grid.tile.height + HEADER_PX + GAP_PX) + GAP_PX
        self.picture = Image.new("RGB", (width, height), BACKGROUND)
        self._lettering = Lettering(self.picture, Letters(HEADER_PX * 2 // 3, small_share=0.5))

    def put(self, index: int, pixels: RgbImage, label: str, *, remark: str) -> None:
        left, top = self._corner(index)
        self.picture.paste(Image.fromarray(pixels), (left, top + HEADER_PX))
        colour = colour_of(index)
        self._lettering.header((left, top), label, remark, colour, self._grid.pitch)

    def frame(self, index: int, box: Box | None, scale: tuple[float, float]) -> None:
        left, top = self._corner(index)
        self._lettering.frame(box, scale, colour_of(index), origin=(left, top + HEADER_PX))

    def _corner(self, index: int) -> tuple[int, int]:
        row, column = divmod(index, self._grid.columns)
        left = GAP_PX + column * (self._grid.pitch + GAP_PX)
        return left, GAP_PX + row * (self._grid.tile.height + HEADER_PX + GAP_PX)


def _outlined(image: RgbImage, masks: Sequence[BinaryMask], size: Size, colour: Colour) -> RgbImage:
    """Scale the image and draw the masks' contours in one colour, without fill."""
    strokes = [trace_mask(mask, size) for mask in masks]
    drawn = [(stroke, colour) for stroke in strokes if stroke is not None]
    return paint(resized(image, size), drawn, fill_alpha=0.0)

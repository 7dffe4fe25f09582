"""Draws masks for people and models: contours, label plates, sheets, crops. Sole owner of drawing.

Contours, because fills hide the texture and the low-contrast edges that are to be judged (Set-of-
Mark, 2310.11441; fine-grained visual prompting, 2306.04356). The same input gives the same bytes.
Everything leaves as PNG rendered from pixels, so no metadata of an upload can travel along.
"""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from agent.drawing.contours import OVERSAMPLING, Colour, Stroke, canvas_area, paint, trace
from agent.drawing.labels import Lettering
from agent.drawing.layout import Grid, Size, best_grid, fit, square_region
from segmenter.contract import BinaryMask, Box, RgbImage
from segmenter.masks.geometry import mask_box

# Saturated, and far from each other and from flesh, bone and stain.
COLOURS: tuple[tuple[str, Colour], ...] = (
    ("cyan", (0, 225, 255)),
    ("yellow", (255, 222, 0)),
    ("magenta", (255, 70, 255)),
    ("green", (90, 255, 60)),
    ("orange", (255, 140, 0)),
    ("blue", (80, 150, 255)),
    ("red", (255, 75, 75)),
    ("mint", (120, 255, 200)),
    ("violet", (185, 130, 255)),
    ("white", (255, 255, 255)),
)
BACKGROUND: Colour = (17, 20, 26)

# More panels than these cannot be told apart on 1024 pixels.
MAX_PANELS = 6
# More plates than these hide the picture; the other masks keep their contour.
MAX_PLATES = 12
FILL_ALPHA = 0.10
CROP_FACTOR = 1.6
# Smaller crops would show blur only.
MIN_CROP_PX = 48
GAP_PX = 8
HEADER_PX = 40
PAIR_GAP_PX = 4
NO_MASK = "no mask"


@dataclass(frozen=True)
class LabelledMask:
    """A mask with its name on the drawing.

    Attributes:
        mask: bool, shape (H, W) of the image.
        box: the prompt's box, drawn as a thin dashed frame, or None.
    """

    label: str
    mask: BinaryMask
    box: Box | None = None


@dataclass(frozen=True)
class Panel:
    """One tile of a sheet: all masks of one answer, in one colour, under one label."""

    label: str
    masks: tuple[BinaryMask, ...]
    box: Box | None = None


def colour_name(index: int) -> str:
    """Name the colour of the `index`-th mask, panel or crop, for the text beside a drawing."""
    return COLOURS[index % len(COLOURS)][0]


def png_size(png: bytes) -> Size:
    """Read width and height from the header of a PNG."""
    return Size(*struct.unpack(">II", png[16:24]))


def render_clean(image: RgbImage) -> bytes:
    """Render the image alone, at the size that overlays have.

    Args:
        image: uint8, shape (H, W, 3), RGB.
    """
    return _to_png(Image.fromarray(_resized(image, _canvas_size(image))))


def draw_overlay(image: RgbImage, masks: Sequence[LabelledMask]) -> bytes:
    """Draw masks on the image: contour, faint fill, a label plate beside each.

    Args:
        image: uint8, shape (H, W, 3), RGB.
        masks: empty ones are left out; if none remains a plate says so.
    """
    size = _canvas_size(image)
    traced = [(item, _stroke(item.mask, size)) for item in masks]
    shown = [(item, stroke) for item, stroke in traced if stroke is not None]
    strokes = [(stroke, _colour(index)) for index, (_, stroke) in enumerate(shown)]
    picture = Image.fromarray(paint(_resized(image, size), strokes, fill_alpha=FILL_ALPHA))
    lettering = Lettering(picture, max(size) // 36)
    scale = size.width / image.shape[1]
    for index, (item, _) in enumerate(shown):
        lettering.frame(item.box, scale, _colour(index))
    labels = [item.label for item, _ in shown]
    lettering.name(labels[:MAX_PLATES], strokes, note=_note(len(labels)))
    return _to_png(picture)


def _note(count: int) -> str:
    if count == 0:
        return NO_MASK
    return f"and {count - MAX_PLATES} more" if count > MAX_PLATES else ""


def draw_sheet(image: RgbImage, panels: Sequence[Panel]) -> bytes:
    """Draw the whole image once per panel, with its masks' contours and a big label above.

    Args:
        image: uint8, shape (H, W, 3), RGB.
        panels: at most `MAX_PANELS` are drawn. A panel without a mask says so.
    """
    shown = panels[:MAX_PANELS]
    shape = Size(image.shape[1], image.shape[0])
    grid = best_grid(max(len(shown), 1), shape, header_px=HEADER_PX, gap_px=GAP_PX)
    sheet = _Sheet(grid)
    for index, panel in enumerate(shown):
        drawn = _outlined(image, panel.masks, grid.tile, _colour(index))
        empty = not any(mask.any() for mask in panel.masks)
        sheet.put(index, drawn, panel.label, remark=NO_MASK if empty else "")
        sheet.frame(index, panel.box, grid.tile.width / shape.width)
    return _to_png(sheet.picture)


def draw_crops(image: RgbImage, masks: Sequence[LabelledMask]) -> bytes:
    """Draw per mask a raw crop beside the same crop with its contour.

    Args:
        image: uint8, shape (H, W, 3), RGB.
        masks: at most `MAX_PANELS` are drawn. The crop of an empty mask is the whole image.
    """
    shown = masks[:MAX_PANELS]
    grid = best_grid(max(len(shown), 1), Size(2, 1), header_px=HEADER_PX, gap_px=GAP_PX)
    sheet = _Sheet(grid)
    for index, item in enumerate(shown):
        pair = _crop_pair(image, item.mask, grid.tile, _colour(index))
        sheet.put(index, pair, item.label, remark="left: as it is, right: outlined")
    return _to_png(sheet.picture)


def _crop_pair(image: RgbImage, mask: BinaryMask, tile: Size, colour: Colour) -> RgbImage:
    height, width = mask.shape
    box = mask_box(mask) or Box(x0=0, y0=0, x1=width, y1=height)
    region = square_region(box, factor=CROP_FACTOR, least_px=MIN_CROP_PX, frame=Size(width, height))
    rows, columns = slice(region.top, region.bottom), slice(region.left, region.right)
    room = Size((tile.width - PAIR_GAP_PX) // 2, tile.height)
    scale = min(room.width / region.width, room.height / region.height)
    size = Size(max(1, int(region.width * scale)), max(1, int(region.height * scale)))
    raw = _resized(image[rows, columns], size)
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
        width = grid.columns * (grid.tile.width + GAP_PX) + GAP_PX
        height = grid.rows * (grid.tile.height + HEADER_PX + GAP_PX) + GAP_PX
        self.picture = Image.new("RGB", (width, height), BACKGROUND)
        self._lettering = Lettering(self.picture, HEADER_PX * 2 // 3)

    def put(self, index: int, pixels: RgbImage, label: str, *, remark: str) -> None:
        left, top = self._corner(index)
        self.picture.paste(Image.fromarray(pixels), (left, top + HEADER_PX))
        self._lettering.header((left, top), label, remark, _colour(index))

    def frame(self, index: int, box: Box | None, scale: float) -> None:
        left, top = self._corner(index)
        self._lettering.frame(box, scale, _colour(index), origin=(left, top + HEADER_PX))

    def _corner(self, index: int) -> tuple[int, int]:
        row, column = divmod(index, self._grid.columns)
        tile = self._grid.tile
        left = GAP_PX + column * (tile.width + GAP_PX)
        return left, GAP_PX + row * (tile.height + HEADER_PX + GAP_PX)


def _outlined(image: RgbImage, masks: Sequence[BinaryMask], size: Size, colour: Colour) -> RgbImage:
    """Scale the image and draw the masks' contours in one colour, without fill."""
    strokes = [_stroke(mask, size) for mask in masks]
    drawn = [(stroke, colour) for stroke in strokes if stroke is not None]
    return paint(_resized(image, size), drawn, fill_alpha=0.0)


def _stroke(mask: BinaryMask, size: Size) -> Stroke | None:
    """Trace a mask on a canvas of `size`, looking only around its box; None if it is empty."""
    box = mask_box(mask)
    if box is None:
        return None
    height, width = mask.shape
    area = canvas_area(box, Size(width, height), size)
    across, down = width / size.width, height / size.height
    source = (area.left * across, area.top * down, area.right * across, area.bottom * down)
    fine = ((area.right - area.left) * OVERSAMPLING, (area.bottom - area.top) * OVERSAMPLING)
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    return trace(area, np.asarray(picture.resize(fine, Image.Resampling.BICUBIC, box=source)))


def _canvas_size(image: RgbImage) -> Size:
    return fit(image.shape[1], image.shape[0])


def _colour(index: int) -> Colour:
    return COLOURS[index % len(COLOURS)][1]


def _resized(image: RgbImage, size: Size) -> RgbImage:
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS), dtype=np.uint8)


def _to_png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()

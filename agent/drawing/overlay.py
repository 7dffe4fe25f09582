"""Draws masks on an image for people: contours, label plates, a scale bar.

Contours, because fills hide the texture and the low-contrast edges that are to be judged (Set-of-
Mark, 2310.11441; fine-grained visual prompting, 2306.04356). The same input gives the same bytes.
Everything leaves as PNG rendered from pixels, so no metadata of an upload can travel along.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from agent.drawing.canvas import resized, to_png, trace_mask
from agent.drawing.colours import BACKGROUND, INK, PAPER, Colour, colour_of
from agent.drawing.contours import Stroke, covered, paint
from agent.drawing.dashes import Line
from agent.drawing.labels import Lettering, Letters, plain
from agent.drawing.layout import MAX_SIDE_PX, Size, fit, fit_for_people
from agent.drawing.placing import Corner, Margin, arrange
from agent.drawing.scale_bar import ScaleBar, scale_bar
from segmenter.contract import BinaryMask, Box, RgbImage, Spacing

# More plates than these hide the picture; the other masks keep their contour.
MAX_PLATES = 12
FILL_ALPHA = 0.10
# Letters of a drawing of the usual size are this share of its longer side.
FONT_SHARE = 1 / 36
NO_MASK = "no mask"


@dataclass(frozen=True)
class LabelledMask:
    """A mask with its name on the drawing.

    Attributes:
        mask: bool, shape (H, W) of the image.
        box: the prompt's box, drawn as a thin dashed frame, or None.
        detail: a smaller line below the label: state and measure, for example.
        line: solid for what stands, with gaps for what is in doubt.
        colour: its index in the list of colours; None for the mask's place among those drawn.
    """

    label: str
    mask: BinaryMask
    box: Box | None = None
    detail: str = ""
    line: Line = "solid"
    colour: int | None = None


class _Drawn(NamedTuple):
    """A mask as it is drawn."""

    item: LabelledMask
    stroke: Stroke
    colour: Colour


def png_size(png: bytes) -> Size:
    """Read width and height from the header of a PNG."""
    return Size(*struct.unpack(">II", png[16:24]))


def render_clean(image: RgbImage) -> bytes:
    """Render the image alone, at a size that models see as it is.

    Args:
        image: uint8, shape (H, W, 3), RGB.
    """
    size = fit(image.shape[1], image.shape[0])
    return to_png(Image.fromarray(resized(image, size)))


def draw_overlay(
    image: RgbImage,
    masks: Sequence[LabelledMask],
    *,
    labels: bool = True,
    spacing: Spacing | None = None,
) -> bytes:
    """Draw masks on the image: contour, faint fill, a label plate beside each.

    Args:
        image: uint8, shape (H, W, 3), RGB.
        masks: empty ones are left out; if none remains a plate says so.
        labels: whether to write them; the contours stay.
        spacing: size of a pixel of the image, for a scale bar; None draws none.
    """
    size = fit_for_people(image.shape[1], image.shape[0])
    font_px = max(1, int(min(max(size), MAX_SIDE_PX) * FONT_SHARE))
    return to_png(compose(image, masks, size=size, font_px=font_px, labels=labels, spacing=spacing))


def compose(
    image: RgbImage,
    masks: Sequence[LabelledMask],
    *,
    size: Size,
    font_px: int,
    labels: bool = True,
    spacing: Spacing | None = None,
    box: Box | None = None,
) -> Image.Image:
    """Draw an image with masks at a size; a strip beside or below it holds labels without room.

    `box` is drawn as a dashed frame of no mask's colour; the rest is as in `draw_overlay`.
    """
    traced = [(item, trace_mask(item.mask, size, item.line)) for item in masks]
    kept = [(item, stroke) for item, stroke in traced if stroke is not None]
    drawn = [
        _Drawn(item, stroke, colour_of(place if item.colour is None else item.colour))
        for place, (item, stroke) in enumerate(kept)
    ]
    strokes = [(each.stroke, each.colour) for each in drawn]
    painted = paint(resized(image, size), strokes, fill_alpha=FILL_ALPHA)
    picture, letters = Image.fromarray(painted), Letters(font_px)
    scale = size.width / image.shape[1], size.height / image.shape[0]
    pen = Lettering(picture, letters)
    pen.frame(box, scale, PAPER)
    for each in drawn:
        pen.frame(each.item.box, scale, each.colour)
    bar = None
    if spacing is not None:
        bar = scale_bar(spacing, Size(image.shape[1], image.shape[0]), size)
    return _lettered(picture, drawn, letters, labels=labels, bar=bar)


def _lettered(
    picture: Image.Image,
    drawn: Sequence[_Drawn],
    letters: Letters,
    *,
    labels: bool,
    bar: ScaleBar | None,
) -> Image.Image:
    """Write what belongs on a painted picture, or beside it."""
    named = [(each, plain(each.item.label), plain(each.item.detail)) for each in drawn]
    named = named[: MAX_PLATES if labels else 0]
    note = _note(len(drawn)) if labels else ""
    sizes = [letters.plate_size(text, detail) for _, text, detail in named]
    corners = [Corner(letters.plate_size(note), bottom=False)] if note else []
    corners += [Corner(letters.bar_size(bar), bottom=True)] if bar else []
    occupied = covered(Size(*picture.size), [each.stroke for each in drawn])
    places = arrange(occupied, [each.stroke.box() for each, _, _ in named], sizes, corners)
    sheet = _extended(picture, places.margin)
    pen = Lettering(sheet, letters)
    for (each, _, _), plate, corner in zip(named, sizes, places.plates, strict=True):
        pen.leader(corner, plate, each.stroke, each.colour)
    for (each, text, detail), corner in zip(named, places.plates, strict=True):
        pen.plate(corner, text, detail, fill=each.colour, ink=INK)
    if note:
        pen.plate(places.corners[0], note)
    if bar:
        pen.bar(places.corners[-1], bar)
    return sheet


def _extended(picture: Image.Image, margin: Margin) -> Image.Image:
    size = picture.width + margin.right, picture.height + margin.below
    sheet = Image.new("RGB", size, BACKGROUND)
    sheet.paste(picture, (0, 0))
    return sheet


def _note(count: int) -> str:
    if count == 0:
        return NO_MASK
    return f"and {count - MAX_PLATES} more" if count > MAX_PLATES else ""

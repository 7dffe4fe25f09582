"""Letters on a drawing: label plates with leaders, headers, notes and dashed frames."""

import itertools
import math
import unicodedata
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from agent.drawing.contours import HALO, Colour, Stroke, covered
from agent.drawing.layout import PLATE_GAP_PX, Size, place_plates
from segmenter.contract import Box

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Point = tuple[float, float]

INK: Colour = (10, 12, 16)
PAPER: Colour = (236, 240, 246)
SLATE: Colour = (44, 50, 60)
MAX_LABEL_CHARS = 32
DASH_PX = 7


class Lettering:
    """Writes on one picture in one font size."""

    def __init__(self, picture: Image.Image, font_px: int) -> None:
        self._picture = picture
        self._draw = ImageDraw.Draw(picture)
        self._font: Font = ImageFont.load_default(font_px)
        self._small: Font = ImageFont.load_default(max(12, font_px // 2))
        self._pad = max(4, font_px // 4)

    def name(
        self, labels: Sequence[str], strokes: Sequence[tuple[Stroke, Colour]], *, note: str = ""
    ) -> None:
        """Write each label on a plate in its mask's colour, off every mask of the picture.

        Masks beyond the labels get no plate; `note` goes to the left upper corner.
        """
        texts = [plain(label) for label in labels]
        named = strokes[: len(texts)]
        occupied = covered(Size(*self._picture.size), [stroke for stroke, _ in strokes])
        if note:
            taken = self._note(note)
            occupied[: taken.height, : taken.width] = True
        sizes = [self._plate_size(text) for text in texts]
        places = place_plates(occupied, [stroke.box() for stroke, _ in named], sizes)
        for place, size, (stroke, colour) in zip(places, sizes, named, strict=True):
            self._leader(place, size, stroke, colour)
        for text, place, (_, colour) in zip(texts, places, named, strict=True):
            self._plate(place, text, fill=colour, ink=INK)

    def header(self, corner: tuple[int, int], label: str, remark: str, colour: Colour) -> None:
        """Write a label on a plate at a tile's left upper corner, and a remark beside it."""
        text = plain(label)
        self._plate(corner, text, fill=colour, ink=INK)
        size = self._plate_size(text)
        start = (corner[0] + size.width + 2 * self._pad, corner[1] + size.height / 2)
        self._draw.text(start, plain(remark), fill=PAPER, font=self._small, anchor="lm")

    def _note(self, text: str) -> Size:
        """Write on a neutral plate in the left upper corner; return the room it takes there."""
        self._plate((PLATE_GAP_PX, PLATE_GAP_PX), plain(text), fill=SLATE, ink=PAPER)
        size = self._plate_size(plain(text))
        return Size(PLATE_GAP_PX + size.width, PLATE_GAP_PX + size.height)

    def frame(
        self, box: Box | None, scale: float, colour: Colour, *, origin: tuple[int, int] = (0, 0)
    ) -> None:
        """Draw a box of the image as a dashed frame, `scale` canvas pixels to one of the image."""
        if box is None:
            return
        left, right = (origin[0] + side * scale for side in (box.x0, box.x1))
        top, bottom = (origin[1] + side * scale for side in (box.y0, box.y1))
        corners = ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))
        for start, end in itertools.pairwise(corners):
            self._dashed(start, end, colour)

    def _plate_size(self, text: str) -> Size:
        left, _, right, _ = self._font.getbbox(text)
        # Ascent and descent of the font, not of the word: plates of one picture are equally high.
        _, top, _, bottom = self._font.getbbox("Mg")
        width, height = math.ceil(right - left), math.ceil(bottom - top)
        return Size(width + 2 * self._pad, height + 2 * self._pad)

    def _plate(self, corner: tuple[int, int], text: str, *, fill: Colour, ink: Colour) -> None:
        size = self._plate_size(text)
        left, top = corner
        edges = (left, top, left + size.width - 1, top + size.height - 1)
        self._draw.rounded_rectangle(edges, radius=self._pad, fill=fill, outline=HALO)
        middle = (left + self._pad, top + size.height / 2)
        self._draw.text(middle, text, fill=ink, font=self._font, anchor="lm")

    def _leader(self, corner: tuple[int, int], size: Size, stroke: Stroke, colour: Colour) -> None:
        """Join a plate to the nearest point of its contour, unless it touches nearly."""
        centre = (corner[0] + size.width / 2, corner[1] + size.height / 2)
        end = stroke.nearest(*centre)
        start = (
            min(max(end[0], corner[0] + self._pad), corner[0] + size.width - self._pad),
            min(max(end[1], corner[1] + self._pad), corner[1] + size.height - self._pad),
        )
        self._draw.line((start, end), fill=HALO, width=4)
        self._draw.line((start, end), fill=colour, width=2)

    def _dashed(self, start: Point, end: Point, colour: Colour) -> None:
        length = math.dist(start, end)
        self._draw.line((start, end), fill=HALO, width=1)
        for step in range(0, math.ceil(length), 2 * DASH_PX):
            near, far = step / length, min(step + DASH_PX, length) / length
            dash = (_between(start, end, near), _between(start, end, far))
            self._draw.line(dash, fill=colour, width=1)


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def plain(text: str) -> str:
    """Make a label drawable: one line, no control characters or lone surrogates, capped."""
    kept = "".join(
        " " if unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} else letter
        for letter in text
    )
    line = " ".join(kept.split())
    return line if len(line) <= MAX_LABEL_CHARS else line[: MAX_LABEL_CHARS - 3] + "..."

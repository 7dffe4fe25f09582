"""Letters on a drawing: label plates with leaders, headers, notes, scale bars, dashed frames."""

import itertools
import math
import unicodedata

from PIL import Image, ImageDraw, ImageFont

from agent.drawing.colours import HALO, INK, PAPER, SLATE, Colour
from agent.drawing.contours import Stroke
from agent.drawing.layout import Size
from agent.drawing.scale_bar import ScaleBar
from segmenter.contract import Box

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Point = tuple[float, float]

MAX_LABEL_CHARS = 32
CUT = "..."
MIN_FONT_PX = 12
DASH_PX = 7
BAR_PX = 4


class Letters:
    """Fonts of one size and a smaller one, and how much room words in them take."""

    def __init__(self, font_px: int, *, small_share: float = 0.75) -> None:
        self.main: Font = ImageFont.load_default(font_px)
        self.small: Font = ImageFont.load_default(max(MIN_FONT_PX, int(font_px * small_share)))
        self.pad = max(4, font_px // 4)
        self.line_px = line_height(self.main) + self.pad
        self.lines_px = self.line_px + line_height(self.small)

    def plate_size(self, text: str, detail: str = "") -> Size:
        """Return the size of a plate with a line of text, and a smaller one below it."""
        width = max(_width(text, self.main), _width(detail, self.small))
        height = line_height(self.main) + (line_height(self.small) if detail else 0)
        return Size(width + 2 * self.pad, height + 2 * self.pad)

    def bar_size(self, bar: ScaleBar) -> Size:
        """Return the size of the plate of a scale bar."""
        beside = 0 if bar.down_px is None else BAR_PX + self.pad
        width = max(bar.across_px, beside + _width(bar.text, self.small))
        height = max(line_height(self.small) + self.pad + BAR_PX, bar.down_px or 0)
        return Size(width + 2 * self.pad, height + 2 * self.pad)

    def cut(self, text: str, width: float, font: Font) -> str:
        """Shorten text to at most so many pixels."""
        if _width(text, font) <= width:
            return text
        while text and _width(text + CUT, font) > width:
            text = text[:-1]
        return text + CUT if text else ""

    def wrapped(self, text: str, width: float) -> list[str]:
        """Break text into lines of at most so many pixels; what is longer than one is cut."""
        lines: list[str] = []
        for word in text.split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and _width(longer, self.main) <= width:
                lines[-1] = longer
            else:
                lines.append(self.cut(word, width, self.main))
        return lines


class Lettering:
    """Writes on one picture."""

    def __init__(self, picture: Image.Image, letters: Letters) -> None:
        self._draw = ImageDraw.Draw(picture)
        self._letters = letters
        self._pad = letters.pad

    def plate(
        self,
        corner: tuple[int, int],
        text: str,
        detail: str = "",
        *,
        fill: Colour = SLATE,
        ink: Colour = PAPER,
    ) -> None:
        """Write one or two lines on a plate."""
        self._ground(corner, self._letters.plate_size(text, detail), fill)
        left, top = corner[0] + self._pad, corner[1] + self._pad
        first = line_height(self._letters.main)
        self._write((left, top + first / 2), text, self._letters.main, ink)
        middle = top + first + line_height(self._letters.small) / 2
        self._write((left, middle), detail, self._letters.small, ink)

    def header(
        self, corner: tuple[int, int], label: str, remark: str, colour: Colour, width: int
    ) -> None:
        """Write a label on a plate at a tile's left upper corner, and a remark beside it.

        Both are cut to the tile's `width` in pixels.
        """
        letters = self._letters
        text = letters.cut(plain(label), width - 2 * self._pad, letters.main)
        self.plate(corner, text, fill=colour, ink=INK)
        size = letters.plate_size(text)
        left = size.width + 2 * self._pad
        words = letters.cut(plain(remark), width - left, letters.small)
        self._write((corner[0] + left, corner[1] + size.height / 2), words, letters.small, PAPER)

    def line(self, corner: tuple[int, int], text: str, detail: str = "", *, width: int = 0) -> None:
        """Write a line on the ground, and a smaller one below it, cut to `width` if it is given."""
        letters, (left, top) = self._letters, corner
        lines = ((text, letters.main, 0), (detail, letters.small, letters.line_px))
        for words, font, below in lines:
            shown = letters.cut(words, width, font) if width else words
            self._write((left, top + below + line_height(font) / 2), shown, font, PAPER)

    def bar(self, corner: tuple[int, int], bar: ScaleBar) -> None:
        """Draw a scale bar with its length above it; with an upright arm for pixels not square."""
        size = self._letters.bar_size(bar)
        self._ground(corner, size, SLATE)
        left, bottom = corner[0] + self._pad, corner[1] + size.height - self._pad
        across = (left, bottom - BAR_PX, left + bar.across_px - 1, bottom - 1)
        self._draw.rectangle(across, fill=PAPER)
        beside = 0
        if bar.down_px is not None:
            upright = (left, bottom - bar.down_px, left + BAR_PX - 1, bottom - 1)
            self._draw.rectangle(upright, fill=PAPER)
            beside = BAR_PX + self._pad
        small = self._letters.small
        middle = bottom - BAR_PX - self._pad - line_height(small) / 2
        self._write((left + beside, middle), bar.text, small, PAPER)

    def frame(
        self,
        box: Box | None,
        scale: tuple[float, float],
        colour: Colour,
        *,
        origin: tuple[int, int] = (0, 0),
    ) -> None:
        """Draw a box of the image as a dashed frame; `scale` is canvas pixels to one, x and y."""
        if box is None:
            return
        left, right = (origin[0] + side * scale[0] for side in (box.x0, box.x1))
        top, bottom = (origin[1] + side * scale[1] for side in (box.y0, box.y1))
        corners = ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))
        for start, end in itertools.pairwise(corners):
            self._dashed(start, end, colour)

    def leader(self, corner: tuple[int, int], size: Size, stroke: Stroke, colour: Colour) -> None:
        """Join a plate to the nearest point of its contour."""
        centre = (corner[0] + size.width / 2, corner[1] + size.height / 2)
        end = stroke.nearest(*centre)
        start = (
            min(max(end[0], corner[0] + self._pad), corner[0] + size.width - self._pad),
            min(max(end[1], corner[1] + self._pad), corner[1] + size.height - self._pad),
        )
        self._draw.line((start, end), fill=HALO, width=4)
        self._draw.line((start, end), fill=colour, width=2)

    def _ground(self, corner: tuple[int, int], size: Size, fill: Colour) -> None:
        left, top = corner
        edges = (left, top, left + size.width - 1, top + size.height - 1)
        self._draw.rounded_rectangle(edges, radius=self._pad, fill=fill, outline=HALO)

    def _write(self, middle: Point, text: str, font: Font, ink: Colour) -> None:
        if text:
            self._draw.text(middle, text, fill=ink, font=font, anchor="lm")

    def _dashed(self, start: Point, end: Point, colour: Colour) -> None:
        length = math.dist(start, end)
        self._draw.line((start, end), fill=HALO, width=1)
        for step in range(0, math.ceil(length), 2 * DASH_PX):
            near, far = step / length, min(step + DASH_PX, length) / length
            dash = (_between(start, end, near), _between(start, end, far))
            self._draw.line(dash, fill=colour, width=1)


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _width(text: str, font: Font) -> int:
    left, _, right, _ = font.getbbox(text)
    return math.ceil(right - left)


def line_height(font: Font) -> int:
    """Return the height of a line of the font, whatever its words: plates are equally high."""
    _, top, _, bottom = font.getbbox("Mg")
    return math.ceil(bottom - top)


def plain(text: str, limit: int = MAX_LABEL_CHARS) -> str:
    """Make a label drawable: one line of ASCII, of at most `limit` letters.

    The font has no other letters. Marks above letters go; what no letter stands for is a "?".
    """
    plainer = unicodedata.normalize("NFKD", text)
    kept = "".join(
        " " if unicodedata.category(letter) in {"Cc", "Zl", "Zp"} else letter
        for letter in plainer
        if unicodedata.category(letter) != "Mn"
    )
    line = " ".join(kept.encode("ascii", "replace").decode("ascii").split())
    return line if len(line) <= limit else line[: limit - len(CUT)] + CUT

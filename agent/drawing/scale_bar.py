"""How long a scale bar is: a round number of millimetres, in pixels of the drawing. Pure."""

import math
from typing import NamedTuple

from agent.drawing.layout import Size
from segmenter.contract import Spacing

# Of the drawing's width (or height): long enough to measure by, short enough to fit a corner.
MAX_SHARE = 0.25
# A narrow drawing has room beside it.
MIN_ROOM_PX = 64
# Arms that differ by less are one: the size of a drawing is a whole number of pixels.
SAME_WITHIN_PX = 1.0


class ScaleBar(NamedTuple):
    """A length on the drawing.

    Attributes:
        mm: 1, 2 or 5 times a power of ten.
        across_px: the same on the drawing, from left to right.
        down_px: the same from top to bottom where pixels are not square; else None.
    """

    mm: float
    across_px: int
    down_px: int | None

    @property
    def text(self) -> str:
        """Return the length in words."""
        return f"{self.mm:g} mm"


def scale_bar(spacing: Spacing, image: Size, canvas: Size) -> ScaleBar:
    """Return the longest round bar that fits a drawing.

    Args:
        spacing: size of a pixel of the image.
        image: its size in pixels.
        canvas: the size at which it is drawn; its pixels are not made square.
    """
    across = canvas.width / image.width / spacing.column_mm
    down = canvas.height / image.height / spacing.row_mm
    wide = max(MAX_SHARE * canvas.width, MIN_ROOM_PX) / across
    high = max(MAX_SHARE * canvas.height, MIN_ROOM_PX) / down
    for room in (wide, min(wide, high)):
        length = round_length(room)
        if abs(length * across - length * down) < SAME_WITHIN_PX:
            return ScaleBar(length, round(length * across), None)
    return ScaleBar(length, round(length * across), round(length * down))


def round_length(limit: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not above a limit > 0."""
    power = 10.0 ** math.floor(math.log10(limit))
    # Rounding errors of the power must not cost a step.
    return max(step * power for step in (0.5, 1, 2, 5) if step * power <= limit * (1 + 1e-9))

"""Contours as arrays: tracing a mask's edge and painting it on a picture. Pure, no drawing library.

A contour is two pixels wide, centred on the mask's edge, with a dark halo of one pixel on either
side, so that it is seen on any ground and hides as little of the edge as it can.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.drawing.colours import HALO, Colour
from agent.drawing.dashes import Line, Pattern, broken_edge
from agent.drawing.layout import Region, Size
from segmenter.contract import BinaryMask, Box, RgbImage

Alpha = npt.NDArray[np.float32]

# Contours are found at twice the size of the canvas and averaged down: smooth edges.
OVERSAMPLING = 2
# Canvas pixels kept around a mask's box: the halo must fit in.
MARGIN_PX = 4
HALO_ALPHA = 0.7
# In pixels of the finer grid. A line and its halo reach two canvas pixels beyond a dash.
PATTERNS: dict[Line, Pattern] = {"dashed": Pattern(52, 0.58), "dotted": Pattern(28, 0.3)}

_CROSS = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))
_DISC = tuple((y, x) for y in range(-2, 3) for x in range(-2, 3) if x * x + y * y <= 5)


@dataclass(frozen=True)
class Stroke:
    """A traced mask: coverage of its line, halo and inside, float32 in [0, 1], shape of `area`."""

    area: Region
    line: Alpha
    halo: Alpha
    inside: Alpha

    def box(self) -> Box:
        """Return the rectangle of canvas pixels that the mask's line covers."""
        ys, xs = np.nonzero(self.line > 0)
        return Box(
            x0=float(self.area.left + xs.min()),
            y0=float(self.area.top + ys.min()),
            x1=float(self.area.left + xs.max() + 1),
            y1=float(self.area.top + ys.max() + 1),
        )

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """Return the point of the line nearest to a point, in canvas pixels."""
        ys, xs = np.nonzero(self.line > 0.5)
        if ys.size == 0:
            ys, xs = np.nonzero(self.line > 0)
        away = (xs + self.area.left - x) ** 2 + (ys + self.area.top - y) ** 2
        index = int(np.argmin(away))
        return float(xs[index] + self.area.left), float(ys[index] + self.area.top)


def canvas_area(box: Box, image: Size, canvas: Size) -> Region:
    """Return the canvas pixels that a box of the image and its margin fall on."""
    across, down = canvas.width / image.width, canvas.height / image.height
    return Region(
        max(int(box.x0 * across) - MARGIN_PX, 0),
        max(int(box.y0 * down) - MARGIN_PX, 0),
        min(int(box.x1 * across) + 1 + MARGIN_PX, canvas.width),
        min(int(box.y1 * down) + 1 + MARGIN_PX, canvas.height),
    )


def trace(area: Region, soft: npt.NDArray[np.uint8], line: Line = "solid") -> Stroke:
    """Find line, halo and inside of a mask.

    Args:
        area: where on the canvas the mask lies.
        soft: uint8, the mask scaled to `OVERSAMPLING` times the area, 255 inside.
        line: solid, or with gaps.
    """
    solid = soft >= 128
    # A lesion of one pixel must not vanish from a picture that is scaled down.
    solid = solid if solid.any() else soft > 0
    drawn = _grown(_edge(solid, line), _CROSS)
    halo = _grown(drawn, _DISC)
    return Stroke(area, _averaged(drawn), _averaged(halo), _averaged(solid))


def _edge(solid: BinaryMask, line: Line) -> BinaryMask:
    if line != "solid":
        return broken_edge(solid, PATTERNS[line])
    return (_grown(solid, _CROSS) & ~solid) | (solid & _grown(~solid, _CROSS, outside=True))


def _grown(
    mask: BinaryMask, offsets: Sequence[tuple[int, int]], *, outside: bool = False
) -> BinaryMask:
    """Dilate a mask; `outside` is what lies beyond the frame."""
    height, width = mask.shape
    padded = np.pad(mask, 2, constant_values=outside)
    result = np.zeros_like(mask)
    for down, across in offsets:
        result |= padded[2 + down : 2 + down + height, 2 + across : 2 + across + width]
    return result


def _averaged(fine: BinaryMask) -> Alpha:
    height, width = (side // OVERSAMPLING for side in fine.shape)
    blocks = fine.reshape(height, OVERSAMPLING, width, OVERSAMPLING)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def paint(
    picture: RgbImage, strokes: Sequence[tuple[Stroke, Colour]], *, fill_alpha: float
) -> RgbImage:
    """Paint fills, then all halos, then all lines, so that no halo cuts a neighbour's line.

    Args:
        picture: uint8, shape (H, W, 3), RGB, at canvas size.
        strokes: traced masks with their colours.
        fill_alpha: share of the colour inside the mask, [0, 1].
    """
    canvas = picture.astype(np.float32)
    for stroke, colour in strokes:
        _blend(canvas, stroke.area, stroke.inside * fill_alpha, colour)
    for stroke, _ in strokes:
        _blend(canvas, stroke.area, stroke.halo * HALO_ALPHA, HALO)
    for stroke, colour in strokes:
        _blend(canvas, stroke.area, stroke.line, colour)
    return np.asarray(np.rint(canvas), dtype=np.uint8)


def _blend(canvas: npt.NDArray[np.float32], area: Region, alpha: Alpha, colour: Colour) -> None:
    part = canvas[area.top : area.bottom, area.left : area.right]
    part += (np.asarray(colour, dtype=np.float32) - part) * alpha[:, :, None]


def covered(size: Size, strokes: Sequence[Stroke]) -> BinaryMask:
    """Return the canvas pixels, bool (H, W), that any mask or its contour covers."""
    result = np.zeros((size.height, size.width), dtype=np.bool_)
    for stroke in strokes:
        area = stroke.area
        taken = (stroke.inside > 0) | (stroke.halo > 0)
        result[area.top : area.bottom, area.left : area.right] |= taken
    return result

"""Outlines of points to masks, with Pillow."""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from segmenter.contract import BinaryMask


def fill_polygons(polygons: Iterable[Sequence[float]], height: int, width: int) -> BinaryMask:
    """Fill outlines: bool, shape (height, width).

    Args:
        polygons: x0, y0, x1, y1, ... each, in pixels, as COCO writes them; at least three points.
        height: of the image.
        width: of the image.
    """
    canvas = Image.new("1", (width, height))
    pen = ImageDraw.Draw(canvas)
    for outline in polygons:
        pen.polygon(list(zip(outline[::2], outline[1::2], strict=True)), fill=1, outline=1)
    return np.array(canvas, dtype=np.bool_)

"""From pixels and masks to what is drawn on: scaled pictures, traced masks, PNG."""

import io

import numpy as np
from PIL import Image

from agent.drawing.contours import OVERSAMPLING, Stroke, canvas_area, trace
from agent.drawing.dashes import Line
from agent.drawing.layout import Size
from segmenter.contract import BinaryMask, RgbImage
from segmenter.masks.geometry import mask_box


def trace_mask(mask: BinaryMask, size: Size, line: Line = "solid") -> Stroke | None:
    """Trace a mask on a canvas of `size`, looking only around its box; None if it is empty.

    Args:
        mask: bool, shape (H, W) of the image.
        size: of the canvas.
        line: solid, or with gaps.
    """
    box = mask_box(mask)
    if box is None:
        return None
    height, width = mask.shape
    area = canvas_area(box, Size(width, height), size)
    across, down = width / size.width, height / size.height
    source = (area.left * across, area.top * down, area.right * across, area.bottom * down)
    fine = ((area.right - area.left) * OVERSAMPLING, (area.bottom - area.top) * OVERSAMPLING)
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    soft = np.asarray(picture.resize(fine, Image.Resampling.BICUBIC, box=source))
    return trace(area, soft, line)


def resized(image: RgbImage, size: Size) -> RgbImage:
    """Scale an image: uint8, shape (H, W, 3), RGB."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS), dtype=np.uint8)


def to_png(picture: Image.Image) -> bytes:
    """Encode a drawing; no metadata travels along."""
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()

"""Pictures to SAM 3's input and masks back, with the original's own resizing."""

import torch
from torch import Tensor
from torch.nn import functional

from segmenter.contract import Box, RgbImage

CentredBox = tuple[float, float, float, float]


def to_pixels(image: RgbImage, side: int) -> Tensor:
    """Squash a picture to a square, on its 8-bit values, and scale it to [-1, 1].

    Args:
        image: uint8, shape (H, W, 3), RGB.
        side: of the square, pixels.

    Returns:
        float32, shape (1, 3, side, side).

    Source: the transform of facebookresearch/sam3: bilinear with antialiasing on uint8, then
    (x / 255 - 0.5) / 0.5.
    """
    channels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None]
    squashed = functional.interpolate(
        channels, size=(side, side), mode="bilinear", antialias=True, align_corners=False
    )
    return squashed.float() / 255.0 * 2.0 - 1.0


def to_centred(box: Box, shape: tuple[int, int]) -> CentredBox:
    """Return a box as (centre x, centre y, width, height), each over the picture's size.

    Args:
        box: half-open xyxy, pixels of the picture.
        shape: (H, W) of the picture.
    """
    height, width = shape
    return (
        (box.x0 + box.x1) / 2 / width,
        (box.y0 + box.y1) / 2 / height,
        (box.x1 - box.x0) / width,
        (box.y1 - box.y0) / height,
    )


def to_picture(masks: Tensor, shape: tuple[int, int]) -> Tensor:
    """Resize mask logits, shape (K, h, w), to a picture of shape (H, W): float32 (K, H, W)."""
    return functional.interpolate(
        masks[:, None].float(), size=shape, mode="bilinear", align_corners=False
    )[:, 0]

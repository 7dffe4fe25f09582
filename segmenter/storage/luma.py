"""What a picture's pixels say of brightness. Pure."""

import numpy as np

from segmenter.contract import PixelValues, RgbImage

# Of a pixel, as float32.
VALUE_BYTES = 4
# Weights of red, green and blue, in thousandths. Source: ITU-R BT.601, 2.5.1.
RED, GREEN, BLUE = 299, 587, 114
# Rows worked on at a time: whole, whole numbers of a large picture would take as much again.
ROWS = 256


def luma(pixels: RgbImage) -> PixelValues:
    """Return the brightness of each pixel, 0 to 255; of a grey one its grey level exactly.

    Args:
        pixels: uint8, shape (H, W, 3), RGB.
    """
    levels = np.empty(pixels.shape[:2], np.float32)
    for top in range(0, len(levels), ROWS):
        red, green, blue = np.moveaxis(pixels[top : top + ROWS].astype(np.uint32), 2, 0)
        levels[top : top + ROWS] = (RED * red + GREEN * green + BLUE * blue) / 1000
    return PixelValues(levels, "grey level")

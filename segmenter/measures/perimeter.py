"""How long the outline of a mask is. Pure.

A staircase of pixels is longer than the smooth outline that it stands for: by 27 % of a circle. So
lines of four directions are laid over the mask, and it is counted how often they cross its outline.

Source: Crofton's formula, as in ITK (Lehmann and Legland 2012, Insight Journal) and scikit-image.
"""

import numpy as np
from skimage.measure import perimeter_crofton

from segmenter.contract import BinaryMask

DIRECTIONS = 4


def perimeter(mask: BinaryMask, ratio: float = 1.0) -> float:
    """Return the length of a mask's outline, holes included, in widths of a pixel.

    Args:
        mask: bool, shape (H, W).
        ratio: height of a pixel / its width.
    """
    if ratio == 1.0:
        return float(perimeter_crofton(mask, directions=DIRECTIONS))
    return crofton(mask, ratio)


def crofton(mask: BinaryMask, ratio: float) -> float:
    """Return the same for pixels that are not square, which scikit-image does not measure.

    Each direction counts for the angles that it is the nearest to, and each crossing for the
    distance to the next line of its direction.

    Args:
        mask: bool, shape (H, W).
        ratio: height of a pixel / its width.
    """
    padded = np.pad(mask, 1)
    diagonal = np.arctan(ratio)
    across = np.count_nonzero(padded[:, 1:] != padded[:, :-1])
    down = np.count_nonzero(padded[1:] != padded[:-1])
    slanted = np.count_nonzero(padded[1:, 1:] != padded[:-1, :-1])
    slanted += np.count_nonzero(padded[1:, :-1] != padded[:-1, 1:])
    total = (
        diagonal * ratio * across
        + (np.pi / 2 - diagonal) * down
        + np.pi / 4 * ratio / np.hypot(1.0, ratio) * slanted
    )
    return float(total / 2)

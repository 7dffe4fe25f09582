"""Colour profiles and gamma of pictures: what is applied of them, and what is only told."""

import numpy as np
import numpy.typing as npt

from segmenter.contract import RgbImage

NOT_APPLIED = "colour profile not applied"
# PNG's gamma is in 100,000ths; what displays expect is 1/2.2.
GAMMA_UNIT, DISPLAY_GAMMA = 100_000, 2.2
# Less than that nobody sees. Source: libpng, PNG_GAMMA_THRESHOLD.
GAMMA_TOLERANCE = 0.05


def profile_rule(profile: bytes | None) -> str | None:
    """Name that a colour profile is not applied, unless it says what displays expect anyway.

    Args:
        profile: an ICC profile, or none.
    """
    if not profile or b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile:
        return None
    return NOT_APPLIED


def gamma_exponent(gamma: int) -> float | None:
    """Return the power that a PNG's gamma asks for; None where displays need no correction.

    Source: PNG specification (third edition), 13.13: the display's gamma is 2.2.

    Args:
        gamma: of the file, in 100,000ths.
    """
    if gamma <= 0:
        return None
    exponent = GAMMA_UNIT / (gamma * DISPLAY_GAMMA)
    return exponent if abs(exponent - 1.0) > GAMMA_TOLERANCE else None


def corrected(pixels: RgbImage, exponent: float) -> RgbImage:
    """Apply a power to colours, uint8, of which 0 and 255 stay.

    Args:
        pixels: shape (H, W, 3).
        exponent: above 0.
    """
    shares = np.arange(256) / 255.0
    table: npt.NDArray[np.uint8] = np.rint(255.0 * shares**exponent).astype(np.uint8)
    return table[pixels]

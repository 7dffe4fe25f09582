"""Stored colours of a DICOM frame to RGB.

Source: PS3.3, C.7.6.3.1.2 (Photometric Interpretation); the matrices are those of ITU-R BT.601.
"""

import numpy as np
import numpy.typing as npt

from segmenter.contract import RgbImage
from segmenter.errors import UnsupportedImage
from segmenter.formats.decoded import join_rules
from segmenter.formats.dicom.layout import Layout
from segmenter.formats.grey_levels import HIGH_BYTE, Stored, as_high_bits, bands

FROM_YBR = "YBR to RGB"
BY_STREAM = "colours as the encoded frame itself says"
# From Y, Cb and Cr, the colours around 0: rows are red, green and blue.
_FULL = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]])
_PARTIAL = np.array([[1.1644, 0.0, 1.5960], [1.1644, -0.3917, -0.8130], [1.1644, 2.0173, 0.0]])
_FULL_ZERO, _PARTIAL_ZERO = np.array([0.0, 128.0, 128.0]), np.array([16.0, 128.0, 128.0])
_TOP = 255.0
# Added before fractions are cut off. JPEG decoders and the standard take 128 for the middle of Cb
# and Cr, and round; DCMTK takes 127.5 and cuts. With these we are within one level of all of them.
_FULL_HALF, _PARTIAL_HALF = np.array([0.75, 0.4, 0.95]), np.array([0.5, 0.0, 0.5])


def render_colour(stored: Stored, photometric: str, layout: Layout) -> tuple[RgbImage, str]:
    """Return uint8 (H, W, 3), RGB, and the name of the rule.

    Args:
        stored: unsigned, shape (H, W, 3).
        photometric: they are in.
        layout: for their bits, and the photometric that the attributes say.

    Raises:
        UnsupportedImage.
    """
    if layout.bits_stored > 16:
        raise UnsupportedImage(f"colour of {layout.bits_stored} bits is not read: up to 16 are")
    ybr = photometric.startswith("YBR")
    pixels = np.empty(stored.shape, np.uint8)
    for rows in bands(stored.shape):
        pixels[rows] = _shown(stored[rows], photometric, layout.bits_stored)
    return pixels, join_rules(
        FROM_YBR if ybr else None,
        BY_STREAM if ybr is not _said_ybr(layout.photometric) else None,
        HIGH_BYTE if layout.bits_stored > 8 else None,
        as_high_bits(layout.bits_stored) if layout.bits_stored < 8 else None,
    )


def _said_ybr(tag: str) -> bool:
    """Tell whether attributes say YBR; JPEG 2000's own transforms are undone by its decoder."""
    return tag.startswith("YBR") and tag not in ("YBR_RCT", "YBR_ICT")


def _shown(stored: Stored, photometric: str, bits: int) -> npt.NDArray[np.uint8]:
    if photometric.startswith("YBR"):
        partial = photometric.startswith("YBR_PARTIAL")
        matrix, zero = (_PARTIAL, _PARTIAL_ZERO) if partial else (_FULL, _FULL_ZERO)
        colour = (stored / 2.0 ** (bits - 8) - zero) @ matrix.T
        colour += _PARTIAL_HALF if partial else _FULL_HALF
        return np.asarray(np.clip(colour, 0.0, _TOP), np.uint8)
    if bits > 8:
        high: npt.NDArray[np.uint8] = np.right_shift(stored, bits - 8).astype(np.uint8)
        return high
    return np.asarray(stored * 2 ** (8 - bits), np.uint8)

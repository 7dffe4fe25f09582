"""How a frame of a video is put upright: the matrix that a container keeps for its display."""

import struct
from typing import NamedTuple

import numpy as np

from segmenter.contract import RgbImage

MATRIX_BYTES = 36
# Turns this near to a quarter are quarters; entries are fractions of 16 bits. Source: FFmpeg's
# fftools, which turns by such a matrix within 1 degree.
LEVEL = 0.02


class Turn(NamedTuple):
    """Rows and columns swapped first, then which of them run backwards."""

    swap: bool = False
    rows: bool = False
    columns: bool = False


NAMES = {
    Turn(): None,
    Turn(columns=True): "mirrored left to right",
    Turn(rows=True): "mirrored top to bottom",
    Turn(rows=True, columns=True): "turned by 180 degrees",
    Turn(swap=True, columns=True): "turned by 90 degrees clockwise",
    Turn(swap=True, rows=True): "turned by 90 degrees counter-clockwise",
    Turn(swap=True): "mirrored left to right and turned by 90 degrees counter-clockwise",
    Turn(swap=True, rows=True, columns=True): (
        "mirrored left to right and turned by 90 degrees clockwise"
    ),
}


def read_matrix(raw: bytes) -> Turn | None:
    """Read a display matrix; None if it turns by no quarters.

    It maps columns and rows of a frame to those of the display: x' = a x + c y, y' = b x + d y.
    Source: ISO/IEC 14496-12, 8.3.2; FFmpeg's libavutil/display.h.

    Args:
        raw: nine whole numbers of 32 bits, in this machine's byte order.
    """
    if len(raw) != MATRIX_BYTES:
        return Turn()
    a, b, _, c, d, *_ = struct.unpack("=9i", raw)
    size = max(map(abs, (a, b, c, d)))
    if size == 0:
        return Turn()
    small = size * LEVEL
    if abs(b) <= small and abs(c) <= small and a and d:
        return Turn(rows=d < 0, columns=a < 0)
    if abs(a) <= small and abs(d) <= small and b and c:
        return Turn(swap=True, rows=b < 0, columns=c < 0)
    return None


def turned(pixels: RgbImage, turn: Turn) -> RgbImage:
    """Turn a frame: uint8, shape (H, W, 3) or (W, H, 3), C-contiguous."""
    swapped = pixels.swapaxes(0, 1) if turn.swap else pixels
    shown = swapped[:: -1 if turn.rows else 1, :: -1 if turn.columns else 1]
    return np.ascontiguousarray(shown)

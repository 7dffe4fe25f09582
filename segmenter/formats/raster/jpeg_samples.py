"""A JPEG of 8 bits to the samples that it stores, without any transform of colours.

The library decides by markers whether samples are YCbCr, and converts them; a DICOM file may say
something else. So the frame is decoded under a marker that names no transform.
"""

import struct
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from segmenter.errors import BrokenImage
from segmenter.formats.raster.jpeg_end import END, FILLER

_START, _SCAN = b"\xff\xd8", 0xDA
# Metadata: of applications, and comments.
_DROPPED = frozenset({*range(0xE0, 0xF0), 0xFE})
# Adobe's marker, transform 0. Source: ITU-T T.872, 6.5.3.
_NO_TRANSFORM = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
_MODES = {"L", "RGB"}


def jpeg_samples(frame: bytes) -> npt.NDArray[np.uint8]:
    """Return uint8, shape (H, W) or (H, W, 3), in the colours of the stream.

    Args:
        frame: whose header was read and checked before; its end marker may be missing.

    Raises:
        BrokenImage: the pixels end early.
    """
    bare = _without_metadata(frame)
    bare = bare if END in bare else bare + END
    with Image.open(BytesIO(bare), formats=("JPEG",)) as image:
        image.load()
        if image.mode not in _MODES:
            raise BrokenImage(f"a JPEG frame of {len(image.getbands())} channels")
        samples = np.asarray(image)
    _check_complete(bare, samples)
    return samples


def _check_complete(bare: bytes, samples: npt.NDArray[np.uint8]) -> None:
    """Refuse a frame whose decoder takes what is put before its end for more of the picture."""
    # Fill bytes before the end would make a marker of what is put behind them.
    pixels = bare[: bare.rfind(END)].rstrip(b"\xff")
    with Image.open(BytesIO(pixels + FILLER + END), formats=("JPEG",)) as longer:
        if not np.array_equal(np.asarray(longer), samples):
            raise BrokenImage("the pixels of this JPEG frame end early: cut short")


def _without_metadata(frame: bytes) -> bytes:
    """Return the frame without application segments, under a marker of no transform."""
    kept, at = [_START, _NO_TRANSFORM], 2
    while at + 4 <= len(frame):
        marker, length = frame[at + 1], struct.unpack_from(">H", frame, at + 2)[0]
        if frame[at] != 0xFF or marker == _SCAN:
            break
        if marker == 0xFF:
            at += 1
            continue
        if marker not in _DROPPED:
            kept.append(frame[at : at + 2 + length])
        at += 2 + length
    return b"".join((*kept, frame[at:]))

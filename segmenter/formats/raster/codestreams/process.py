"""Decodes one file in a child process of its own, which a damaged file may end."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segmenter.errors import BrokenImage
from segmenter.formats.grey_levels import Stored
from segmenter.formats.isolated.process import Bounds, run_isolated
from segmenter.formats.raster.jpeg_end import FILLER

_CHILD = Path(__file__).with_name("child.py")
# The largest picture: 40 million pixels of three channels, as 4 bytes each within its decoder.
BOUNDS = Bounds(memory_bytes=3 * 2**30, cpu_s=60, timeout_s=120.0)
_DTYPES = ("|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<f2", "<f4")
# Of colour, alpha and what else there may be.
MAX_CHANNELS = 64


class DecodedStream(NamedTuple):
    """What the child answers.

    Attributes:
        samples: shape (H, W, C).
        alpha: whether C ends in it.
        several: whether the file has further pictures.
    """

    samples: Stored
    alpha: bool
    several: bool


def decode_stream(content: bytes, kind: str, max_pixels: int) -> DecodedStream:
    """Decode the first picture of a file.

    Args:
        content: the whole file.
        kind: as the child knows it: a `StreamFormat`, ``jpeg`` or ``jpeg-arithmetic``.
        max_pixels: that its header declares.

    Raises:
        BrokenImage: the child failed, died or took too long.
    """
    try:
        child = run_isolated(_CHILD, (kind, FILLER.hex()), content, BOUNDS)
    except TimeoutError:
        message = f"the {kind} image did not decode within {BOUNDS.timeout_s:.0f} s"
        raise BrokenImage(message) from None
    if child.status != 0:
        raise BrokenImage(f"this {kind} image does not decode: damaged or cut short")
    return _read_answer(child.output, max_pixels)


def _read_answer(answer: bytes, max_pixels: int) -> DecodedStream:
    """Check what the child says: it worked on untrusted bytes."""
    end = answer.index(b"\n") + 1
    meaning = json.loads(answer[:end])
    height, width, channels = (int(side) for side in meaning["shape"])
    if meaning["dtype"] not in _DTYPES or not 0 < height * width <= max_pixels:
        raise BrokenImage("the decoded picture has another size than its header says")
    if not 1 <= channels <= MAX_CHANNELS:
        raise BrokenImage(f"a picture of {channels} channels")
    samples = np.frombuffer(answer, meaning["dtype"], height * width * channels, end)
    shaped = samples.reshape(height, width, channels)
    return DecodedStream(shaped, bool(meaning["alpha"]), bool(meaning["several"]))

"""Decodes lossless JPEG, 12-bit JPEG and JPEG-LS frames in a child process of their own.

GDCM 3.2.6 aborts the process on some damaged files, which would take the whole service down.
"""

import json
from pathlib import Path

import numpy as np
from pydicom import uid

from segmenter.errors import BrokenImage
from segmenter.formats.dicom.encoded.codestream import Stream
from segmenter.formats.grey_levels import Stored
from segmenter.formats.isolated.process import Bounds, run_isolated
from segmenter.formats.raster.jpeg_end import FILLER

_CHILD = Path(__file__).with_name("gdcm_child.py")
# The largest frame (40 million pixels of 2 bytes) exists three times within GDCM and Python.
BOUNDS = Bounds(memory_bytes=2 * 2**30, cpu_s=20, timeout_s=60.0)
# The second is for coders that refuse the first behind a whole picture. JPEG-LS is strict anyway.
_FILLERS = [FILLER.hex(), bytes(len(FILLER)).hex()]
# Exit status of the child.
ENDS_EARLY = 3


def decode_isolated(frame: bytes, stream: Stream) -> Stored:
    """Return the stored values of a frame, unsigned, shape (H, W) or (H, W, samples).

    Raises:
        BrokenImage: the child failed, died or took too long; or the pixels end early.
    """
    options = {
        "syntax": str(stream.syntax),
        "rows": stream.height,
        "columns": stream.width,
        "samples": stream.components,
        "bits": stream.bits,
        "fillers": [] if stream.syntax == uid.JPEGLSLossless else _FILLERS,
    }
    try:
        child = run_isolated(_CHILD, (), json.dumps(options).encode() + b"\n" + frame, BOUNDS)
    except TimeoutError:
        raise BrokenImage(f"the frame did not decode within {BOUNDS.timeout_s:.0f} s") from None
    dtype = np.dtype("<u2" if stream.bits > 8 else "u1")
    shape = (stream.height, stream.width, stream.components)[: 3 if stream.components > 1 else 2]
    if child.status == ENDS_EARLY:
        raise BrokenImage(f"the pixels of this {stream.name} frame end early: cut short")
    # GDCM may die on the filler that it was tried with, when the picture is already here.
    if len(child.output) != int(np.prod(shape)) * dtype.itemsize:
        raise BrokenImage(f"this {stream.name} frame does not decode: damaged or cut short")
    return np.frombuffer(child.output, dtype).reshape(shape)

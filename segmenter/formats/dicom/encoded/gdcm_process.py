"""Decodes lossless JPEG, 12-bit JPEG and JPEG-LS frames in a child process of their own.

GDCM 3.2.6 aborts the process on some damaged files, which would take the whole service down. The
child gets no environment, so no secrets.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from pydicom import uid

from segmenter.errors import BrokenImage
from segmenter.formats.dicom.encoded.codestream import Stream
from segmenter.formats.grey_levels import Stored
from segmenter.formats.raster.jpeg_end import FILLER

_CHILD = Path(__file__).with_name("gdcm_child.py")
# The child's own limit of 20 s CPU comes first, unless the machine is overloaded.
TIMEOUT_S = 60.0
# The second is for coders that refuse the first behind a whole picture. JPEG-LS is strict anyway.
_FILLERS = [FILLER.hex(), bytes(len(FILLER)).hex()]
# Exit status of the child.
ENDS_EARLY = 3
# No secrets; and a thread per core would count against the child's memory limit.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}


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
        # -P: the folder of the script must not shadow modules of the library.
        child = subprocess.run(
            [sys.executable, "-P", str(_CHILD)],
            input=json.dumps(options).encode() + b"\n" + frame,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            env=_ENVIRONMENT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BrokenImage(f"the frame did not decode within {TIMEOUT_S} s") from None
    dtype = np.dtype("<u2" if stream.bits > 8 else "u1")
    shape = (stream.height, stream.width, stream.components)[: 3 if stream.components > 1 else 2]
    if child.returncode == ENDS_EARLY:
        raise BrokenImage(f"the pixels of this {stream.name} frame end early: cut short")
    # GDCM may die on the filler that it was tried with, when the picture is already here.
    if len(child.stdout) != int(np.prod(shape)) * dtype.itemsize:
        raise BrokenImage(f"this {stream.name} frame does not decode: damaged or cut short")
    return np.frombuffer(child.stdout, dtype).reshape(shape)

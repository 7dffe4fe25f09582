"""Decodes lossless JPEG and JPEG-LS frames in a child process of their own.

GDCM 3.2.6 aborts the process on some damaged files (one is a test: colour with odd Bits Stored),
which would take the whole service down. The child gets no environment, so no secrets.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame

from segmenter.errors import BrokenImage
from segmenter.formats.dicom.layout import Layout
from segmenter.formats.grey_levels import Stored

_CHILD = Path(__file__).with_name("gdcm_child.py")
# The child's own limit of 20 s CPU comes first, unless the machine is overloaded.
TIMEOUT_S = 60.0
# No secrets; and a thread per core would count against the child's memory limit.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
_DTYPES = ("|u1", "|i1", "<u2", "<i2", "<u4", "<i4")


def decode_isolated(header: Dataset, layout: Layout, index: int = 0) -> tuple[Stored, str]:
    """Return the stored values of a frame and the photometric they are in.

    Raises:
        BrokenImage: the child failed, died or took too long.
    """
    frame = get_frame(header.PixelData, index, number_of_frames=layout.frames)
    try:
        # -P: the folder of the script must not shadow modules of the library.
        child = subprocess.run(
            [sys.executable, "-P", str(_CHILD)],
            input=json.dumps(_options(header, layout)).encode() + b"\n" + frame,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            env=_ENVIRONMENT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BrokenImage(f"the frame did not decode within {TIMEOUT_S} s") from None
    if child.returncode != 0:
        raise BrokenImage("this compressed DICOM frame does not decode: damaged or cut short")
    return _read_answer(child.stdout, layout)


def _options(header: Dataset, layout: Layout) -> dict[str, str | int]:
    options: dict[str, str | int] = {
        "syntax": str(header.file_meta.TransferSyntaxUID),
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": layout.samples,
        "number_of_frames": 1,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "pixel_representation": int(header.get("PixelRepresentation") or 0),
        "photometric_interpretation": layout.photometric,
        "pixel_keyword": "PixelData",
    }
    if layout.samples > 1:
        options["planar_configuration"] = int(header.get("PlanarConfiguration") or 0)
    return options


def _read_answer(answer: bytes, layout: Layout) -> tuple[Stored, str]:
    """Check what the child says: it worked on untrusted bytes."""
    line, _, raw = answer.partition(b"\n")
    meaning = json.loads(line)
    shape = (layout.rows, layout.columns) + ((layout.samples,) if layout.samples > 1 else ())
    if meaning["dtype"] not in _DTYPES or tuple(meaning["shape"]) != shape:
        raise BrokenImage("the decoded frame has another size than the attributes say")
    return np.frombuffer(raw, meaning["dtype"]).reshape(shape), str(meaning["photometric"])

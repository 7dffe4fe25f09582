"""Decodes one file in a child process of its own, which a damaged file may end.

The child gets no environment, so no secrets, and bounds its own memory and time.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segmenter.errors import BrokenImage
from segmenter.formats.grey_levels import Stored

_CHILD = Path(__file__).with_name("child.py")
# The child's own limit of 60 s CPU comes first, unless the machine is overloaded.
TIMEOUT_S = 120.0
# No secrets; and a thread per core would count against the child's memory limit.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
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
        # -P: the folder of the script must not shadow modules of the library.
        child = subprocess.run(
            [sys.executable, "-P", str(_CHILD), kind],
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            env=_ENVIRONMENT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BrokenImage(f"the {kind} image did not decode within {TIMEOUT_S:.0f} s") from None
    if child.returncode != 0:
        raise BrokenImage(f"this {kind} image does not decode: damaged or cut short")
    return _read_answer(child.stdout, max_pixels)


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

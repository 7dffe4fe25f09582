"""Program of the child process that decodes one file with a C library that may die of damage.

Run as a script, not as a module: it must import the codecs and numpy only. Its arguments are the
kind of file and, in hexadecimal, bytes that no picture begins with; standard input is the file;
standard output a line of JSON (`dtype`, `shape` (H, W, C), `alpha`, `several`) and the samples. Any
failure is an exit status.
"""

import json
import sys
from io import BytesIO
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import numpy.typing as npt
import pillow_heif
from PIL import Image, ImageOps

SCAN, END, FILL = b"\xff\xda", b"\xff\xd9", b"\xff"


class Decoded(NamedTuple):
    """Samples, shape (H, W) or (H, W, C).

    Attributes:
        samples: of the first picture.
        alpha: whether the last channel is.
        several: whether there are further pictures, beside previews and what belongs to the first.
    """

    samples: npt.NDArray[Any]
    alpha: bool = False
    several: bool = False


def main() -> None:
    """Decode standard input to standard output."""
    found = decode(sys.argv[1], sys.stdin.buffer.read(), bytes.fromhex(sys.argv[2]))
    samples = found.samples[..., None] if found.samples.ndim == 2 else found.samples
    answer = {
        "dtype": samples.dtype.newbyteorder("<").str,
        "shape": samples.shape,
        "alpha": found.alpha,
        "several": found.several,
    }
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    native = samples.astype(samples.dtype.newbyteorder("<"), copy=False)
    sys.stdout.buffer.write(np.ascontiguousarray(native).data)


def decode(kind: str, content: bytes, filler: bytes) -> Decoded:
    """Decode the first picture of a file; `filler` is what a JPEG is tried with.

    Raises:
        ValueError: another kind.
    """
    if kind == "jpeg2000":
        return Decoded(imagecodecs.jpeg2k_decode(content, numthreads=1))
    if kind == "jpeg-ls":
        return Decoded(imagecodecs.jpegls_decode(content))
    if kind == "jpeg":
        return Decoded(_jpeg(content, filler))
    if kind == "jpeg-arithmetic":
        return Decoded(_arithmetic_jpeg(content))
    if kind == "jpeg-xl":
        samples = imagecodecs.jpegxl_decode(content, index=0, numthreads=1)
        channels = samples.shape[2] if samples.ndim == 3 else 1
        return Decoded(samples, alpha=channels in (2, 4))
    if kind == "heic":
        first = pillow_heif.open_heif(content)
        return Decoded(np.asarray(first), "A" in first.mode, several=len(first) > 1)
    if kind == "avif":
        with Image.open(BytesIO(content), formats=("AVIF",)) as picture:
            upright = ImageOps.exif_transpose(picture)
            return Decoded(np.asarray(upright), alpha="A" in upright.mode)
    raise ValueError(kind)


def _jpeg(content: bytes, filler: bytes) -> npt.NDArray[Any]:
    """Decode a JPEG, and once more with some bytes before its end.

    They change nothing if the picture is complete, and are taken for its next part if it is not:
    the decoder goes on without a word where a picture ends early.

    Raises:
        ValueError: it ends early.
    """
    end = content.rfind(END)
    whole = content[:end] if end > content.rfind(SCAN) else content
    # Fill bytes before the end would make a marker of what is put behind them.
    whole = whole.rstrip(FILL)
    samples = imagecodecs.jpeg8_decode(whole + END)
    if not np.array_equal(samples, imagecodecs.jpeg8_decode(whole + filler + END)):
        raise ValueError("the picture ends early")
    return samples


def _arithmetic_jpeg(content: bytes) -> npt.NDArray[Any]:
    """Decode a JPEG whose coder leaves out zeros at the end: what follows would be taken for them.

    Raises:
        ValueError: it has no end marker, so it may end early.
    """
    if content.rfind(END) < content.rfind(SCAN):
        raise ValueError("the picture has no end")
    samples: npt.NDArray[Any] = imagecodecs.jpeg8_decode(content)
    return samples


if __name__ == "__main__":
    main()

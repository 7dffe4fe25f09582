"""The truth about pictures: what DCMTK shows, or what a picture was made of."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image

from benchmarks.intake.contract import PictureTruth, Rgb
from benchmarks.intake.files import Pixels, by_dcmtk

# The one of its programs that also reads JPEG.
DCMTK = "dcmj2pnm"


def dcm2pnm(*options: str) -> PictureTruth:
    """DCMTK's picture under some options; without any it windows nothing."""
    return PictureTruth(" ".join((DCMTK, *options)), lambda content: _shown(content, options))


def dcm2pnm_of(build: Callable[[], bytes], words: str, *options: str) -> PictureTruth:
    """DCMTK's picture of a plainer file with the same pixels, where it cannot read the input."""
    name = " ".join((DCMTK, *options))
    return PictureTruth(f"{name}, {words}", lambda _: _shown(build(), options))


def decoded_first(name: str, *options: str) -> PictureTruth:
    """DCMTK's picture of what another of its programs decodes."""

    def read(content: bytes) -> Rgb:
        return _shown(by_dcmtk(name, content), options)

    return PictureTruth(" ".join((f"{name}, {DCMTK}", *options)), read)


def source(picture: Callable[[], Pixels]) -> PictureTruth:
    """The picture that was encoded without loss: uint8, (H, W) or (H, W, 3)."""
    return PictureTruth("the picture it was made of", lambda _: _rgb(picture()))


def jpeg_of(frame: Callable[[], bytes]) -> PictureTruth:
    """What a JPEG decoder makes of the frame as a file of its own."""

    def read(_: bytes) -> Rgb:
        return np.asarray(Image.open(BytesIO(frame())).convert("RGB"))

    return PictureTruth("the frame as a JPEG file", read)


def percentiles(values: Callable[[], Pixels]) -> PictureTruth:
    """Our documented rule for deep pictures without a window, by numpy."""

    def read(_: bytes) -> Rgb:
        stored = values().astype(np.float64)
        low, high = np.percentile(stored, (0.5, 99.5))
        return _rgb(np.rint(np.clip((stored - low) / (high - low), 0, 1) * 255).astype(np.uint8))

    return PictureTruth("numpy, percentiles 0.5 and 99.5", read)


def _shown(content: bytes, options: tuple[str, ...]) -> Rgb:
    return np.asarray(Image.open(BytesIO(by_dcmtk(DCMTK, content, *options))).convert("RGB"))


def _rgb(picture: Pixels) -> Rgb:
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture

"""How files are written: encodings of attributes, missing preambles and file meta information."""

from collections.abc import Callable, Sequence
from functools import partial

from pydicom import uid
from pydicom.encaps import encapsulate

from benchmarks.intake.contract import Picture
from benchmarks.intake.files import (
    TWELVE_BITS,
    WINDOW,
    Pixels,
    by_dcmtk,
    colours,
    dataset,
    grey12,
    plain,
    renamed,
    saved,
    without_meta,
    written,
)
from benchmarks.intake.truth import dcm2pnm, dcm2pnm_of, source

KIND = "file"
G12 = grey12()
WINDOWED = dcm2pnm("+Wi", "1")
_PREAMBLE_BYTES = 128


def _explicit() -> bytes:
    return plain(G12, **TWELVE_BITS, **WINDOW)


def _implicit() -> bytes:
    return written(dataset(G12, **TWELVE_BITS, **WINDOW), uid.ImplicitVRLittleEndian)


def _by_dcmconv(option: str) -> bytes:
    return by_dcmtk("dcmconv", _explicit(), option)


def _big(pixels: Pixels) -> bytes:
    return by_dcmtk("dcmconv", plain(pixels), "+tb")


def _without_syntax() -> bytes:
    content = _explicit()
    at = content.index(b"\x02\x00\x10\x00UI")
    length = int.from_bytes(content[at + 6 : at + 8], "little")
    return content[:at] + content[at + 8 + length :]


def _video() -> bytes:
    made = dataset(colours())
    made.file_meta.TransferSyntaxUID = uid.MPEG2MPML
    made.PixelData = encapsulate([b"\x00\x00\x01\xb3"])
    made["PixelData"].is_undefined_length = True
    return saved(made)


def _of(name: str, build: Callable[[], bytes]) -> Picture:
    return Picture(name, KIND, build, dcm2pnm_of(_explicit, "as a whole file", "+Wi", "1"))


INPUTS: Sequence[Picture] = (
    Picture("implicit VR", KIND, _implicit, WINDOWED),
    Picture("explicit VR, big endian", KIND, partial(_by_dcmconv, "+tb"), WINDOWED),
    Picture("8-bit colours, big endian", KIND, partial(_big, colours()), source(colours)),
    Picture("deflated", KIND, partial(_by_dcmconv, "+td"), WINDOWED),
    _of("no preamble", lambda: _explicit()[_PREAMBLE_BYTES:]),
    _of("no preamble, no prefix", lambda: _explicit()[_PREAMBLE_BYTES + 4 :]),
    _of("no file meta, explicit VR", lambda: without_meta(_explicit())),
    _of("no file meta, implicit VR", lambda: without_meta(_implicit())),
    _of("no file meta, big endian", lambda: without_meta(_by_dcmconv("+tb"))),
    _of("preamble, no file meta, explicit VR", lambda: without_meta(_explicit(), preamble=True)),
    _of("preamble, no file meta, implicit VR", lambda: without_meta(_implicit(), preamble=True)),
    _of("file meta without transfer syntax", _without_syntax),
    _of(
        "explicit VR, called implicit",
        lambda: renamed(_explicit(), uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian),
    ),
    Picture(
        "prefix damaged",
        KIND,
        lambda: bytes(_PREAMBLE_BYTES) + b"ABCD" + _explicit()[_PREAMBLE_BYTES + 4 :],
        None,
    ),
    Picture("MPEG-2 video", KIND, _video, None),
)

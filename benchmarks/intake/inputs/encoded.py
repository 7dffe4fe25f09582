"""Compressed pictures: every transfer syntax, the colours that streams name, and damaged frames."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from io import BytesIO
from typing import Any

import numpy as np
from openjpeg.utils import encode_array
from PIL import Image
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate, get_frame

from benchmarks.intake.contract import Picture, PictureTruth
from benchmarks.intake.files import (
    TWELVE_BITS,
    WINDOW,
    by_dcmtk,
    colours,
    dataset,
    framed,
    grey8,
    grey12,
    plain,
    renamed,
    saved,
    set_pixels,
    signed12,
    ybr,
)
from benchmarks.intake.truth import dcm2pnm, dcm2pnm_of, decoded_first, jpeg_of, source

RLE, JPEG, LOSSLESS, LS, J2K = "run lengths", "JPEG", "lossless JPEG", "JPEG-LS", "JPEG 2000"
SYNTAX, DAMAGE = "transfer syntax", "damage"
G8, G12, S12, RGB = grey8(), grey12(), signed12(), colours()
WINDOWED, SHOWN = dcm2pnm("+Wi", "1"), dcm2pnm()
END = b"\xff\xd9"
AROUND_0 = {"WindowCenter": "0", "WindowWidth": "3000"}
_APP0, _APP14, _SCAN = 0xE0, 0xEE, 0xDA
_FRAMES = (0xC0, 0xC1, 0xC2)


def twelve() -> bytes:
    """A 12-bit picture with a window."""
    return plain(G12, **TWELVE_BITS, **WINDOW)


def signed() -> bytes:
    """A signed one."""
    return plain(S12, **AROUND_0)


def high() -> bytes:
    """A 12-bit picture in the highest bits of its words."""
    return plain(G12 << 4, BitsStored=12, HighBit=15, **WINDOW)


def rgb() -> bytes:
    """A picture of colours."""
    return plain(RGB)


def deep() -> bytes:
    """Colours of 16 bits."""
    return plain(RGB.astype(np.uint16) * 257)


def full() -> bytes:
    """Colours as YBR_FULL."""
    return plain(ybr(RGB), PhotometricInterpretation="YBR_FULL")


@cache
def frame_of(content: bytes) -> bytes:
    """Return the one encoded frame of a file, to its end marker."""
    frame = get_frame(dcmread(BytesIO(content)).PixelData, 0, number_of_frames=1)
    return frame[: frame.rindex(END) + 2] if END in frame else frame


def _by(program: str, build: Callable[[], bytes], *options: str) -> bytes:
    return by_dcmtk(program, build(), *options)


def _encoded(
    name: str, kind: str, program: str, build: Callable[[], bytes], *options: str
) -> Picture:
    """A picture that DCMTK encodes, and reads."""
    truth = WINDOWED if build in (twelve, signed, high) else SHOWN
    if kind == LS:
        window = ("+Wi", "1") if truth is WINDOWED else ()
        truth = decoded_first("dcmdjpls", *window)
    return Picture(name, kind, partial(_by, program, build, *options), truth)


# JPEG: what the stream says of its colours.


@cache
def jpeg(mode: str = "ycc", *, quality: int = 95, subsampling: int = 0, **options: Any) -> bytes:
    """Return the colours as a JPEG file: ``ycc`` as most are, ``rgb`` without a transform."""
    stream = BytesIO()
    picture = Image.fromarray(RGB if mode != "grey" else G8)
    extra: dict[str, Any] = {"subsampling": subsampling} if mode == "ycc" else {}
    if mode == "rgb":
        extra = {"keep_rgb": True}
    picture.save(stream, "JPEG", quality=quality, **extra, **options)
    return stream.getvalue()


def bare(frame: bytes, *dropped: int) -> bytes:
    """Return a JPEG without some of its application segments."""
    kept, at = frame[:2], 2
    while frame[at + 1] != _SCAN:
        length = int.from_bytes(frame[at + 2 : at + 4], "big") + 2
        if frame[at + 1] not in dropped:
            kept += frame[at : at + length]
        at += length
    return kept + frame[at:]


def with_ids(frame: bytes, ids: bytes) -> bytes:
    """Return a JPEG of three components under other component ids."""
    made, at, old = bytearray(frame), 2, b""
    while True:
        length = int.from_bytes(made[at + 2 : at + 4], "big") + 2
        if made[at + 1] in _FRAMES:
            old = bytes(made[at + 10 : at + 19 : 3])
            made[at + 10 : at + 19 : 3] = ids
        if made[at + 1] == _SCAN:
            for place in range(at + 5, at + 11, 2):
                made[place] = ids[old.index(made[place])]
            return bytes(made)
        at += length


def with_adobe(frame: bytes, transform: int) -> bytes:
    """Return a JPEG with Adobe's marker."""
    return (
        frame[:2]
        + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
        + bytes([transform])
        + frame[2:]
    )


def _jpeg(name: str, frame: bytes, tag: str, truth: PictureTruth) -> Picture:
    build = partial(framed, frame, uid.JPEGBaseline8Bit, RGB, PhotometricInterpretation=tag)
    return Picture(name, JPEG, build, truth)


NO_MARKER = bare(jpeg(), _APP0)
RGB_STREAM, RGB_BARE = jpeg("rgb"), bare(jpeg("rgb"), _APP0, _APP14)
AS_FILE, AS_RGB = jpeg_of(jpeg), jpeg_of(partial(jpeg, "rgb"))

JPEGS: Sequence[Picture] = (
    _jpeg("YCbCr (JFIF), YBR_FULL_422", jpeg(), "YBR_FULL_422", SHOWN),
    _jpeg("YCbCr (JFIF) 4:2:2, YBR_FULL_422", jpeg(subsampling=1), "YBR_FULL_422", SHOWN),
    _jpeg("YCbCr (JFIF) 4:2:0, YBR_FULL_422", jpeg(subsampling=2), "YBR_FULL_422", SHOWN),
    _jpeg("YCbCr without marker, YBR_FULL", NO_MARKER, "YBR_FULL", SHOWN),
    _jpeg("YCbCr, ids 0, 1, 2, YBR_FULL", with_ids(NO_MARKER, b"\0\1\2"), "YBR_FULL", SHOWN),
    _jpeg("YCbCr (Adobe), YBR_FULL", with_adobe(NO_MARKER, 1), "YBR_FULL", SHOWN),
    _jpeg("YCbCr (JFIF), tag RGB", jpeg(), "RGB", AS_FILE),
    _jpeg("YCbCr (Adobe), tag RGB", with_adobe(NO_MARKER, 1), "RGB", AS_FILE),
    _jpeg("RGB (Adobe), RGB", RGB_STREAM, "RGB", SHOWN),
    _jpeg("RGB without marker, ids R, G, B, RGB", RGB_BARE, "RGB", SHOWN),
    _jpeg("RGB without marker, ids 1, 2, 3, RGB", with_ids(RGB_BARE, b"\1\2\3"), "RGB", SHOWN),
    _jpeg("RGB, ids R, G, B, tag YBR_FULL_422", RGB_BARE, "YBR_FULL_422", AS_RGB),
    _jpeg("RGB (Adobe), tag YBR_FULL", RGB_STREAM, "YBR_FULL", AS_RGB),
    _jpeg("progressive", jpeg(progressive=True), "YBR_FULL_422", SHOWN),
    _encoded("baseline by DCMTK", JPEG, "dcmcjpeg", rgb, "+eb"),
    _encoded("RGB by DCMTK", JPEG, "dcmcjpeg", rgb, "+eb", "+cr"),
    _encoded("grey", JPEG, "dcmcjpeg", lambda: plain(G8), "+eb"),
    _encoded("12 bits (process 4)", JPEG, "dcmcjpeg", twelve, "+ee"),
    _encoded("12 bits signed (process 4)", JPEG, "dcmcjpeg", signed, "+ee"),
    _encoded("12 bits, full progression", JPEG, "dcmcjpeg", twelve, "+ep"),
    Picture(
        "no end marker",
        JPEG,
        lambda: framed(jpeg("grey")[:-2], uid.JPEGBaseline8Bit, G8),
        jpeg_of(partial(jpeg, "grey")),
    ),
)


# JPEG 2000.


@cache
def j2k(name: str = "rgb", *, mct: bool = True, bits: int | None = None) -> bytes:
    """Return a lossless codestream of one of the pictures."""
    pixels = {"rgb": RGB, "ybr": ybr(RGB), "grey": G8, "twelve": G12, "signed": S12}[name]
    space = 2 if pixels.ndim == 2 else 1
    return bytes(
        encode_array(
            pixels, photometric_interpretation=space, use_mct=mct, bits_stored=bits, codec_format=0
        )
    )


def _jp2() -> bytes:
    stream = BytesIO()
    Image.fromarray(RGB).save(stream, "JPEG2000")
    return stream.getvalue()


def _j2k(name: str, frame: bytes, tag: str, *, lossless: bool = True) -> Picture:
    syntax = uid.JPEG2000Lossless if lossless else uid.JPEG2000
    build = partial(framed, frame, syntax, RGB, PhotometricInterpretation=tag)
    return Picture(name, J2K, build, source(colours))


def _deep_j2k(name: str, frame: bytes, plainer: Callable[[], bytes], **attributes: Any) -> Picture:
    pixels = S12 if plainer is signed else G12
    build = partial(framed, frame, uid.JPEG2000Lossless, pixels, **attributes)
    return Picture(name, J2K, build, dcm2pnm_of(plainer, "uncompressed", "+Wi", "1"))


J2KS: Sequence[Picture] = (
    _j2k("transformed, YBR_RCT", j2k(), "YBR_RCT"),
    _j2k("transformed, YBR_ICT", j2k(), "YBR_ICT", lossless=False),
    _j2k("transformed, tag RGB", j2k(), "RGB"),
    _j2k("transformed, tag YBR_FULL", j2k(), "YBR_FULL"),
    _j2k("transformed, tag YBR_FULL_422", j2k(), "YBR_FULL_422"),
    _j2k("not transformed, RGB", j2k(mct=False), "RGB"),
    _j2k("in JP2 boxes", _jp2(), "YBR_RCT"),
    Picture(
        "not transformed, YBR_FULL",
        J2K,
        lambda: framed(
            j2k("ybr", mct=False), uid.JPEG2000Lossless, RGB, PhotometricInterpretation="YBR_FULL"
        ),
        dcm2pnm_of(full, "uncompressed"),
    ),
    Picture("grey", J2K, lambda: framed(j2k("grey"), uid.JPEG2000, G8), source(grey8)),
    _deep_j2k("12 bits", j2k("twelve", bits=12), twelve, **TWELVE_BITS, **WINDOW),
    _deep_j2k("12 bits in a stream of 16", j2k("twelve", bits=16), twelve, **TWELVE_BITS, **WINDOW),
    _deep_j2k(
        "16 bits signed", j2k("signed", bits=16), signed, WindowCenter="0", WindowWidth="3000"
    ),
)


# What is not what the file says.


def _with_value(value: bytes) -> bytes:
    made = dataset(RGB)
    set_pixels(made, value)
    return saved(made)


def _as_native(build: Callable[[], bytes], syntax: str) -> bytes:
    return renamed(build(), syntax, uid.ExplicitVRLittleEndian)


LOSSLESS_12 = partial(_by, "dcmcjpeg", twelve, "+e1")
SYNTAXES: Sequence[Picture] = (
    Picture(
        "a JPEG file for pixels, called uncompressed", SYNTAX, lambda: _with_value(jpeg()), AS_FILE
    ),
    Picture(
        "JPEG frames in items, called uncompressed",
        SYNTAX,
        lambda: _with_value(encapsulate([jpeg()])),
        AS_FILE,
    ),
    Picture(
        "JPEG frames of undefined length, called uncompressed",
        SYNTAX,
        lambda: _as_native(
            partial(framed, jpeg(), uid.JPEGBaseline8Bit, RGB),
            uid.JPEGBaseline8Bit,
        ),
        AS_FILE,
    ),
    Picture(
        "JPEG 2000, called uncompressed",
        SYNTAX,
        lambda: _as_native(partial(framed, j2k(), uid.JPEG2000Lossless, RGB), uid.JPEG2000Lossless),
        source(colours),
    ),
    Picture(
        "run lengths, called uncompressed",
        SYNTAX,
        lambda: renamed(_by("dcmcrle", twelve), "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1"),
        dcm2pnm_of(twelve, "uncompressed", "+Wi", "1"),
    ),
    Picture(
        "JPEG-LS, called uncompressed",
        SYNTAX,
        lambda: _as_native(partial(_by, "dcmcjpls", twelve), uid.JPEGLSLossless),
        dcm2pnm_of(twelve, "uncompressed", "+Wi", "1"),
    ),
    Picture(
        "lossless JPEG, called JPEG 2000",
        SYNTAX,
        lambda: renamed(LOSSLESS_12(), uid.JPEGLosslessSV1, uid.JPEG2000Lossless),
        dcm2pnm_of(twelve, "uncompressed", "+Wi", "1"),
    ),
    Picture(
        "uncompressed, called run lengths",
        SYNTAX,
        lambda: renamed(twelve(), "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"),
        dcm2pnm_of(twelve, "uncompressed", "+Wi", "1"),
    ),
)


def _cut(frame: bytes, cut: int) -> bytes:
    return frame[: -2 - cut] + END


DAMAGED: Sequence[Picture] = (
    Picture(
        "JPEG whose pixels end early",
        DAMAGE,
        lambda: framed(_cut(jpeg("grey"), 60), uid.JPEGBaseline8Bit, G8),
        None,
    ),
    Picture(
        "JPEG without end marker, cut short",
        DAMAGE,
        lambda: framed(jpeg("grey")[:-60], uid.JPEGBaseline8Bit, G8),
        None,
    ),
    Picture(
        "lossless JPEG whose pixels end early",
        DAMAGE,
        lambda: framed(_cut(frame_of(LOSSLESS_12()), 90), uid.JPEGLosslessSV1, G12, **TWELVE_BITS),
        None,
    ),
    Picture(
        "JPEG 2000 cut short",
        DAMAGE,
        lambda: framed(j2k()[: len(j2k()) // 2] + END, uid.JPEG2000Lossless, RGB),
        None,
    ),
    Picture("pixel data cut short", DAMAGE, lambda: twelve()[:-100], None),
    Picture(
        "a JPEG of another size, called uncompressed", DAMAGE, lambda: _with_value(_small()), None
    ),
)


def _small() -> bytes:
    stream = BytesIO()
    Image.fromarray(RGB[:16, :16]).save(stream, "JPEG")
    return stream.getvalue()


def _all(kind: str, program: str, *options: str, name: str = "") -> Sequence[Picture]:
    """Every sort of picture through one encoder."""
    sorts: Sequence[tuple[str, Callable[[], bytes]]] = (
        ("8 bits", lambda: plain(G8)),
        ("12 bits", twelve),
        ("12 bits, HighBit 15", high),
        ("16 bits signed", signed),
        ("RGB", rgb),
        ("YBR_FULL", full),
    )
    return [_encoded(f"{name}{sort}", kind, program, build, *options) for sort, build in sorts]


INPUTS: Sequence[Picture] = (
    *_all(RLE, "dcmcrle"),
    _encoded("RGB, 16 bits", RLE, "dcmcrle", deep),
    *JPEGS,
    *_all(LOSSLESS, "dcmcjpeg", "+e1"),
    _encoded("RGB, 16 bits", LOSSLESS, "dcmcjpeg", deep, "+e1"),
    _encoded("12 bits, predictor 6 (process 14)", LOSSLESS, "dcmcjpeg", twelve, "+el", "+sv", "6"),
    *_all(LS, "dcmcjpls")[:5],
    _encoded("near-lossless, 12 bits", LS, "dcmcjpls", twelve, "+en"),
    _encoded("near-lossless, RGB", LS, "dcmcjpls", rgb, "+en"),
    *J2KS,
    *SYNTAXES,
    *DAMAGED,
)

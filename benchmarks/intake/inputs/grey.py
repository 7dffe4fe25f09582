"""Grey pictures without compression: bits, signs, windows, polarity."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.intake.contract import Picture
from benchmarks.intake.files import (
    TWELVE_BITS,
    WINDOW,
    Pixels,
    dataset,
    grey8,
    grey12,
    plain,
    saved,
    set_pixels,
    signed12,
    with_bytes,
)
from benchmarks.intake.truth import dcm2pnm, percentiles

KIND = "grey"
WINDOWED = dcm2pnm("+Wi", "1")
AS_STORED = dcm2pnm()
SIGNED = {"PixelRepresentation": 1}
AROUND_0 = {"WindowCenter": "0", "WindowWidth": "3000"}


def _of(name: str, pixels: Pixels, **attributes: Any) -> Picture:
    """A picture with a window."""
    return Picture(name, KIND, partial(plain, pixels, **attributes), WINDOWED)


def _stored(name: str, pixels: Pixels, **attributes: Any) -> Picture:
    """A picture of few bits, without a window."""
    return Picture(name, KIND, partial(plain, pixels, **attributes), AS_STORED)


def _masked(bits: int) -> Pixels:
    """Signed values in the lowest bits of words."""
    return signed12().view(np.uint16) & np.uint16(2**bits - 1)


def _bits() -> Pixels:
    return np.random.default_rng(1).integers(0, 2, (47, 63)).astype(np.uint8)


def _one_bit() -> bytes:
    packed = np.packbits(_bits().ravel(), bitorder="little").tobytes()
    return with_bytes(_bits(), packed, BitsAllocated=1, BitsStored=1, HighBit=0)


def _floats() -> Pixels:
    return (grey12() / 7.0 - 100.0).astype(np.float32)


def _float_file(keyword: str, kind: str, bits: int) -> bytes:
    made = dataset(grey8())
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(made, name)
    made.BitsAllocated = bits
    setattr(made, keyword, _floats().astype(kind).tobytes())
    return saved(made)


def _padded() -> bytes:
    made = dataset(grey12(), **TWELVE_BITS, PixelPaddingValue=0, **WINDOW)
    set_pixels(made, np.where(grey8() < 40, 0, grey12()).astype(np.uint16).tobytes())
    return saved(made)


G12, S12, G8 = grey12(), signed12(), grey8()
CT = {"RescaleSlope": "1", "RescaleIntercept": "-1024"}

INPUTS: Sequence[Picture] = (
    _stored("8 bits, no window", G8),
    _stored("8 bits, MONOCHROME1, no window", G8, PhotometricInterpretation="MONOCHROME1"),
    _stored("8 bits, signed, no window", G8.view(np.int8)),
    _stored("8 bits in words of 16, no window", G8.astype(np.uint16), BitsStored=8, HighBit=7),
    _stored("8 bits, slope 2, no window", G8, RescaleSlope="2", RescaleIntercept="-10"),
    _stored("8 bits, slope -1, no window", G8, RescaleSlope="-1", RescaleIntercept="255"),
    _stored("6 bits, no window", G8 // 4, BitsStored=6, HighBit=5),
    Picture("1 bit, odd size", KIND, _one_bit, AS_STORED),
    _of("8 bits, window", G8, WindowCenter="100", WindowWidth="50"),
    _of("12 bits, window", G12, **TWELVE_BITS, **WINDOW),
    _of("12 bits, overlay in the high bits", G12 | 0xA000, **TWELVE_BITS, **WINDOW),
    _of("12 bits, HighBit 15", G12 << 4, BitsStored=12, HighBit=15, **WINDOW),
    _of("12 bits, HighBit 13, bits around", G12 << 2 | 0xC003, BitsStored=12, HighBit=13, **WINDOW),
    _of("10 bits, HighBit 11", G12 & 0xFFC, BitsStored=10, HighBit=11, **AROUND_0),
    _of(
        "12 bits signed, not extended",
        _masked(12),
        **TWELVE_BITS,
        **SIGNED,
        **AROUND_0,
    ),
    _of(
        "12 bits signed, HighBit 13",
        _masked(12) << 2 | 1,
        BitsStored=12,
        HighBit=13,
        **SIGNED,
        **AROUND_0,
    ),
    _of("16 bits signed, window", S12, **AROUND_0),
    _of("32 bits, window", G12.astype(np.uint32), **WINDOW),
    _of("32 bits signed, window", S12.astype(np.int32), **AROUND_0),
    _of("slope and intercept", S12, **CT, WindowCenter="-1000", WindowWidth="2000"),
    _of(
        "two windows, decimals",
        S12,
        RescaleSlope="1.5",
        RescaleIntercept="-1024.5",
        WindowCenter=["-900.5", "3"],
        WindowWidth=["200.25", "4"],
    ),
    _of("window of width 1", G12, **TWELVE_BITS, WindowCenter="2000", WindowWidth="1"),
    _of("SIGMOID", G12, **TWELVE_BITS, **WINDOW, VOILUTFunction="SIGMOID"),
    _of("LINEAR_EXACT", G12, **TWELVE_BITS, **WINDOW, VOILUTFunction="LINEAR_EXACT"),
    _of("MONOCHROME1", G12, **TWELVE_BITS, **WINDOW, PhotometricInterpretation="MONOCHROME1"),
    _of("presentation LUT INVERSE", G12, **TWELVE_BITS, **WINDOW, PresentationLUTShape="INVERSE"),
    _of(
        "MONOCHROME1, presentation LUT INVERSE",
        G12,
        **TWELVE_BITS,
        **WINDOW,
        PhotometricInterpretation="MONOCHROME1",
        PresentationLUTShape="INVERSE",
    ),
    _of(
        "MONOCHROME1, presentation LUT IDENTITY",
        G12,
        **TWELVE_BITS,
        **WINDOW,
        PhotometricInterpretation="MONOCHROME1",
        PresentationLUTShape="IDENTITY",
    ),
    Picture("padding value", KIND, _padded, WINDOWED),
    Picture("12 bits, no window", KIND, partial(plain, G12, **TWELVE_BITS), percentiles(grey12)),
    Picture("16 bits signed, no window", KIND, partial(plain, S12), percentiles(signed12)),
    Picture(
        "float pixels", KIND, partial(_float_file, "FloatPixelData", "f4", 32), percentiles(_floats)
    ),
    Picture(
        "double float pixels",
        KIND,
        partial(_float_file, "DoubleFloatPixelData", "f8", 64),
        percentiles(_floats),
    ),
)

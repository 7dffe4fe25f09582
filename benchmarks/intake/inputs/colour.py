"""Colour without compression: every photometric interpretation and order of samples."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from benchmarks.intake.contract import Picture
from benchmarks.intake.files import (
    Pixels,
    colours,
    dataset,
    halved,
    noise,
    plain,
    saved,
    set_pixels,
    with_bytes,
    ybr,
)
from benchmarks.intake.truth import dcm2pnm, dcm2pnm_of, source

KIND = "colour"
RGB, NOISE = colours(), noise()
DEEP = NOISE.astype(np.uint16) * 257


def _planes(pixels: Pixels) -> bytes:
    return pixels.transpose(2, 0, 1).tobytes()


def _without_planar() -> bytes:
    made = dataset(RGB)
    del made.PlanarConfiguration
    return saved(made)


def _four(photometric: str) -> bytes:
    made = dataset(RGB, PhotometricInterpretation=photometric, SamplesPerPixel=4)
    set_pixels(made, np.dstack([RGB, RGB[..., :1]]).tobytes())
    return saved(made)


def _full(pixels: Pixels) -> bytes:
    return plain(pixels, PhotometricInterpretation="YBR_FULL")


def _three_bytes() -> bytes:
    return plain(NOISE, PhotometricInterpretation="YBR_FULL_422")


INPUTS: Sequence[Picture] = (
    Picture("RGB", KIND, partial(plain, RGB), dcm2pnm()),
    Picture(
        "RGB in planes",
        KIND,
        lambda: with_bytes(RGB, _planes(RGB), PlanarConfiguration=1),
        dcm2pnm(),
    ),
    Picture("RGB without PlanarConfiguration", KIND, _without_planar, source(colours)),
    Picture("RGB, 16 bits", KIND, partial(plain, DEEP), dcm2pnm()),
    Picture("RGB, 12 bits", KIND, partial(plain, DEEP >> 4, BitsStored=12, HighBit=11), dcm2pnm()),
    Picture("RGB, 7 bits", KIND, partial(plain, RGB // 2, BitsStored=7, HighBit=6), dcm2pnm()),
    Picture("YBR_FULL", KIND, lambda: _full(ybr(RGB)), dcm2pnm()),
    Picture("YBR_FULL, noise", KIND, partial(_full, NOISE), dcm2pnm()),
    Picture(
        "YBR_FULL in planes",
        KIND,
        lambda: with_bytes(
            NOISE, _planes(NOISE), PhotometricInterpretation="YBR_FULL", PlanarConfiguration=1
        ),
        dcm2pnm(),
    ),
    Picture(
        "YBR_FULL, 16 bits",
        KIND,
        partial(plain, DEEP, PhotometricInterpretation="YBR_FULL"),
        dcm2pnm(),
    ),
    Picture(
        "YBR_FULL_422, two bytes a pixel",
        KIND,
        lambda: with_bytes(NOISE, halved(NOISE), PhotometricInterpretation="YBR_FULL_422"),
        dcm2pnm(),
    ),
    Picture(
        "YBR_FULL_422, three bytes a pixel",
        KIND,
        _three_bytes,
        dcm2pnm_of(partial(_full, NOISE), "as YBR_FULL"),
    ),
    Picture(
        "YBR_PARTIAL_422",
        KIND,
        lambda: with_bytes(NOISE, halved(NOISE), PhotometricInterpretation="YBR_PARTIAL_422"),
        dcm2pnm(),
    ),
    Picture("CMYK", KIND, partial(_four, "CMYK"), None),
    Picture("ARGB", KIND, partial(_four, "ARGB"), None),
    Picture("HSV", KIND, partial(plain, RGB, PhotometricInterpretation="HSV"), None),
)

"""Decoded samples to a picture: what channels mean, and the rule that shows them, by name.

Values change by these rules only: grey of up to 8 bits spans black to white, deep grey is windowed,
deep colour of whole numbers keeps its highest 8 bits (unless a window is asked for), other deep
colour is windowed, alpha is composited over black, CMYK and YCbCr become RGB by the plain formulas.
Of channels without a colour the first three are red, green and blue; of two the first is grey.
"""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from segmenter.contract import RgbImage
from segmenter.formats.decoded import Window, join_rules
from segmenter.formats.grey_levels import (
    AS_ASKED,
    HIGH_BYTE,
    Grey,
    Ramp,
    Stored,
    bands,
    exact_window,
    ramp,
)
from segmenter.formats.percentiles import cut, non_zero_ramp

Sample = TypeVar("Sample", bound=np.generic)
Kind = Literal["grey", "rgb", "palette", "cmyk", "ycbcr"]
# Samples of a pixel that are its colour.
COLOURS: dict[Kind, int] = {"grey": 1, "rgb": 3, "palette": 1, "cmyk": 4, "ycbcr": 3}
CMYK_FORMULA = "CMYK to RGB without profile"
YCBCR_FORMULA = "YCbCr to RGB"
ALPHA = "alpha over black"
INVERTED = "inverted (white is zero)"
EACH_BY_ITS_OWN = "each channel by its own"
# Bits of grey that are as good as black and white or a few shades; others are told.
USUAL_BITS = (1, 2, 4, 8)

# EXIF orientation to what puts a picture upright: whether rows and columns are swapped, and which
# of them, then, run backwards. Source: EXIF 2.32, tag 0x0112.
_UPRIGHT = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


class Meaning(NamedTuple):
    """What the samples of a pixel are.

    Attributes:
        kind: of the colour that comes first; a palette's samples are numbers of colours.
        channels: samples of a pixel in the file; of those not shown an array may lack the last.
        bits: of a sample, as stored; what lies above them is 0.
        alpha: of the sample behind the colour; None if it is no alpha.
        white_is_zero: whether low values are white.
        palette: uint8, shape (N, 3), RGB.
    """

    kind: Kind
    channels: int
    bits: int
    alpha: Literal["straight", "premultiplied"] | None = None
    white_is_zero: bool = False
    palette: npt.NDArray[np.uint8] | None = None


class Look(NamedTuple):
    """How samples are shown.

    Attributes:
        channels: that are shown.
        ramps: of each of them, where they are windowed.
        drop: bits that are left out below the highest 8; None where samples are windowed.
        rule: its name.
    """

    channels: tuple[int, ...]
    ramps: tuple[Ramp, ...] | None
    drop: int
    rule: str | None


# Goes through the samples of all pages anew, each shape (H, W, C).
AllSamples = Callable[[], Iterable[Stored]]


def choose_look(
    samples: AllSamples, meaning: Meaning, dtype: np.dtype[np.number], window: Window | None
) -> Look:
    """Choose the rule that shows all pages alike.

    Args:
        samples: of all pages.
        meaning: of them.
        dtype: of them.
        window: asked for by the caller, for deep samples.

    Raises:
        BrokenImage: no number is finite.
    """
    channels, dropped = _shown_channels(meaning)
    flat = dtype.kind == "u" and meaning.bits <= 8
    if meaning.kind == "palette" or flat:
        scaled = meaning.kind != "palette" and meaning.bits not in USUAL_BITS
        rule = f"{meaning.bits} bits spread over 8" if scaled else None
        return Look(channels, None, 0, join_rules(rule, dropped))
    if window is not None:
        ramps = (exact_window(*window),) * len(channels)
        return Look(channels, ramps, 0, join_rules(AS_ASKED, dropped))
    if COLOURS[meaning.kind] > 1 and dtype.kind == "u" and meaning.bits <= 16:
        rule = HIGH_BYTE if meaning.bits == 16 else f"highest 8 of {meaning.bits} bits"
        return Look(channels, None, meaning.bits - 8, join_rules(rule, dropped))
    if COLOURS[meaning.kind] > 1:
        slope, rule = non_zero_ramp(lambda: _values(samples, channels), "pixel")
        return Look(channels, (slope,) * len(channels), 0, join_rules(rule, dropped))
    found = [_own_ramp(samples, channel) for channel in channels]
    rules = join_rules(found[0][1], EACH_BY_ITS_OWN if len(channels) > 1 else None, dropped)
    return Look(channels, tuple(slope for slope, _ in found), 0, rules)


def show(samples: Stored, meaning: Meaning, look: Look) -> tuple[RgbImage, str | None]:
    """Show samples by a rule; return uint8, shape (H, W, 3), RGB, and the names of all rules.

    Args:
        samples: shape (H, W, C).
        meaning: of them.
        look: chosen for them.
    """
    height, width = samples.shape[:2]
    pixels = np.empty((height, width, 3), np.uint8)
    opaque = True
    for rows in bands(samples.shape):
        pixels[rows], covers = _shown(samples[rows], meaning, look)
        opaque = opaque and covers
    formula = {"cmyk": CMYK_FORMULA, "ycbcr": YCBCR_FORMULA}.get(meaning.kind)
    inverted = INVERTED if meaning.white_is_zero and meaning.kind == "grey" else None
    return pixels, join_rules(look.rule, formula, inverted, None if opaque else ALPHA)


def upright(pixels: npt.NDArray[Sample], orientation: int) -> npt.NDArray[Sample]:
    """Put a picture upright: a view of shape (H, W) or (H, W, 3), or with W before H."""
    swap, rows, columns = _UPRIGHT[orientation]
    turned = pixels.swapaxes(0, 1) if swap else pixels
    return turned[:: -1 if rows else 1, :: -1 if columns else 1]


def turn_rule(orientation: int) -> str | None:
    """Name a turn."""
    return f"turned by EXIF orientation {orientation}" if orientation > 1 else None


def ycbcr_to_rgb(pixels: npt.NDArray[np.uint8]) -> RgbImage:
    """Apply JPEG's formula, full range. Source: ITU-T T.871, 7.

    Args:
        pixels: uint8, shape (H, W, 3).
    """
    luma, blue, red = np.moveaxis(pixels.astype(np.float32), 2, 0)
    blue, red = blue - 128, red - 128
    colours = (
        luma + 1.402 * red,
        luma - 0.344136 * blue - 0.714136 * red,
        luma + 1.772 * blue,
    )
    rgb: RgbImage = np.clip(np.rint(np.stack(colours, axis=2)), 0, 255).astype(np.uint8)
    return rgb


def _shown_channels(meaning: Meaning) -> tuple[tuple[int, ...], str | None]:
    """Return which channels are shown as colours, and a name for leaving others out."""
    colours = COLOURS[meaning.kind]
    left = meaning.channels - colours - (meaning.alpha is not None)
    if not left:
        return tuple(range(colours)), None
    if meaning.kind == "grey" and meaning.channels > 2:
        of = f"channels 1 to 3 of {meaning.channels} as red, green and blue"
        return (0, 1, 2), of
    if colours == 1:
        return (0,), f"channel 1 of {meaning.channels}"
    return tuple(range(colours)), f"channels 1 to {colours} of {meaning.channels}"


def _own_ramp(samples: AllSamples, channel: int) -> tuple[Ramp, str]:
    return non_zero_ramp(lambda: _values(samples, (channel,)), "pixel")


def _values(samples: AllSamples, channels: tuple[int, ...]) -> Iterable[Stored]:
    for each in samples():
        for rows in bands(each.shape):
            for channel in channels:
                yield from cut(each[rows, :, channel].ravel())


def _shown(samples: Stored, meaning: Meaning, look: Look) -> tuple[RgbImage, bool]:
    """Show some rows; tell whether all of them are opaque."""
    colours = _colours(samples, meaning, look)
    if meaning.alpha is None:
        return colours, True
    alpha = _grey(samples[:, :, COLOURS[meaning.kind]], meaning.bits, None, 0)
    if meaning.alpha == "straight":
        # Opaque ones come out as they are.
        shaded = colours.astype(np.uint16) * alpha[:, :, None] + 127
        colours = (shaded // 255).astype(np.uint8)
    return colours, int(alpha.min()) == 255


def _colours(samples: Stored, meaning: Meaning, look: Look) -> RgbImage:
    if meaning.palette is not None:
        last = len(meaning.palette) - 1
        colours: RgbImage = meaning.palette[np.minimum(samples[:, :, 0], last)]
        return colours
    planes = [
        _grey(
            samples[:, :, channel],
            meaning.bits,
            None if look.ramps is None else look.ramps[number],
            look.drop,
        )
        for number, channel in enumerate(look.channels)
    ]
    if meaning.white_is_zero and meaning.kind == "grey":
        planes = [255 - plane for plane in planes]
    shown = np.stack(planes * 3 if len(planes) == 1 else planes, axis=2)
    if meaning.kind == "ycbcr":
        return ycbcr_to_rgb(shown)
    if meaning.kind == "cmyk":
        ink, black = (
            255 - shown[:, :, :3].astype(np.uint16),
            255 - shown[:, :, 3:].astype(np.uint16),
        )
        return ((ink * black + 127) // 255).astype(np.uint8)
    return shown


def _grey(values: Stored, bits: int, slope: Ramp | None, drop: int) -> Grey:
    """Return uint8, shape (H, W), of samples."""
    if slope is not None:
        return ramp(values.astype(np.float64), *slope)
    if drop or bits > 8:
        high: Grey = np.right_shift(values, max(drop, bits - 8)).astype(np.uint8)
        return high
    if bits == 8:
        return values.astype(np.uint8, copy=False)
    return (values.astype(np.uint16) * 255 // ((1 << bits) - 1)).astype(np.uint8)

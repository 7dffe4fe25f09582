"""Stored values to grey levels: every rule by which a deep image becomes uint8, by name."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from segmenter.contract import RgbImage

Values = npt.NDArray[np.float64]
Grey = npt.NDArray[np.uint8]
Tone = Callable[[Values], Grey]
Stored = npt.NDArray[np.number]

# Source: MedSAM's preprocessing (Ma et al. 2024, Nat. Commun. 15:654, Methods).
LOW_PERCENT, HIGH_PERCENT = 0.5, 99.5
PERCENTILES = "window at percentiles 0.5 and 99.5"
AS_ASKED = "window as asked"
FULL_RANGE = "full range"
HIGH_BYTE = "high byte of 16-bit samples"

# Work in float64 on so many values at a time: with the copies that a rule makes some 20 MiB, where
# the largest image whole would take 1.6 GiB. Fewer are no faster.
BAND_VALUES = 500_000
STRIPS_BYTES = 24 * 2**20
# A shown pixel: its grey and three channels of it.
SHOWN_BYTES = 4


def as_high_bits(bits: int) -> str:
    """Name the rule by which values of up to 8 bits become the highest of 8."""
    return f"the {bits} stored bits as the highest of 8" if bits < 8 else "from lowest to highest"


class Ramp(NamedTuple):
    """Values up to `low` are black, values from `high` on are white, linear between."""

    low: float
    high: float


def ramp(values: Values, low: float, high: float) -> Grey:
    """Map values to [0, 255] along a ramp; NaN is black. A ramp without width is a step.

    Args:
        values: float64, any shape.
        low: values at or below it are 0.
        high: values at or above it are 255.
    """
    if not high > low:
        return np.where(values > low, np.uint8(255), np.uint8(0))
    # Divided first: a range near the end of float64 must not overflow.
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.rint(np.nan_to_num(share) * 255.0).astype(np.uint8)


def linear_window(center: float, width: float) -> Ramp:
    """Return DICOM's LINEAR window, width >= 1. Source: PS3.3, C.11.2.1.2.1."""
    return Ramp(center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2)


def exact_window(center: float, width: float) -> Ramp:
    """Return DICOM's LINEAR_EXACT window, width > 0. Source: PS3.3, C.11.2.1.3.2."""
    return Ramp(center - width / 2, center + width / 2)


def sigmoid(values: Values, center: float, width: float) -> Grey:
    """Map values along DICOM's SIGMOID function, width > 0. Source: PS3.3, C.11.2.1.3.1."""
    exponent = np.clip(-4.0 * (values - center) / width, -700.0, 700.0)
    return np.rint(255.0 / (1.0 + np.exp(exponent))).astype(np.uint8)


def percentile_ramp(picture: Stored, everything: Stored) -> tuple[Ramp, str]:
    """Window that leaves out half a percent at either end, and the name of the rule.

    Outliers (metal, a hot pixel, burned-in markers) would otherwise flatten the rest. Where there
    is no picture but background, or the percentiles coincide, the whole range is taken.

    Args:
        picture: the finite values that are no background, shape (N,).
        everything: all finite values, at least one.
    """
    if picture.size:
        low, high = np.percentile(picture, (LOW_PERCENT, HIGH_PERCENT))
        if high > low:
            return Ramp(float(low), float(high)), PERCENTILES
    return Ramp(float(everything.min()), float(everything.max())), FULL_RANGE


def in_bands(stored: Stored, tone: Tone, *, inverted: bool = False) -> Grey:
    """Apply a rule band by band of rows.

    Args:
        stored: shape (H, W), any number type.
        tone: rule for float64 values.
        inverted: whether low values are white.
    """
    grey = np.empty(stored.shape, dtype=np.uint8)
    for rows in bands(stored.shape):
        grey[rows] = tone(stored[rows].astype(np.float64))
    return np.subtract(255, grey, out=grey) if inverted else grey


def bands(shape: tuple[int, ...]) -> Iterator[slice]:
    """Cut the rows of an array into bands of at most about `BAND_VALUES` values."""
    height = shape[0]
    step = max(1, BAND_VALUES * height // max(1, int(np.prod(shape))))
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def to_rgb(grey: Grey) -> RgbImage:
    """Repeat grey (H, W) into RGB (H, W, 3)."""
    return np.repeat(grey[:, :, None], 3, axis=2)

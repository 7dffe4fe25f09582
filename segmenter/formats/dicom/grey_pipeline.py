"""DICOM's grey pipeline: stored values, modality values, window, polarity.

Source: PS3.4, N.2 (pixel transformation sequence).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi

from segmenter.errors import BrokenImage
from segmenter.formats.decoded import Window, join_rules
from segmenter.formats.dicom.values import numbers, of_first_frame
from segmenter.formats.grey_levels import (
    Grey,
    Ramp,
    Stored,
    Tone,
    Values,
    exact_window,
    in_bands,
    linear_window,
    percentile_ramp,
    ramp,
    sigmoid,
)

FROM_TAGS = "window from tags"
FROM_LUT = "VOI LUT from tags"
AS_ASKED = "window as asked"
INVERTED = "inverted (MONOCHROME1)"


class _Rescale(NamedTuple):
    slope: float
    intercept: float

    def __call__(self, stored: Values) -> Values:
        return stored * self.slope + self.intercept


def render_grey(
    stored: Stored, header: Dataset, *, inverted: bool, window: Window | None
) -> tuple[Grey, str]:
    """Return uint8 (H, W) and the names of the rules.

    Args:
        stored: integers as stored, shape (H, W).
        header: the attributes.
        inverted: MONOCHROME1, the lowest value is white.
        window: instead of the file's own.
    """
    values, rescale = _modality(stored, header)
    tone, rule = _tone(values, header, rescale, window)
    grey = in_bands(values, lambda band: tone(rescale(band)))
    if inverted:
        np.subtract(255, grey, out=grey)
    return grey, join_rules(rule, INVERTED if inverted else None)


def modality_values(stored: Stored, header: Dataset) -> npt.NDArray[np.float32]:
    """Return modality values (Hounsfield for CT) of stored ones: float32, same shape."""
    values, rescale = _modality(stored, header)
    return rescale(values.astype(np.float64)).astype(np.float32)


def tag_window(header: Dataset) -> tuple[float, float] | None:
    """Return centre and width of the first LINEAR window of the tags; None without one."""
    holder = of_first_frame(header, "FrameVOILUTSequence", "WindowCenter")
    centers, widths = numbers(holder, "WindowCenter"), numbers(holder, "WindowWidth")
    linear = (holder.get("VOILUTFunction") or "LINEAR") == "LINEAR"
    return (centers[0], widths[0]) if centers and widths and widths[0] >= 1 and linear else None


def _modality(stored: Stored, header: Dataset) -> tuple[Stored, _Rescale]:
    """Apply a modality LUT, or return what slope and intercept say."""
    if header.get("ModalityLUTSequence"):
        return apply_modality_lut(stored, header), _Rescale(1.0, 0.0)
    sequence = "PixelValueTransformationSequence"
    holder = of_first_frame(header, sequence, "RescaleSlope")
    slope, intercept = numbers(holder, "RescaleSlope"), numbers(holder, "RescaleIntercept")
    rescale = _Rescale(slope[0] if slope else 1.0, intercept[0] if intercept else 0.0)
    if rescale.slope == 0.0:
        raise BrokenImage("a rescale slope of 0")
    return stored, rescale


def _tone(
    values: Stored, header: Dataset, rescale: _Rescale, window: Window | None
) -> tuple[Tone, str]:
    if window is not None:
        return _along(exact_window(*window)), AS_ASKED
    if header.get("VOILUTSequence"):
        return _voi_lut(header), FROM_LUT
    tone = _tag_window(header)
    if tone is not None:
        return tone, FROM_TAGS
    (low, high), rule = percentile_ramp(_without_padding(values, header), values)
    ends = rescale(np.array([low, high]))
    return _along(Ramp(float(ends.min()), float(ends.max()))), rule


def _along(slope: Ramp) -> Tone:
    return lambda values: ramp(values, *slope)


def _tag_window(header: Dataset) -> Tone | None:
    """Return the first window of the tags, or None if there is no valid one."""
    holder = of_first_frame(header, "FrameVOILUTSequence", "WindowCenter")
    centers, widths = numbers(holder, "WindowCenter"), numbers(holder, "WindowWidth")
    if not centers or not widths:
        return None
    center, width = centers[0], widths[0]
    function = holder.get("VOILUTFunction") or "LINEAR"
    if function == "SIGMOID" and width > 0:
        return lambda values: sigmoid(values, center, width)
    if function == "LINEAR_EXACT" and width > 0:
        return _along(exact_window(center, width))
    return _along(linear_window(center, width)) if width >= 1 else None


def _voi_lut(header: Dataset) -> Tone:
    """Return the first VOI LUT, its output scaled to [0, 255]. Source: PS3.3, C.11.2.1.1."""
    bits = header.VOILUTSequence[0].LUTDescriptor[2]
    if not 8 <= bits <= 16:
        raise BrokenImage(f"a VOI LUT of {bits} bits")
    top = float(2**bits - 1)

    def tone(values: Values) -> Grey:
        looked_up = apply_voi(np.rint(values).astype(np.int64), header)
        return ramp(looked_up.astype(np.float64), 0.0, top)

    return tone


def is_picture(stored: Stored, header: Dataset) -> npt.NDArray[np.bool_]:
    """Tell which stored values are no padding: bool, same shape."""
    padding = numbers(header, "PixelPaddingValue")
    if not padding:
        return np.ones(stored.shape, dtype=np.bool_)
    limit = numbers(header, "PixelPaddingRangeLimit") or padding
    low, high = sorted((padding[0], limit[0]))
    return np.asarray((stored < low) | (stored > high))


def _without_padding(values: Stored, header: Dataset) -> npt.NDArray[np.number]:
    """Return the values that are picture: padding left out.

    Source: PS3.3, C.7.5.1.1.2 (Pixel Padding Value and Range Limit).
    """
    padding = numbers(header, "PixelPaddingValue")
    if not padding or header.get("ModalityLUTSequence"):
        return values.ravel()
    limit = numbers(header, "PixelPaddingRangeLimit") or padding
    low, high = sorted((padding[0], limit[0]))
    return values[(values < low) | (values > high)]

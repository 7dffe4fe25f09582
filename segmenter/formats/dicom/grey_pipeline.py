"""DICOM's grey pipeline: stored values, modality values, window, polarity.

Source: PS3.4, N.2 (pixel transformation sequence).
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from segmenter.errors import BrokenImage
from segmenter.formats.decoded import Window, join_rules
from segmenter.formats.dicom.lookup_tables import LookupTable, read_table
from segmenter.formats.dicom.values import is_stated, numbers, of_frame
from segmenter.formats.grey_levels import (
    AS_ASKED,
    Grey,
    Ramp,
    Stored,
    Tone,
    Values,
    as_high_bits,
    bands,
    exact_window,
    in_bands,
    linear_window,
    ramp,
    sigmoid,
)
from segmenter.formats.percentiles import Piece, cut, streamed_ramp

FROM_TAGS = "window from tags"
FROM_LUT = "VOI LUT from tags"
INVERTED = "inverted (MONOCHROME1)"
# Up to as many bits are shown as they are: every value has a grey level of its own.
SHOWN_BITS = 8
_Rescale = Callable[[Values], Values]


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
    grey = in_bands(values, lambda band: tone(rescale(band)), inverted=inverted)
    return grey, join_rules(rule, INVERTED if inverted else None)


def modality_values(stored: Stored, header: Dataset) -> npt.NDArray[np.float32]:
    """Return modality values (Hounsfield for CT) of stored ones: float32, same shape."""
    values, rescale = _modality(stored, header)
    rescaled = np.empty(values.shape, np.float32)
    for rows in bands(values.shape):
        rescaled[rows] = rescale(values[rows].astype(np.float64))
    return rescaled


def tag_window(header: Dataset) -> tuple[float, float] | None:
    """Return centre and width of the first LINEAR window of the tags; None without one."""
    function, center, width = _stated_window(header)
    return (center, width) if function == "LINEAR" and width >= 1 else None


def is_inverted(header: Dataset, photometric: str) -> bool:
    """Tell whether the lowest value is white.

    A presentation LUT shape says so for good: where it is missing MONOCHROME1 does, of which
    it must be the inverse (PS3.3, C.8.11.1.1.2).
    """
    shape = str(header.get("PresentationLUTShape") or "").strip()
    return shape == "INVERSE" if shape in ("IDENTITY", "INVERSE") else photometric == "MONOCHROME1"


def full_range(header: Dataset) -> tuple[Ramp, str | None] | None:
    """Return how pictures of few bits are shown without a window, and the rule's name.

    Every value that the bits can hold has a grey level of its own, so nothing is chosen; of a
    modality LUT all values that its entries can have are shown. None for deeper pictures.
    """
    bits = header.get("BitsStored") or header.get("BitsAllocated") or 0
    if bits > SHOWN_BITS:
        return None
    if header.get("ModalityLUTSequence"):
        table = _modality_table(header)
        return Ramp(0.0, 2.0**table.bits - 1), as_high_bits(SHOWN_BITS)
    rescale = rescale_of(header)
    ends = rescale(np.array(_stored_range(header, bits)))
    plain = bits == SHOWN_BITS and not _is_signed(header) and ends[0] < ends[1]
    rule = None if plain else as_high_bits(bits)
    low, step = float(ends.min()), float(np.ptp(ends)) / (2**bits - 1)
    # The bits below are 0, as in DCMTK: one bit gives black and a middle grey.
    return Ramp(low, low + step * 255 / 2 ** (SHOWN_BITS - bits)), rule


def _is_signed(header: Dataset) -> bool:
    return bool(header.get("PixelRepresentation") == 1)


def _stored_range(header: Dataset, bits: int) -> tuple[float, float]:
    """Return the smallest and the largest value that so many bits hold."""
    if _is_signed(header):
        return -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1


def _modality(stored: Stored, header: Dataset) -> tuple[Stored, _Rescale]:
    """Apply a modality LUT, or return what slope and intercept say."""
    if header.get("ModalityLUTSequence"):
        return _modality_table(header).look_up(stored), lambda values: values
    return stored, rescale_of(header)


def _modality_table(header: Dataset) -> LookupTable:
    return read_table(header.ModalityLUTSequence[0], header, signed=_is_signed(header))


def rescale_of(header: Dataset) -> _Rescale:
    """Return what slope and intercept say.

    Raises:
        BrokenImage: they are no numbers, or the slope is 0.
    """
    holder = of_frame(header, "PixelValueTransformationSequence", "RescaleSlope")
    slope = _stated_number(holder, "RescaleSlope", 1.0)
    intercept = _stated_number(holder, "RescaleIntercept", 0.0)
    if slope == 0.0:
        raise BrokenImage("a rescale slope of 0")
    return lambda values: values * slope + intercept


def _stated_number(holder: Dataset, keyword: str, default: float) -> float:
    """Return a number, or the default where there is none.

    Raises:
        BrokenImage: there is something else. Left out, every value would be off without a word.
    """
    found = numbers(holder, keyword)
    if not found and is_stated(holder, keyword):
        raise BrokenImage(
            f"the DICOM attribute {keyword} is no number, such as -1024.5 with a point: the values"
            " of the pixels are unknown; export the file anew"
        )
    return found[0] if found else default


def _tone(
    values: Stored, header: Dataset, rescale: _Rescale, window: Window | None
) -> tuple[Tone, str | None]:
    if window is not None:
        return _along(exact_window(*window)), AS_ASKED
    if header.get("VOILUTSequence"):
        return _voi_lut(header, rescale), FROM_LUT
    tone = _tag_window(header)
    if tone is not None:
        return tone, FROM_TAGS
    shown = full_range(header)
    if shown is not None:
        return _along(shown[0]), shown[1]
    # Padding is a stored value, so nothing can be told behind a modality LUT.
    told = "PixelPaddingValue" in header and not header.get("ModalityLUTSequence")

    def pieces() -> Iterator[Piece]:
        for some in cut(values.ravel()):
            finite = some[np.isfinite(some)]
            yield Piece(finite[is_picture(finite, header)] if told else finite, finite)

    found = streamed_ramp(pieces)
    if found is None:
        raise BrokenImage("no pixel has a value")
    (low, high), rule = found
    ends = rescale(np.array([low, high]))
    return _along(Ramp(float(ends.min()), float(ends.max()))), rule


def _along(slope: Ramp) -> Tone:
    return lambda values: ramp(values, *slope)


def _tag_window(header: Dataset) -> Tone | None:
    """Return the first window of the tags, or None if there is no valid one."""
    function, center, width = _stated_window(header)
    if function == "SIGMOID" and width > 0:
        return lambda values: sigmoid(values, center, width)
    if function == "LINEAR_EXACT" and width > 0:
        return _along(exact_window(center, width))
    return _along(linear_window(center, width)) if width >= 1 else None


def _stated_window(header: Dataset) -> tuple[str, float, float]:
    """Return function, centre and width of the first window of the tags; a width of 0 is none."""
    holder = of_frame(header, "FrameVOILUTSequence", "WindowCenter")
    centers, widths = numbers(holder, "WindowCenter"), numbers(holder, "WindowWidth")
    function = holder.get("VOILUTFunction") or "LINEAR"
    return (function, centers[0], widths[0]) if centers and widths else (function, 0.0, 0.0)


def _voi_lut(header: Dataset, rescale: _Rescale) -> Tone:
    """Return the first VOI LUT, its output scaled to [0, 255]. Source: PS3.3, C.11.2.1.1."""
    bits = header.get("BitsStored") or header.get("BitsAllocated") or 0
    ends = rescale(np.array(_stored_range(header, bits)))
    signed = not header.get("ModalityLUTSequence") and bool(ends.min() < 0)
    table = read_table(header.VOILUTSequence[0], header, signed=signed)
    top = float(2**table.bits - 1)

    def tone(values: Values) -> Grey:
        return ramp(table.look_up(np.rint(values)).astype(np.float64), 0.0, top)

    return tone


def is_picture(stored: Stored, header: Dataset) -> npt.NDArray[np.bool_]:
    """Tell which stored values are no padding: bool, same shape.

    Source: PS3.3, C.7.5.1.1.2 (Pixel Padding Value and Range Limit).
    """
    padding = numbers(header, "PixelPaddingValue")
    if not padding:
        return np.ones(stored.shape, dtype=np.bool_)
    limit = numbers(header, "PixelPaddingRangeLimit") or padding
    low, high = sorted(_as_stored(value, header) for value in (padding[0], limit[0]))
    return np.asarray((stored < low) | (stored > high))


def _as_stored(value: float, header: Dataset) -> float:
    """Return a padding value with the sign of the pixels: not every writer looked at it."""
    whole = 2.0 ** (header.get("BitsAllocated") or 16)
    if _is_signed(header):
        return value - whole if value >= whole / 2 else value
    return value + whole if value < 0 else value

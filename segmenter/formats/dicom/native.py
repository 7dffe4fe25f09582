"""Uncompressed pixel data to stored values, and stored words to the numbers in them.

Source: PS3.5, 8.1.1 (pixel cells: BitsAllocated, BitsStored, HighBit) and PS3.3, C.7.6.3.1.
"""

import sys
from typing import NamedTuple

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset

from segmenter.errors import BrokenImage
from segmenter.formats.dicom.layout import Layout
from segmenter.formats.grey_levels import Stored

# Two pixels share their colour: Y Y Cb Cr. Source: PS3.3, C.7.6.3.1.2.
HALVED = ("YBR_FULL_422", "YBR_PARTIAL_422")
_FLOATS = {32: "f4", 64: "f8"}


class _Cells(NamedTuple):
    """Where a frame's pixel cells lie in the pixel data."""

    bits_of_frame: int
    halved: bool


def native_frame(header: Dataset, layout: Layout, index: int) -> tuple[Stored, str]:
    """Return a frame's words as stored, (H, W) or (H, W, 3), and the photometric they are in.

    Raises:
        BrokenImage: the pixel data are shorter than the attributes say.
    """
    pixels = header.PixelData
    cells = _cells(len(pixels), layout)
    if layout.bits_allocated == 1:
        return _bits(pixels, header, layout, index), layout.photometric
    size = cells.bits_of_frame // 8
    frame = memoryview(pixels)[index * size : (index + 1) * size]
    if _swapped(header, layout):
        frame = _from_words(pixels, index * size, size)
    words = np.frombuffer(frame, _dtype(header, layout))
    photometric = layout.photometric
    if cells.halved:
        return _doubled(words, layout), photometric.replace("_422", "")
    if layout.samples == 1:
        return words.reshape(layout.rows, layout.columns), photometric
    if header.get("PlanarConfiguration") == 1:
        planes = words.reshape(layout.samples, layout.rows, layout.columns)
        return planes.transpose(1, 2, 0), photometric.replace("_422", "")
    shape = (layout.rows, layout.columns, layout.samples)
    return words.reshape(shape), photometric.replace("_422", "")


def full_422(length: int, layout: Layout) -> bool:
    """Tell whether pixel data called 4:2:2 hold three samples for each pixel all the same."""
    pixels = layout.rows * layout.columns * layout.frames
    return layout.photometric in HALVED and length >= pixels * 3 * layout.bits_allocated // 8


def stored_values(words: Stored, bits: int, layout: Layout) -> Stored:
    """Return the numbers in pixel cells: shifted down from HighBit, masked, and signed.

    Args:
        words: integers, any shape, or floats, which come back as they are.
        bits: that each of them holds; above BitsStored they are overlays, or what a sign left.
        layout: of the attributes.
    """
    if words.dtype.kind == "f":
        floats = words.astype(words.dtype.newbyteorder("="))
        # Some of the values that are no number would warn wherever they are converted.
        floats[np.isnan(floats)] = np.nan
        return floats
    native = words.astype(words.dtype.newbyteorder("="), copy=False)
    size, stored = native.dtype.itemsize, layout.bits_stored
    whole = native.view(f"u{size}")
    shift = layout.shift if bits > stored else 0
    if shift == 0 and stored >= 8 * size and not (stored > 8 * size and layout.signed):
        return whole.view(f"i{size}") if layout.signed else whole
    cells: Stored = (whole >> shift) & whole.dtype.type(min(2**stored, 2 ** (8 * size)) - 1)
    if not layout.signed:
        return cells
    if stored > 8 * size:
        return native
    sign = whole.dtype.type(2 ** (stored - 1))
    values: Stored = ((cells ^ sign) - sign).view(f"i{size}")
    return values


def _cells(length: int, layout: Layout) -> _Cells:
    """Return where the pixel cells of frames lie, after a check that they are all there."""
    halved = layout.photometric in HALVED and not full_422(length, layout)
    samples = 2 if halved else layout.samples
    bits = layout.rows * layout.columns * samples * layout.bits_allocated
    if halved and layout.rows * layout.columns % 2:
        raise BrokenImage(
            f"{layout.photometric} of {layout.columns} x {layout.rows} pixels, which are no pairs"
        )
    expected = (bits * layout.frames + 7) // 8
    if length < expected:
        raise BrokenImage(
            f"{length} bytes of pixel data where {layout.columns} x {layout.rows} x "
            f"{layout.samples} x {layout.frames} need {expected}"
        )
    return _Cells(bits, halved)


def _bits(pixels: bytes, header: Dataset, layout: Layout, index: int) -> Stored:
    """Return single bits, the first of a byte its lowest; frames follow without padding."""
    count = layout.rows * layout.columns
    first = index * count
    packed = np.frombuffer(pixels, "u1")
    if _swapped(header, layout):
        packed = packed[: len(packed) // 2 * 2].view("u2").byteswap().view("u1")
    packed = packed[first // 8 : (first + count + 7) // 8]
    bits = np.unpackbits(packed, bitorder="little")[first % 8 : first % 8 + count]
    return bits.reshape(layout.rows, layout.columns)


def _dtype(header: Dataset, layout: Layout) -> np.dtype[np.number]:
    little = header.file_meta.TransferSyntaxUID != uid.ExplicitVRBigEndian
    order = "<" if little else ">"
    if layout.floats:
        return np.dtype(order + _FLOATS[layout.bits_allocated])
    return np.dtype(f"{order}u{layout.bits_allocated // 8}")


def _swapped(header: Dataset, layout: Layout) -> bool:
    """Tell whether bytes lie in words of the other byte order. Source: PS3.5, annex D."""
    big = header.file_meta.TransferSyntaxUID == uid.ExplicitVRBigEndian
    words = header["PixelData"].VR == "OW"
    return big and words and layout.bits_allocated <= 8 and sys.byteorder == "little"


def _from_words(pixels: bytes, start: int, size: int) -> memoryview:
    """Return bytes out of words whose second byte comes first; frames may begin within a word."""
    at = start % 2
    words = pixels[start - at : start + size + 1]
    swapped = np.frombuffer(words + bytes(len(words) % 2), "u2").byteswap()
    return memoryview(swapped.tobytes())[at : at + size]


def _doubled(words: Stored, layout: Layout) -> Stored:
    """Give each pixel of a pair the colour that they share: uint, shape (H, W, 3)."""
    # Pairs go on from row to row.
    pairs = words.reshape(-1, 4)
    full = np.empty((len(pairs) * 2, 3), words.dtype)
    full[0::2, 0], full[1::2, 0] = pairs[:, 0], pairs[:, 1]
    full[0::2, 1:] = full[1::2, 1:] = pairs[:, 2:]
    return full.reshape(layout.rows, layout.columns, 3)

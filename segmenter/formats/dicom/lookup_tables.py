"""Look-up tables of DICOM: modality, VOI and palettes, however their entries are packed.

Source: PS3.3, C.11.1.1 (modality), C.11.2.1.1 (VOI) and C.7.6.3.1.5, C.7.6.3.1.6 (palettes).
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut

from segmenter.contract import RgbImage
from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.grey_levels import Stored, bands

Entries = npt.NDArray[np.int64]
_MOST_ENTRIES = 2**16
_BYTE, _WORD = 8, 16
PALETTE = "palette colour"
_COLOURS = ("Red", "Green", "Blue")


class LookupTable(NamedTuple):
    """One table.

    Attributes:
        first: the value that the first entry is for; smaller ones take it too.
        entries: int64, shape (N,).
        bits: of an entry.
    """

    first: int
    entries: Entries
    bits: int

    def look_up(self, values: npt.NDArray[np.generic]) -> Entries:
        """Return the entries of integer values; those outside take the first or the last."""
        index = np.clip(values.astype(np.int64) - self.first, 0, len(self.entries) - 1)
        return self.entries[index]


def read_table(item: Dataset, header: Dataset, *, signed: bool) -> LookupTable:
    """Read a modality or VOI LUT.

    Args:
        item: of the LUT's sequence.
        header: the attributes of the file.
        signed: whether the values that are looked up may be negative.

    Raises:
        BrokenImage: no descriptor, or entries that are not there.
    """
    return _table(item.get("LUTDescriptor"), item.get("LUTData"), header, signed=signed)


def through_palette(stored: Stored, header: Dataset) -> tuple[RgbImage, str]:
    """Look stored indices up in the palette: uint8, shape (H, W, 3), and the name of the rule.

    Args:
        stored: integers, shape (H, W).
        header: the attributes.

    Raises:
        BrokenImage: a damaged palette.
        UnsupportedImage: the file names a palette that it does not hold.
    """
    first, entries, bits = _palette(header)
    deep = bits > _BYTE and entries.max(initial=0) >= 2**_BYTE
    # By their high byte, but not those of 8 bits that call themselves 16: all would be black.
    colours = (entries >> (bits - _BYTE) if deep else entries).astype(np.uint8)
    pixels = np.empty((*stored.shape, 3), np.uint8)
    for rows in bands(stored.shape):
        index = np.clip(stored[rows].astype(np.int64) - first, 0, len(colours) - 1)
        pixels[rows] = colours[index]
    return pixels, PALETTE if deep or bits <= _BYTE else f"{PALETTE} of 8-bit entries"


def _palette(header: Dataset) -> tuple[int, Entries, int]:
    """Return the first index, the colours, shape (N, 3), and the bits of their entries."""
    if "SegmentedRedPaletteColorLookupTableData" in header:
        return _segmented_palette(header)
    if "RedPaletteColorLookupTableData" not in header:
        raise UnsupportedImage("a PALETTE COLOR picture whose palette is not in the file")
    signed = header.get("PixelRepresentation") == 1
    tables = [
        _table(
            header.get(f"{colour}PaletteColorLookupTableDescriptor"),
            header.get(f"{colour}PaletteColorLookupTableData"),
            header,
            signed=signed,
        )
        for colour in _COLOURS
    ]
    if len({(len(table.entries), table.first) for table in tables}) != 1:
        raise BrokenImage("the three palettes of a DICOM image are of different lengths")
    colours = np.stack([table.entries for table in tables], axis=1)
    return tables[0].first, colours, max(table.bits for table in tables)


def _segmented_palette(header: Dataset) -> tuple[int, Entries, int]:
    """Let pydicom expand a palette of segments. Source: PS3.3, C.7.9.2."""
    count, first, bits = _descriptor(
        header.get("RedPaletteColorLookupTableDescriptor"),
        signed=header.get("PixelRepresentation") == 1,
    )
    indices = np.arange(first, first + count, dtype=np.int64)
    return first, apply_color_lut(indices, header)[:, :3].astype(np.int64), bits


def _table(descriptor: object, stored: object, header: Dataset, *, signed: bool) -> LookupTable:
    count, first, bits = _descriptor(descriptor, signed=signed)
    entries = _entries(stored, count, header)
    largest = int(entries.max(initial=0)).bit_length()
    if bits == _BYTE and largest > _BYTE:
        # Entries of one byte, kept in the high or in both bytes of a word.
        entries, largest = entries >> _BYTE, _BYTE
    return LookupTable(first, entries, max(bits, largest))


def _descriptor(descriptor: object, *, signed: bool) -> tuple[int, int, int]:
    """Return the number of entries, the first value and the bits; 0 entries mean 65,536."""
    values = list(descriptor) if isinstance(descriptor, MultiValue | list) else []
    if len(values) != 3 or not all(isinstance(value, int) for value in values):
        raise BrokenImage("a DICOM look-up table without its descriptor")
    count, first, bits = values
    # Whether the first value is signed depends on the pixels, which not every writer looked at.
    first = (first + 2**15) % 2**16 - 2**15 if signed else first % 2**16
    if not 1 <= bits <= _WORD:
        raise BrokenImage(f"a DICOM look-up table of {bits} bits")
    return count % _MOST_ENTRIES or _MOST_ENTRIES, first, bits


def _entries(stored: object, count: int, header: Dataset) -> Entries:
    """Return entries, whether they are numbers, bytes, or words of one or two bytes."""
    if isinstance(stored, bytes):
        big = header.file_meta.TransferSyntaxUID == uid.ExplicitVRBigEndian
        if len(stored) < 2 * count:
            return _some(_bytes(stored, big=big), count)
        return _some(np.frombuffer(stored[: 2 * count], ">u2" if big else "<u2"), count)
    if stored is None:
        raise BrokenImage("a DICOM look-up table without its entries")
    numbers = stored if isinstance(stored, Iterable) else [stored]
    words = np.array([int(str(number)) % 2**16 for number in numbers], np.int64)
    if len(words) < count <= 2 * len(words):
        return _some(np.stack([words & 0xFF, words >> 8], axis=1).ravel(), count)
    return _some(words, count)


def _bytes(stored: bytes, *, big: bool) -> npt.NDArray[np.uint8]:
    """Return single bytes; in words of big endian the second comes first."""
    entries = np.frombuffer(stored, np.uint8)
    if big and len(entries) % 2 == 0:
        return entries.reshape(-1, 2)[:, ::-1].ravel()
    return entries


def _some(entries: npt.NDArray[np.generic], count: int) -> Entries:
    if len(entries) < count:
        raise BrokenImage(f"a DICOM look-up table of {len(entries)} entries where {count} are due")
    return entries[:count].astype(np.int64)

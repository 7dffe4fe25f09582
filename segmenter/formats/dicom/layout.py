"""Size and storage of a DICOM picture as its attributes declare them, checked."""

from typing import NamedTuple

from pydicom.dataset import Dataset

from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.limits import Limits, check_size

_GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_COLOUR = (
    *("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420"),
    *("YBR_RCT", "YBR_ICT"),
)
# Words of the standard, so that they may be repeated. Retired, and not read.
_RETIRED = ("ARGB", "CMYK", "HSV")
# VL Whole Slide Microscopy Image Storage.
_WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
_BITS = (1, 8, 16, 32)
_FLOAT_BITS = (32, 64)
FLOAT_PIXELS = ("FloatPixelData", "DoubleFloatPixelData")


class Layout(NamedTuple):
    """How the pixels are stored.

    Attributes:
        high_bit: the highest bit of a pixel cell that belongs to the value.
        signed: whether values are in two's complement.
        floats: whether they are floats instead of integers.
    """

    rows: int
    columns: int
    samples: int
    frames: int
    bits_allocated: int
    bits_stored: int
    photometric: str
    high_bit: int
    signed: bool
    floats: bool = False

    @property
    def shift(self) -> int:
        """Bits below the value in a pixel cell."""
        return self.high_bit + 1 - self.bits_stored


def read_layout(header: Dataset, limits: Limits) -> Layout:
    """Return the declared layout within the limits.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    rows, columns = _integer(header, "Rows"), _integer(header, "Columns")
    check_size(columns, rows, limits)
    floats = any(key in header for key in FLOAT_PIXELS)
    allocated = _integer(header, "BitsAllocated", _float_bits(header) if floats else None)
    stored = allocated if floats else _integer(header, "BitsStored", allocated)
    samples = _integer(header, "SamplesPerPixel", 1)
    layout = Layout(
        rows=rows,
        columns=columns,
        samples=samples,
        frames=_integer(header, "NumberOfFrames", 1) or 1,
        bits_allocated=allocated,
        bits_stored=stored,
        photometric=str(header.get("PhotometricInterpretation") or "").strip("\0 ").upper(),
        high_bit=stored - 1 if floats else _integer(header, "HighBit", stored - 1),
        signed=_integer(header, "PixelRepresentation", 0) == 1,
        floats=floats,
    )
    _check_storage(layout)
    return layout


def is_tiled(header: Dataset, layout: Layout) -> bool:
    """Tell whether frames are the tiles of a whole-slide image, side by side."""
    return layout.frames > 1 and header.get("SOPClassUID") == _WHOLE_SLIDE


def _float_bits(header: Dataset) -> int:
    return _FLOAT_BITS[FLOAT_PIXELS[1] in header]


def _check_storage(layout: Layout) -> None:
    if layout.frames < 1 or not 1 <= layout.bits_stored <= layout.bits_allocated:
        raise BrokenImage("frames or bits out of their range")
    if not layout.bits_stored <= layout.high_bit + 1 <= layout.bits_allocated:
        raise BrokenImage(
            f"HighBit {layout.high_bit} where BitsStored is {layout.bits_stored} and BitsAllocated "
            f"{layout.bits_allocated}"
        )
    if layout.bits_allocated not in (_FLOAT_BITS if layout.floats else _BITS):
        raise UnsupportedImage(
            f"DICOM pixels of {layout.bits_allocated} bits are not read: 1, 8, 16 or 32 are"
        )
    _check_photometric(layout)


def _check_photometric(layout: Layout) -> None:
    if not layout.photometric:
        raise BrokenImage("the DICOM attribute PhotometricInterpretation is missing")
    if layout.photometric in _RETIRED:
        raise UnsupportedImage(
            f"the photometric interpretation {layout.photometric} is retired and not read; "
            "convert the picture to RGB"
        )
    if layout.photometric not in _GREY + _COLOUR:
        # The word itself is not repeated: it is text from the file.
        raise UnsupportedImage(
            "a DICOM photometric interpretation that is not read: MONOCHROME1, MONOCHROME2, "
            "PALETTE COLOR, RGB and YBR are"
        )
    samples = 1 if layout.photometric in _GREY else 3
    if layout.samples != samples:
        raise BrokenImage(
            f"{layout.samples} samples per pixel where {layout.photometric} has {samples}"
        )
    if layout.floats and samples > 1:
        raise UnsupportedImage("float pixels of colours are not read")


def _integer(header: Dataset, keyword: str, default: int | None = None) -> int:
    value = header.get(keyword)
    if value is None and default is not None:
        return default
    if not isinstance(value, int):
        raise BrokenImage(f"the DICOM attribute {keyword} is missing or no number")
    return int(value)

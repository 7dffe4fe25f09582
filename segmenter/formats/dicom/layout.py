"""Size and storage of a DICOM picture as its attributes declare them, checked."""

from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.pixels.utils import get_expected_length

from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.limits import Limits, check_size

_GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
_BITS = (1, 8, 16, 32)


class Layout(NamedTuple):
    """How the pixels are stored."""

    rows: int
    columns: int
    samples: int
    frames: int
    bits_allocated: int
    bits_stored: int
    photometric: str


def read_layout(header: Dataset, limits: Limits) -> Layout:
    """Return the declared layout within the limits.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    rows, columns = _integer(header, "Rows"), _integer(header, "Columns")
    check_size(columns, rows, limits)
    allocated = _integer(header, "BitsAllocated")
    layout = Layout(
        rows=rows,
        columns=columns,
        samples=_integer(header, "SamplesPerPixel", 1),
        frames=_integer(header, "NumberOfFrames", 1) or 1,
        bits_allocated=allocated,
        bits_stored=_integer(header, "BitsStored", allocated),
        photometric=str(header.get("PhotometricInterpretation", "")).strip(),
    )
    _check_storage(layout)
    return layout


def check_native_length(header: Dataset, layout: Layout) -> None:
    """Refuse uncompressed pixel data that is shorter than the attributes say.

    Raises:
        BrokenImage.
    """
    expected, given = get_expected_length(header), len(header.PixelData)
    if given < expected:
        raise BrokenImage(
            f"{given} bytes of pixel data where {layout.columns} x {layout.rows} x "
            f"{layout.samples} x {layout.frames} need {expected}"
        )


def _check_storage(layout: Layout) -> None:
    if layout.frames < 1 or not 1 <= layout.bits_stored <= layout.bits_allocated:
        raise BrokenImage("frames or bits out of their range")
    if layout.bits_allocated not in _BITS:
        raise UnsupportedImage(f"DICOM pixels of {layout.bits_allocated} bits are not read")
    samples = 1 if layout.photometric in _GREY else 3
    if layout.photometric not in _GREY + _COLOUR:
        # The word itself is not repeated: it is text from the file.
        raise UnsupportedImage("a DICOM photometric interpretation that is not read")
    if layout.samples != samples:
        raise BrokenImage(f"{layout.samples} samples per pixel where {samples} are due")


def _integer(header: Dataset, keyword: str, default: int | None = None) -> int:
    value = header.get(keyword)
    if value is None and default is not None:
        return default
    if not isinstance(value, int):
        raise BrokenImage(f"the DICOM attribute {keyword} is missing or no number")
    return int(value)

"""The DICOM attributes that the pixels need, read in bounded time and nothing else.

Only the listed tags are kept: names, identifiers and dates are skipped over, never held. The
transfer syntax is read first, so that a deflated file is refused before anything is inflated.
"""

from collections.abc import Callable
from io import BytesIO
from typing import NamedTuple

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from segmenter.formats.guard import guarded
from segmenter.formats.limits import Limits

# Which of pydicom's plugins decodes what: named, so that an installed extra cannot change pixels.
DECODERS: dict[UID, str] = {
    ImplicitVRLittleEndian: "",
    ExplicitVRLittleEndian: "",
    ExplicitVRBigEndian: "",
    RLELossless: "pydicom",
    JPEGBaseline8Bit: "pillow",
    JPEGExtended12Bit: "pillow",
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    JPEGLSLossless: "gdcm",
    JPEGLSNearLossless: "gdcm",
    JPEG2000Lossless: "pylibjpeg",
    JPEG2000: "pylibjpeg",
}

_KEYWORDS = (
    "SOPClassUID",
    "Modality",
    "BurnedInAnnotation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SpacingBetweenSlices",
    "FrameTime",
    "CineRate",
    "RecommendedDisplayFrameRate",
    "ImagerPixelSpacing",
    "SequenceOfUltrasoundRegions",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
_META_START = 132
# Little and big endian.
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_PIXEL_GROUP = 0x7FE0
_PIXEL_DATA = 0x7FE00010
_FLOAT_PIXELS: tuple[BaseTag | int, ...] = (0x7FE00008, 0x7FE00009)
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_Stop = Callable[[BaseTag, str | None, int], bool]


class _Attributes(NamedTuple):
    """Where the attributes are and how they are written."""

    start: int
    syntax: UID


def read_dicom(content: bytes, limits: Limits) -> Dataset:
    """Read the listed attributes and the pixel data (still encoded) of a DICOM file.

    Raises:
        BrokenImage, ImageTooLarge.
        UnsupportedImage: a transfer syntax or a kind of object that is not read here.
    """
    with guarded("DICOM file"):
        attributes = _read_meta(content[: limits.max_header_bytes])
        header, pixels_at = _read_header(content, attributes, limits)
        _check_kind(header)
        wanted = [*_FLOAT_PIXELS, _PIXEL_DATA]
        pixels = _read(_at(content, pixels_at), attributes.syntax, wanted, _after_pixels)
        if "PixelData" not in pixels:
            raise _no_picture(header, pixels)
        header.PixelData = pixels.PixelData
        header["PixelData"].is_undefined_length = pixels["PixelData"].is_undefined_length
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = attributes.syntax
        return header


def _read_meta(head: bytes) -> _Attributes:
    tags: list[BaseTag | int] = [0x00020010]
    stream = _at(head, _META_START)
    meta = _read(stream, ExplicitVRLittleEndian, tags, _after_meta)
    syntax = meta.get("TransferSyntaxUID")
    if syntax is None:
        raise BrokenImage("a DICOM file without a transfer syntax")
    if syntax not in DECODERS:
        raise UnsupportedImage(f"the DICOM transfer syntax {_public_name(syntax)} is not read")
    return _Attributes(stream.tell(), UID(syntax))


def _public_name(syntax: UID) -> str:
    """Name a syntax of the standard; a private UID could name an institution."""
    return repr(syntax.name) if syntax.is_transfer_syntax and not syntax.is_private else "(private)"


def _read_header(content: bytes, attributes: _Attributes, limits: Limits) -> tuple[Dataset, int]:
    head = content[: limits.max_header_bytes]
    _check_items(head, limits)
    wanted: list[BaseTag | int] = [Tag(keyword) for keyword in _KEYWORDS]
    watch = _Watch(_at(head, attributes.start))
    header = _read(watch.stream, attributes.syntax, wanted, watch)
    if watch.at_pixels:
        return header, watch.stream.tell()
    if len(head) < len(content):
        raise ImageTooLarge(f"DICOM attributes of more than {limits.max_header_bytes} bytes")
    if watch.end != len(content):
        raise BrokenImage("a DICOM file that ends within its attributes")
    raise _no_picture(header, Dataset())


def _check_items(head: bytes, limits: Limits) -> None:
    """Refuse more sequence items than any real header has; counting bytes may only overcount."""
    items = sum(head.count(tag) for tag in _ITEM_TAGS)
    if items > limits.max_items:
        raise ImageTooLarge(f"{items} DICOM sequence items, over the limit of {limits.max_items}")


def _at(content: bytes, start: int) -> BytesIO:
    stream = BytesIO(content)
    stream.seek(start)
    return stream


def _read(stream: BytesIO, syntax: UID, tags: list[BaseTag | int], stop: _Stop) -> Dataset:
    """Return the wanted attributes; the stream is left where reading stopped."""
    implicit, little = syntax.is_implicit_VR, syntax.is_little_endian
    return read_dataset(stream, implicit, little, stop_when=stop, specific_tags=tags)


class _Watch:
    """Stops at the pixels and remembers where the last attribute before them should end."""

    def __init__(self, stream: BytesIO) -> None:
        self.stream = stream
        self.at_pixels = False
        self.end = 0

    def __call__(self, tag: BaseTag, _vr: str | None, length: int) -> bool:
        self.end = self.stream.tell() + length
        self.at_pixels = tag.group >= _PIXEL_GROUP
        return self.at_pixels


def _check_kind(header: Dataset) -> None:
    if header.get("SOPClassUID") in _SEGMENTATIONS or header.get("Modality") == "SEG":
        raise UnsupportedImage("a DICOM segmentation holds masks, not a picture")


def _no_picture(header: Dataset, pixels: Dataset) -> BrokenImage | UnsupportedImage:
    if any(tag in pixels for tag in _FLOAT_PIXELS):
        return UnsupportedImage("a DICOM parametric map (float pixels) is not read")
    if "Rows" in header:
        return BrokenImage("a DICOM image without its pixel data")
    return UnsupportedImage("a DICOM object that holds no picture")


def _after_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != 0x0002


def _after_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) > _PIXEL_DATA

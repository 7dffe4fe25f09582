"""The DICOM attributes that the pixels need, read in bounded time and nothing else.

Only the listed tags are kept: names, identifiers and dates are skipped over, never held. The
transfer syntax is read first, so that a deflated file is refused before anything is inflated.
"""

from collections.abc import Callable
from io import BytesIO
from typing import NamedTuple

from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag

from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from segmenter.formats.guard import guarded
from segmenter.formats.limits import Limits

# Which of pydicom's plugins decodes what: named, so that an installed extra cannot change pixels.
DECODERS: dict[uid.UID, str] = {
    uid.ImplicitVRLittleEndian: "",
    uid.ExplicitVRLittleEndian: "",
    uid.ExplicitVRBigEndian: "",
    uid.RLELossless: "pydicom",
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGExtended12Bit: "pillow",
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "gdcm",
    uid.JPEGLSNearLossless: "gdcm",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
}

_KEYWORDS = (
    # What it is, and whether it may show a name.
    *("SOPClassUID", "Modality", "BurnedInAnnotation", "SequenceOfUltrasoundRegions"),
    # How pixels are stored.
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
    # What they mean: grey by slope or table and window, or colour.
    *("PhotometricInterpretation", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *(f"{name}PaletteColorLookupTableDescriptor" for name in ("Red", "Green", "Blue")),
    *(f"{name}PaletteColorLookupTableData" for name in ("Red", "Green", "Blue")),
    # Where they are, in space and time.
    *("PixelSpacing", "ImagerPixelSpacing", "SpacingBetweenSlices"),
    *("ImagePositionPatient", "ImageOrientationPatient"),
    *("FrameTime", "CineRate", "RecommendedDisplayFrameRate"),
    # The same of the frames of enhanced objects.
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
# Sequences among them that are looked into for each frame. Read, they take 28 times their bytes.
_PER_FRAME = tuple(
    Tag(keyword)
    for keyword in (
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
        "ModalityLUTSequence",
    )
)
NESTED_FACTOR = 28
_META_START = 132
# Little and big endian.
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_PIXEL_GROUP = 0x7FE0
_PIXEL_DATA = 0x7FE00010
_FLOAT_PIXELS: tuple[BaseTag | int, ...] = (0x7FE00008, 0x7FE00009)
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_Stop = Callable[[BaseTag, str | None, int], bool]


class Attributes(NamedTuple):
    """The listed attributes of a file, and where its pixel data begin."""

    header: Dataset
    pixels_at: int


def read_attributes(content: bytes, limits: Limits) -> Attributes:
    """Read the listed attributes of a DICOM file.

    Raises:
        BrokenImage, ImageTooLarge.
        UnsupportedImage: a transfer syntax or a kind of object that is not read here.
    """
    with guarded("DICOM file"):
        start, syntax = _read_meta(content[: limits.max_header_bytes])
        header, pixels_at = _read_header(content, start, syntax, limits)
        if header.get("SOPClassUID") in _SEGMENTATIONS or header.get("Modality") == "SEG":
            raise UnsupportedImage("a DICOM segmentation holds masks, not a picture")
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = syntax
        return Attributes(header, pixels_at)


def add_pixels(attributes: Attributes, content: bytes) -> None:
    """Add the pixel data of a file, still encoded, to its attributes.

    Raises:
        BrokenImage, UnsupportedImage.
    """
    header, wanted = attributes.header, [*_FLOAT_PIXELS, _PIXEL_DATA]
    syntax = header.file_meta.TransferSyntaxUID
    stream = _at(content, attributes.pixels_at)
    pixels = _read(stream, syntax, wanted, lambda tag, *_: int(tag) > _PIXEL_DATA)
    if "PixelData" not in pixels:
        raise _no_picture(header, pixels)
    header.PixelData = pixels.PixelData
    header["PixelData"].is_undefined_length = pixels["PixelData"].is_undefined_length


def nested_bytes(header: Dataset) -> int:
    """Return the bytes of the sequences that are looked into for each frame, as stored."""
    found = (header.get_item(tag) for tag in _PER_FRAME if tag in header)
    return sum(int(getattr(each, "length", 0)) for each in found)


def _read_meta(head: bytes) -> tuple[int, uid.UID]:
    """Return where the attributes begin and how they are written."""
    stream = _at(head, _META_START)
    explicit, syntax_tag = uid.ExplicitVRLittleEndian, 0x00020010
    meta = _read(stream, explicit, [syntax_tag], lambda tag, *_: tag.group != 0x0002)
    syntax = meta.get("TransferSyntaxUID")
    if syntax is None:
        raise BrokenImage("a DICOM file without a transfer syntax")
    if syntax not in DECODERS:
        raise UnsupportedImage(f"the DICOM transfer syntax {_public_name(syntax)} is not read")
    return stream.tell(), uid.UID(syntax)


def _public_name(syntax: uid.UID) -> str:
    """Name a syntax of the standard; a private UID could name an institution."""
    return repr(syntax.name) if syntax.is_transfer_syntax and not syntax.is_private else "(private)"


def _read_header(
    content: bytes, start: int, syntax: uid.UID, limits: Limits
) -> tuple[Dataset, int]:
    head = content[: limits.max_header_bytes]
    _check_items(head, limits)
    wanted: list[BaseTag | int] = [Tag(keyword) for keyword in _KEYWORDS]
    watch = _Watch(_at(head, start))
    header = _read(watch.stream, syntax, wanted, watch)
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


def _read(stream: BytesIO, syntax: uid.UID, tags: list[BaseTag | int], stop: _Stop) -> Dataset:
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


def _no_picture(header: Dataset, pixels: Dataset) -> BrokenImage | UnsupportedImage:
    if any(tag in pixels for tag in _FLOAT_PIXELS):
        return UnsupportedImage("a DICOM parametric map (float pixels) is not read")
    if "Rows" in header:
        return BrokenImage("a DICOM image without its pixel data")
    return UnsupportedImage("a DICOM object that holds no picture")

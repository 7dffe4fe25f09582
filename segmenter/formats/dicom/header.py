"""The DICOM attributes that the pixels need, read in bounded time and nothing else.

Only the listed tags are kept: names and dates of a person are skipped over, never held. What the
pixel data are is told by themselves where the file says something else.
"""

from io import BytesIO
from typing import NamedTuple

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag

from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from segmenter.formats.dicom.encoding import UNDEFINED, DataSet, find_data_set
from segmenter.formats.dicom.layout import FLOAT_PIXELS
from segmenter.formats.dicom.objects import kind_of_class, kind_without_picture
from segmenter.formats.dicom.pixel_data import PixelData, declared_frames, find_pixels
from segmenter.formats.dicom.values import PYDICOM_ERRORS
from segmenter.formats.guard import guarded
from segmenter.formats.limits import DEFAULT_LIMITS, Limits

_KEYWORDS = (
    # What it is, and whether it may show a name.
    *("SOPClassUID", "Modality", "BurnedInAnnotation", "SequenceOfUltrasoundRegions"),
    # How pixels are stored.
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
    # What they mean: grey by slope or table and window, or colour.
    *("PhotometricInterpretation", "RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("ModalityLUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *(f"{name}PaletteColorLookupTableDescriptor" for name in ("Red", "Green", "Blue")),
    *(f"{name}PaletteColorLookupTableData" for name in ("Red", "Green", "Blue")),
    *(f"Segmented{name}PaletteColorLookupTableData" for name in ("Red", "Green", "Blue")),
    "PresentationLUTShape",
    # Where they are, in space and time.
    *("PixelSpacing", "ImagerPixelSpacing", "SpacingBetweenSlices", "SliceThickness"),
    *("ImagePositionPatient", "ImageOrientationPatient", "GridFrameOffsetVector"),
    "SliceLocation",
    *("FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate"),
    *("AcquisitionTime", "AcquisitionDateTime", "ContentTime", "TriggerTime"),
    *("FrameReferenceTime", "TemporalPositionIdentifier"),
    # What belongs together, and what tells pictures of one place apart. Never told.
    *("SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID", "ImageType", "SequenceName"),
    *("SeriesNumber", "InstanceNumber", "AcquisitionNumber", "EchoTime", "EchoNumbers"),
    *("DiffusionBValue", "DiffusionGradientOrientation", "ComplexImageComponent"),
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
# Little and big endian.
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_PIXEL_GROUP = 0x7FE0
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")


class NoPicture(UnsupportedImage):
    """A DICOM object that holds no picture."""


class Attributes(NamedTuple):
    """The listed attributes of a file, and where its pixel data are.

    Attributes:
        header: without the pixel data; its transfer syntax is the one that decodes them.
        pixels: where they are, and what.
        size: bytes of the data set, inflated.
        rule: what about the file was read otherwise than it says; None if nothing was.
        inflated: whether it came deflated.
    """

    header: Dataset
    pixels: PixelData
    size: int
    rule: str | None
    inflated: bool


def read_attributes(content: bytes, limits: Limits) -> Attributes:
    """Read the listed attributes of a DICOM file.

    Raises:
        BrokenImage, ImageTooLarge.
        UnsupportedImage: a transfer syntax or a kind of object that is not read here.
    """
    with guarded("DICOM file", *PYDICOM_ERRORS):
        found = find_data_set(content, limits)
        header, pixels_at = _read_header(found, limits)
        if header.get("SOPClassUID") in _SEGMENTATIONS or header.get("Modality") == "SEG":
            raise NoPicture(
                "a DICOM segmentation holds masks, not a picture: send the images that it is of"
            )
        if pixels_at is None:
            raise _no_picture(header, kind_without_picture(content))
        pixels = find_pixels(found, pixels_at, header)
        if pixels.keyword in FLOAT_PIXELS:
            # Empty: that they are there is what the layout needs to know.
            setattr(header, pixels.keyword, b"")
        if header.get("SamplesPerPixel", 1) > 1 and "PlanarConfiguration" not in header:
            header.PlanarConfiguration = 0
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = pixels.syntax
        rules = [rule for rule in (found.rule, pixels.rule) if rule]
        inflated = len(found.content) > len(content)
        return Attributes(header, pixels, len(found.content), "; ".join(rules) or None, inflated)


def add_pixels(attributes: Attributes, content: bytes, limits: Limits = DEFAULT_LIMITS) -> None:
    """Add the pixel data of a file, still encoded, to its attributes.

    Args:
        attributes: of the file.
        content: the whole file.
        limits: of what a deflated one may inflate to.

    Raises:
        BrokenImage, ImageTooLarge.
    """
    header, pixels = attributes.header, attributes.pixels
    if attributes.size != len(content):
        content = find_data_set(content, limits).content
    value = pixels.value(content, declared_frames(header))
    header.add_new(Tag("PixelData"), pixels.vr, value)
    header["PixelData"].is_undefined_length = pixels.syntax.is_encapsulated


def nested_bytes(header: Dataset) -> int:
    """Return the bytes of the sequences that are looked into for each frame, as stored."""
    found = (header.get_item(tag) for tag in _PER_FRAME if tag in header)
    return sum(int(getattr(each, "length", 0)) for each in found)


def _read_header(found: DataSet, limits: Limits) -> tuple[Dataset, int | None]:
    """Return the attributes, and where the pixel data begin; None if there are none."""
    content = found.content
    head = content[: limits.max_header_bytes]
    _check_items(head, limits)
    watch = _Watch(BytesIO(head))
    watch.stream.seek(found.start)
    header = read_dataset(
        watch.stream,
        found.encoding.is_implicit_VR,
        found.encoding.is_little_endian,
        stop_when=watch,
        specific_tags=[Tag(keyword) for keyword in _KEYWORDS],
    )
    if watch.at_pixels:
        return header, watch.stream.tell()
    if len(head) < len(content):
        raise ImageTooLarge(f"DICOM attributes of more than {limits.max_header_bytes} bytes")
    if watch.end not in (None, len(content)):
        raise BrokenImage("a DICOM file that ends within its attributes: cut short")
    return header, None


def _check_items(head: bytes, limits: Limits) -> None:
    """Refuse more sequence items than any real header has; counting bytes may only overcount."""
    items = sum(head.count(tag) for tag in _ITEM_TAGS)
    if items > limits.max_items:
        raise ImageTooLarge(f"{items} DICOM sequence items, over the limit of {limits.max_items}")


class _Watch:
    """Stops at the pixels and remembers where the last attribute before them should end."""

    def __init__(self, stream: BytesIO) -> None:
        self.stream = stream
        self.at_pixels = False
        self.end: int | None = 0

    def __call__(self, tag: BaseTag, _vr: str | None, length: int) -> bool:
        # A sequence that ends with a delimiter was read up to it, or is refused by pydicom.
        self.end = None if length == UNDEFINED else self.stream.tell() + length
        self.at_pixels = tag.group >= _PIXEL_GROUP
        return self.at_pixels


def _no_picture(header: Dataset, kind: str | None) -> BrokenImage | UnsupportedImage:
    if "Rows" in header:
        return BrokenImage("a DICOM image without its pixel data")
    kind = kind or kind_of_class(str(header.get("SOPClassUID") or ""))
    what = f" ({kind})" if kind else ""
    return NoPicture(f"a DICOM object that holds no picture{what}: send an image of the series")

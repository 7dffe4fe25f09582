"""Where the pixel data of a DICOM file are, and what they are by their own first bytes.

A JPEG under a native transfer syntax would be shown as noise, and native pixels under an encoded
one as damage; both are told by content, decoded as what they are, and named.
"""

import re
from typing import NamedTuple

from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.dicom.encoded.codestream import (
    BARE_STARTS,
    RETIRED_JPEG,
    Stream,
    read_stream,
    same_family,
)
from segmenter.formats.dicom.encoded.decode import DECODERS
from segmenter.formats.dicom.encoded.items import (
    HEAD_BYTES,
    ITEM,
    count_streams,
    encoded_value,
    first_fragments,
)
from segmenter.formats.dicom.encoding import NATIVE, DataSet, Element, next_element
from segmenter.formats.dicom.native import HALVED
from segmenter.formats.dicom.values import numbers

# Tags by keyword. Offset tables may come before the encapsulated pixels (PS3.3, C.7.6.3.1.8).
_KINDS = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}
_MOST_ELEMENTS = 8
THREE_BYTES = "three samples a pixel where the file says 4:2:2"
# Where the standard numbers them.
_STANDARD = re.compile(r"1\.2\.840\.10008\.1\.2(\.\d{1,3}){1,3}")
_VIDEO = "1.2.840.10008.1.2.4.10"
_PIXEL_GROUP = 0x7FE0


class PixelData(NamedTuple):
    """The pixel data element.

    Attributes:
        keyword: of its tag.
        vr: as written; ``OW`` where attributes are implicit.
        at: where its value begins.
        length: of the value; None if it ends with a delimiter.
        syntax: the transfer syntax that decodes it.
        bare: whether the value is one encoded frame without items around it.
        rule: what is otherwise than the file says; None if nothing is.
    """

    keyword: str
    vr: str
    at: int
    length: int | None
    syntax: uid.UID
    bare: bool
    rule: str | None

    def value(self, content: bytes, frames: int) -> bytes:
        """Return the value, encapsulated if it is encoded.

        Args:
            content: of the data set.
            frames: that the file declares.

        Raises:
            BrokenImage: fewer encoded frames than that, or one that goes on behind the end.
            ImageTooLarge: more items than any real image.
        """
        end = len(content) if self.length is None else min(self.at + self.length, len(content))
        if self.bare:
            return encapsulate([content[self.at : end]], has_bot=False)
        if self.syntax.is_encapsulated:
            return encoded_value(content, self.at, end, frames)
        return content[self.at : end]


def find_pixels(found: DataSet, at: int, header: Dataset) -> PixelData:
    """Find the pixel data and tell what they are.

    Args:
        found: the data set.
        at: of its first attribute of the pixel group.
        header: the attributes before.

    Raises:
        BrokenImage, ImageTooLarge.
        UnsupportedImage: a transfer syntax that is not read.
    """
    element = _element(found, at)
    keyword, vr = _KINDS[element.tag], element.vr.decode() or "OW"
    length = None if element.undefined else element.length
    value = PixelData(keyword, vr, element.at, length, found.encoding, bare=False, rule=None)
    stated = found.declared or found.encoding
    _check_known(stated)
    if keyword != "PixelData":
        return value
    items = found.content.startswith(ITEM, element.at)
    if element.undefined or (items and length != _native_bytes(header)):
        encoded = _encapsulated(value, stated, first_fragments(found.content, element.at))
        beyond = _beyond(count_streams(found.content, element.at), declared_frames(header))
        return encoded._replace(rule="; ".join(filter(None, (encoded.rule, beyond))) or None)
    return _plain(value, stated, found.content[element.at : element.at + HEAD_BYTES], header)


def _encapsulated(value: PixelData, stated: uid.UID, head: bytes) -> PixelData:
    """Tell what frames in items are."""
    stream = read_stream(head)
    if stream is None and is_native(stated):
        raise BrokenImage(
            "encoded pixel data of a kind that is not known, in a file that says it is uncompressed"
        )
    if stream is None:
        # The decoder's check says what is wrong with the frame.
        return value._replace(syntax=stated)
    if not same_family(stream.syntax, stated):
        return value._replace(syntax=stream.syntax, rule=_otherwise(stream, stated))
    # Both kinds of JPEG may stand under either name; bits decide.
    lossy = stream.syntax in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
    return value._replace(syntax=stream.syntax if lossy else stated)


def _plain(value: PixelData, stated: uid.UID, head: bytes, header: Dataset) -> PixelData:
    """Tell what a value without items is: pixels, or an encoded frame as it would be a file."""
    expected, length = _native_bytes(header), value.length or 0
    if head.startswith(BARE_STARTS):
        stream = _bare_stream(head, header)
        if stream is not None and header.get("NumberOfFrames", 1) in (None, 0, 1):
            rule = _otherwise(stream, stated)
            return value._replace(syntax=stream.syntax, bare=True, rule=rule)
        if length < expected:
            raise BrokenImage(
                "the pixel data begin as a JPEG or JPEG 2000 stream, which is not the one picture "
                "that the attributes declare"
            )
    if is_native(stated):
        if holds_full_422(header, length):
            return value._replace(rule=THREE_BYTES)
        frames = declared_frames(header)
        there = length * frames // expected if expected else 0
        return value._replace(rule=_beyond(there, frames))
    if length < expected:
        raise BrokenImage(f"the pixel data are neither frames of {stated.name} nor uncompressed")
    return value._replace(rule=f"uncompressed pixels where the file says {stated.name}")


def declared_frames(header: Dataset) -> int:
    """Return NumberOfFrames; 1 without it."""
    return max(1, int((*numbers(header, "NumberOfFrames"), 1)[0]))


def _beyond(there: int, frames: int) -> str | None:
    """Tell of frames that the attributes say nothing of: they are not shown."""
    if there <= frames:
        return None
    return f"pixel data of {there} frames where NumberOfFrames says {frames}"


def _bare_stream(head: bytes, header: Dataset) -> Stream | None:
    """Return what a frame is if it is of the declared size; None if it is no such frame."""
    try:
        stream = read_stream(head)
    except (BrokenImage, UnsupportedImage):
        return None
    size = (header.get("Columns"), header.get("Rows"))
    return stream if stream and (stream.width, stream.height) == size else None


def _otherwise(stream: Stream, stated: uid.UID) -> str:
    said = "uncompressed pixels" if is_native(stated) else stated.name
    return f"{stream.name} where the file says {said}"


def holds_full_422(header: Dataset, length: int) -> bool:
    """Tell whether pixel data called 4:2:2 hold three samples for each pixel all the same."""
    return 2 * length >= 3 * _native_bytes(header) > 0 and _is_halved(header)


def _is_halved(header: Dataset) -> bool:
    said = str(header.get("PhotometricInterpretation") or "")
    return said.strip("\0 ").upper() in HALVED


def is_native(syntax: uid.UID) -> bool:
    """Tell whether pixels are uncompressed under a transfer syntax."""
    return syntax in NATIVE or syntax == uid.DeflatedExplicitVRLittleEndian


def _check_known(syntax: uid.UID) -> None:
    """Refuse a transfer syntax that is not read."""
    if is_native(syntax) or syntax in DECODERS or syntax in RETIRED_JPEG:
        return
    if str(syntax).startswith(_VIDEO):
        raise UnsupportedImage(
            f"DICOM of transfer syntax {_public_name(syntax)} holds a video, which is not read: "
            "send its frames as pictures, or the video as MP4"
        )
    raise UnsupportedImage(
        f"the DICOM transfer syntax {_public_name(syntax)} is not read: convert the file, for "
        "example to Explicit VR Little Endian"
    )


def _public_name(syntax: uid.UID) -> str:
    """Name a syntax of the standard; a private UID could name an institution."""
    if syntax.is_private:
        return "(private)"
    if syntax.is_transfer_syntax:
        return repr(syntax.name)
    # Newer than pydicom's dictionary, such as JPEG XL.
    return str(syntax) if _STANDARD.fullmatch(syntax) else "(unknown)"


def _element(found: DataSet, at: int) -> Element:
    """Return the element of pixel data; offset tables may come before it."""
    for _ in range(_MOST_ELEMENTS):
        element = next_element(found.content, at, found.encoding)
        if element is None or element.tag >> 16 != _PIXEL_GROUP:
            break
        if element.tag in _KINDS:
            return element
        at = element.at + element.length
    raise BrokenImage("a DICOM image without its pixel data")


def _native_bytes(header: Dataset) -> int:
    """Return how long uncompressed pixel data are at least; 0 if the attributes do not tell."""
    sides = [header.get(name) for name in ("Rows", "Columns", "BitsAllocated")]
    if not all(isinstance(side, int) for side in sides):
        return 0
    samples = int((*numbers(header, "SamplesPerPixel"), 1)[0])
    if _is_halved(header):
        samples = 2
    frames = declared_frames(header)
    rows, columns, bits = (int(side) for side in sides if side is not None)
    return (rows * columns * samples * frames * bits + 7) // 8

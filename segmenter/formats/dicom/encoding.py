"""Where the data set of a DICOM file begins, and how its attributes are written.

Files come without preamble, without file meta information, or with a transfer syntax that is not
the one they are written in. What the first attributes look like then decides, as in DCMTK; the
rule that was needed is named. Source: PS3.5, 7.1 (data elements) and PS3.10, 7.1 (file meta).
"""

import struct
import zlib
from io import BytesIO
from typing import NamedTuple

from pydicom import uid
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from segmenter.errors import BrokenImage, ImageTooLarge
from segmenter.formats.limits import Limits

PREFIX = b"DICM"
_PREFIX_AT = 128
# Group 2, element 0, "UL": where file meta information begins.
META = b"\x02\x00\x00\x00UL"
_META_GROUP = 0x0002
_SYNTAX_TAG = 0x00020010
# Of a data set without file meta information. One that begins with none of them is no picture.
_FIRST_GROUPS = (0x0002, 0x0008, 0x0010, 0x0018, 0x0020, 0x0028)
# As many attributes in a row, in order and with lengths that fit, are no accident.
_ELEMENTS = 3
_PIXEL_GROUP = 0x7FE0
UNDEFINED = 0xFFFFFFFF
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
NATIVE = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian)


class DataSet(NamedTuple):
    """The attributes of a file as bytes.

    Attributes:
        content: that hold them: the file, or what a deflated one inflates to.
        start: of the first attribute in `content`.
        declared: the transfer syntax that the file names; None if it names none.
        encoding: native syntax that the attributes are written in.
        rule: what was guessed; None if nothing was.
    """

    content: bytes
    start: int
    declared: uid.UID | None
    encoding: uid.UID
    rule: str | None


class Element(NamedTuple):
    """One data element: where its value begins, how long it is, and its VR (empty if implicit)."""

    tag: int
    vr: bytes
    at: int
    length: int

    @property
    def undefined(self) -> bool:
        """Whether it ends with a delimiter instead of after a length."""
        return self.length == UNDEFINED


def file_start(content: bytes) -> int | None:
    """Return where file meta information or attributes begin; None if this is no DICOM."""
    if content[_PREFIX_AT : _PREFIX_AT + 4] == PREFIX:
        return _PREFIX_AT + 4
    if content.startswith(PREFIX):
        return len(PREFIX)
    if content.startswith(META) or _bare_encoding(content) is not None:
        return 0
    return None


def find_data_set(content: bytes, limits: Limits) -> DataSet:
    """Find the attributes of a DICOM file, and inflate a deflated one.

    Raises:
        BrokenImage: there are none.
        ImageTooLarge: it inflates to more than an upload may have.
    """
    at = file_start(content)
    if at is None:
        raise BrokenImage("this is no DICOM file: neither a DICM prefix nor attributes")
    start, declared = _read_meta(content, at, limits)
    if declared == uid.DeflatedExplicitVRLittleEndian:
        inflated = _inflate(content, start, limits)
        return DataSet(inflated, 0, declared, uid.ExplicitVRLittleEndian, None)
    stated = _native(declared) if declared is not None else None
    found = stated if stated and _fits(content, start, stated) else _guess(content, start)
    if found is None and stated is None:
        raise BrokenImage("a DICOM file without a transfer syntax, whose attributes are not read")
    encoding = found or stated
    assert encoding is not None
    rule = None
    if declared is None:
        rule = f"no transfer syntax stated, read as {encoding.name}"
    elif encoding != stated:
        rule = f"read as {encoding.name}, not as the file meta information says"
    return DataSet(content, start, declared, encoding, rule)


def next_element(content: bytes, at: int, encoding: uid.UID) -> Element | None:
    """Return the data element that begins at an offset; None where none can."""
    order = "<" if encoding.is_little_endian else ">"
    head = content[at : at + 12]
    if len(head) < 8:
        return None
    group, number = struct.unpack_from(f"{order}HH", head)
    tag, vr = group << 16 | number, head[4:6]
    if encoding.is_implicit_VR:
        return Element(tag, b"", at + 8, struct.unpack_from(f"{order}I", head, 4)[0])
    if vr in _SHORT_VRS:
        return Element(tag, vr, at + 8, struct.unpack_from(f"{order}H", head, 6)[0])
    if vr in _LONG_VRS and len(head) == 12:
        return Element(tag, vr, at + 12, struct.unpack_from(f"{order}I", head, 8)[0])
    return None


def _read_meta(content: bytes, at: int, limits: Limits) -> tuple[int, uid.UID | None]:
    """Return where the attributes begin and the transfer syntax that the file names."""
    head = content[at : at + limits.max_header_bytes]
    if head[:2] != b"\x02\x00":
        return at, None
    stream, implicit = BytesIO(head), not head[4:6].isalpha()

    def stop(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        return tag.group != _META_GROUP

    meta = read_dataset(stream, implicit, True, stop_when=stop, specific_tags=[_SYNTAX_TAG])
    stated = str(meta.get("TransferSyntaxUID") or "").strip("\0 ")
    return at + stream.tell(), uid.UID(stated) if stated else None


def _native(syntax: uid.UID) -> uid.UID:
    """Return how attributes are written under a transfer syntax. Source: PS3.5, annex A."""
    return syntax if syntax in NATIVE else uid.ExplicitVRLittleEndian


def _guess(content: bytes, start: int) -> uid.UID | None:
    return next((each for each in NATIVE if _fits(content, start, each)), None)


def _bare_encoding(content: bytes) -> uid.UID | None:
    """Return how a file of nothing but attributes is written; None if it is no such file."""
    first = (int.from_bytes(content[:2], "little"), int.from_bytes(content[:2], "big"))
    return _guess(content, 0) if set(first) & set(_FIRST_GROUPS) else None


def _fits(content: bytes, at: int, encoding: uid.UID) -> bool:
    """Tell whether the first attributes follow each other as they must."""
    last = -1
    for number in range(_ELEMENTS):
        element = next_element(content, at, encoding)
        if element is None or element.tag <= last or element.tag >> 16 > _PIXEL_GROUP:
            return False
        if element.undefined or element.tag >> 16 == _PIXEL_GROUP:
            return number > 0
        at, last = element.at + element.length, element.tag
        if at > len(content):
            return False
    return True


def _inflate(content: bytes, start: int, limits: Limits) -> bytes:
    """Inflate what follows the file meta information. Source: PS3.5, A.5."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = stream.decompress(memoryview(content)[start:], limits.max_bytes + 1)
    if len(inflated) > limits.max_bytes:
        raise ImageTooLarge(
            f"a deflated DICOM file that inflates to over the limit of {limits.max_bytes} bytes"
        )
    if not stream.eof:
        raise BrokenImage("a deflated DICOM file that ends early: damaged or cut short")
    return inflated

"""What an encoded frame is by its own header, and whether it agrees with the attributes.

A decoder allocates what the inner stream says; the attributes alone do not bound it. Nor do they
say truly how it is encoded, or in which colours: where the stream says so itself, it is believed.
"""

import struct
from itertools import pairwise
from typing import NamedTuple

from pydicom import uid

from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.dicom.layout import Layout
from segmenter.formats.raster.jpeg_header import JpegHeader, count_scans, read_jpeg_header

JPEG = b"\xff\xd8\xff"
_SIZ = b"\xff\x4f\xff\x51"
_JP2 = b"\x00\x00\x00\x0cjP  "
# What a frame begins with that could be a file of its own.
BARE_STARTS = (JPEG, _SIZ, _JP2)
# Plain codestreams begin with it; some writers wrap them in JP2 boxes, which are short.
_SIZ_WITHIN = 4_096
_CAP, _COD, _TILE = 0xFF50, 0xFF52, 0xFF90
# Encoders may pad a segment by a byte; whole runs beyond the picture are no picture.
_RLE_SLACK = 256
_RLE_HEADER = 64
_RLE_MOST = 15

_LOSSLESS, _JPEG_LS = 0xC3, 0xF7
# Baseline, extended and progressive, with Huffman or arithmetic coding.
_LOSSY = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
_RGB_IDS = b"RGB"
RGB = "RGB"

# Spectral selection and full progression: retired, but files last. Source: PS3.5-2004, 8.2.1.
RETIRED_JPEG = (uid.UID("1.2.840.10008.1.2.4.53"), uid.UID("1.2.840.10008.1.2.4.55"))
# Syntaxes that differ in what they allow, not in how they are decoded.
FAMILIES: tuple[frozenset[uid.UID], ...] = (
    frozenset({uid.JPEGLossless, uid.JPEGLosslessSV1}),
    frozenset({uid.JPEGLSLossless, uid.JPEGLSNearLossless}),
    frozenset({uid.JPEG2000Lossless, uid.JPEG2000}),
    frozenset({uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K}),
    frozenset({uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, *RETIRED_JPEG}),
    frozenset({uid.RLELossless}),
)


class Stream(NamedTuple):
    """What a frame says of itself.

    Attributes:
        syntax: a transfer syntax of its kind.
        name: of its kind, for people.
        width: columns.
        height: rows.
        components: samples of a pixel; 0 if it does not say.
        bits: of a sample; 0 if it does not say.
        signed: whether samples are.
        colour: ``RGB`` or ``YBR_FULL`` if it says so; None if it does not.
    """

    syntax: uid.UID
    name: str
    width: int = 0
    height: int = 0
    components: int = 0
    bits: int = 0
    signed: bool = False
    colour: str | None = None


def read_stream(frame: bytes) -> Stream | None:
    """Read what a frame is; None if it is nothing known.

    Raises:
        BrokenImage: the header is damaged.
        ImageTooLarge: more segments than any real image.
        UnsupportedImage: a JPEG process that is not read.
    """
    if frame.startswith(JPEG):
        return _jpeg(read_jpeg_header(frame))
    if frame.startswith((_SIZ, _JP2)):
        return _jpeg_2000(frame)
    return Stream(uid.RLELossless, "run lengths (RLE)") if _is_rle(frame) else None


def check_frame(frame: bytes, syntax: uid.UID, layout: Layout) -> Stream:
    """Compare a frame's own header with rows, columns, samples and bits.

    Raises:
        BrokenImage: the stream and the attributes disagree.
        ImageTooLarge: more scans than any real image.
        UnsupportedImage: a JPEG process that is not read.
    """
    if syntax == uid.RLELossless:
        _check_rle(frame, layout)
        return Stream(syntax, "run lengths (RLE)")
    stream = read_stream(frame)
    if stream is None or not same_family(stream.syntax, syntax):
        raise BrokenImage(f"a frame that is no {syntax.name}, as the file says")
    if frame.startswith(JPEG):
        count_scans(frame)
    declared = (layout.columns, layout.rows, layout.samples)
    if (stream.width, stream.height, stream.components) != declared or (
        stream.bits > layout.bits_allocated
    ):
        raise BrokenImage(
            f"the encoded frame is {stream.width} x {stream.height} x {stream.components} at "
            f"{stream.bits} bits, the attributes say {layout.columns} x {layout.rows} x "
            f"{layout.samples} at {layout.bits_allocated}"
        )
    return stream


def same_family(one: uid.UID, other: uid.UID) -> bool:
    """Tell whether two transfer syntaxes are decoded in the same way."""
    return any(one in family and other in family for family in FAMILIES)


def _jpeg(header: JpegHeader) -> Stream:
    said = RGB if header.ids == _RGB_IDS or header.adobe == 0 else None
    size = (header.width, header.height, header.components, header.bits)
    if header.process == _JPEG_LS:
        return Stream(uid.JPEGLSLossless, "JPEG-LS", *size)
    if header.process == _LOSSLESS:
        return Stream(uid.JPEGLossless, "lossless JPEG", *size, colour=said)
    if header.process not in _LOSSY:
        raise UnsupportedImage(f"a JPEG of process {header.process - 0xC0} is not read")
    # Nobody samples green and blue more coarsely than red.
    coarse = len(set(header.factors)) > 1
    if said is None and (header.adobe == 1 or header.jfif or coarse):
        said = "YBR_FULL"
    if header.bits == 8:
        return Stream(uid.JPEGBaseline8Bit, "JPEG", *size, colour=said)
    return Stream(uid.JPEGExtended12Bit, f"{header.bits}-bit JPEG", *size, colour=said)


def _jpeg_2000(frame: bytes) -> Stream:
    """Read a codestream's main header. Source: ISO/IEC 15444-1, A.5.1 and A.6.1."""
    start = frame.find(_SIZ, 0, _SIZ_WITHIN)
    if start < 0:
        raise BrokenImage("a JPEG 2000 frame without its size marker")
    right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
    components, depth = struct.unpack_from(">HB", frame, start + 40)
    # Depth, and width and height of its samples, for each component.
    sizes = frame[start + 40 + 2 : start + 42 + 3 * components]
    if any(set(sizes[at::3]) - {1} for at in (1, 2)):
        raise UnsupportedImage(
            "a JPEG 2000 frame whose components are sampled differently is not read: encode it anew"
        )
    coded, transformed = _main_header(frame, start + 2)
    return Stream(
        uid.HTJ2K if coded else uid.JPEG2000,
        "high-throughput JPEG 2000" if coded else "JPEG 2000",
        right - left,
        bottom - top,
        components,
        (depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        colour=RGB if transformed and components >= 3 else None,
    )


def bare_codestream(frame: bytes) -> bytes:
    """Return a JPEG 2000 frame without the boxes around it; any other as it is."""
    return frame[frame.find(_SIZ, 0, _SIZ_WITHIN) :] if frame.startswith(_JP2) else frame


def _main_header(frame: bytes, at: int) -> tuple[bool, bool]:
    """Tell whether blocks are coded for high throughput, and components transformed."""
    coded = transformed = False
    while at + 4 <= len(frame):
        marker, length = struct.unpack_from(">HH", frame, at)
        if marker == _TILE or marker < 0xFF00:
            break
        coded |= marker == _CAP
        if marker == _COD:
            # Behind the length, the style, the order and the number of layers.
            transformed = frame[at + 8] == 1
        at += 2 + length
    return coded, transformed


def _is_rle(frame: bytes) -> bool:
    """Tell whether bytes begin like a run-length frame. Source: PS3.5, G.5."""
    if len(frame) < _RLE_HEADER:
        return False
    count, *offsets = struct.unpack_from("<16I", frame)
    if not 1 <= count <= _RLE_MOST or offsets[0] != _RLE_HEADER or any(offsets[count:]):
        return False
    return all(one < other < len(frame) for one, other in pairwise(offsets[:count]))


def _check_rle(frame: bytes, layout: Layout) -> None:
    """Bound what every segment unpacks to. Source: PS3.5, annex G."""
    count, *offsets = struct.unpack_from("<16I", frame)
    expected = layout.samples * layout.bits_allocated // 8
    if count != expected:
        raise BrokenImage(f"{count} run-length segments where {expected} are due")
    plane = layout.rows * layout.columns
    bounds = [*offsets[:count], len(frame)]
    for start, end in pairwise(bounds):
        if not _RLE_HEADER <= start <= end <= len(frame):
            raise BrokenImage("a run-length segment lies outside its frame")
        if end - start > 2 * plane + _RLE_SLACK or not _unpacks_to(frame, start, end, plane):
            raise BrokenImage("a run-length segment does not unpack to one plane")


def _unpacks_to(frame: bytes, start: int, end: int, plane: int) -> bool:
    """Tell whether PackBits in frame[start:end] gives a plane, allowing for padding."""
    position, unpacked = start, 0
    while position < end and unpacked <= plane + _RLE_SLACK:
        control = frame[position]
        if control < 128:
            unpacked += control + 1
            position += control + 2
        else:
            unpacked += 257 - control if control > 128 else 0
            position += 2 if control > 128 else 1
    return plane <= unpacked <= plane + _RLE_SLACK

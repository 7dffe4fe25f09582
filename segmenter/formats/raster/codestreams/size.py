"""Sizes that codestreams declare, so that no decoder allocates what was not checked."""

import struct
from collections.abc import Callable
from typing import NamedTuple

from segmenter.errors import BrokenImage
from segmenter.formats.raster.jpeg_header import count_scans, read_jpeg_header

SIZE_MARKER = b"\xff\x4f\xff\x51"
# With what it says of the most components that there can be.
SIZE_MARKER_BYTES = 42 + 3 * 16_384


class StreamSize(NamedTuple):
    """What a codestream declares.

    Attributes:
        width: pixels.
        height: pixels.
        channels: samples of a pixel.
        bits: of the deepest sample.
        signed: whether a sample is.
    """

    width: int
    height: int
    channels: int = 1
    bits: int = 8
    signed: bool = False


def declared_size(stream: bytes, kind: str) -> tuple[int, int]:
    """Return the width and height of a ``jpeg``, ``jpeg2000``, ``webp`` or ``lerc`` stream.

    Raises:
        BrokenImage, ImageTooLarge.
    """
    try:
        return _SIZES[kind](stream)
    except struct.error:
        raise BrokenImage(f"a {kind} stream that is cut short") from None


def jpeg2000_size(stream: bytes) -> StreamSize:
    """Read the size marker of a JPEG 2000 codestream. Source: ISO/IEC 15444-1, A.5.1.

    Raises:
        BrokenImage: no such stream.
        struct.error: cut short.
    """
    if not stream.startswith(SIZE_MARKER):
        raise BrokenImage("a JPEG 2000 codestream without its size marker")
    right, bottom, left, top = struct.unpack_from(">4I", stream, 8)
    channels = struct.unpack_from(">H", stream, 40)[0]
    if channels < 1:
        raise BrokenImage("a JPEG 2000 codestream without components")
    depths = struct.unpack_from(">" + "B2x" * channels, stream, 42)
    bits = max((depth & 0x7F) + 1 for depth in depths)
    signed = any(depth & 0x80 for depth in depths)
    return StreamSize(right - left, bottom - top, channels, bits, signed)


def webp_size(body: bytes, kind: bytes) -> tuple[int, int] | None:
    """Return the size that a chunk of a WebP tells; None if it tells none.

    Source: WebP container specification (RFC 9649, section 2).
    """
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        packed = struct.unpack_from("<I", body, 1)[0]
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    return None


def _jpeg(stream: bytes) -> tuple[int, int]:
    header = read_jpeg_header(stream)
    count_scans(stream)
    return header.width, header.height


def _jpeg2000(stream: bytes) -> tuple[int, int]:
    # Some writers wrap streams in JP2 boxes, which are short.
    start = stream.find(SIZE_MARKER, 0, 4096)
    return jpeg2000_size(stream[max(start, 0) :])[:2]


def _webp(stream: bytes) -> tuple[int, int]:
    size = webp_size(stream[20:], stream[12:16])
    if stream[:4] != b"RIFF" or size is None:
        raise BrokenImage("a WebP stream without a picture")
    return size


def _lerc(stream: bytes) -> tuple[int, int]:
    """Source: Esri's LERC, Lerc2.cpp, ReadHeader."""
    if stream[:6] != b"Lerc2 ":
        raise BrokenImage("a LERC stream of another version than 2")
    version = struct.unpack_from("<i", stream, 6)[0]
    height, width = struct.unpack_from("<2I", stream, 14 if version >= 3 else 10)
    return width, height


_SIZES: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "jpeg": _jpeg,
    "jpeg2000": _jpeg2000,
    "webp": _webp,
    "lerc": _lerc,
}

"""What a raster file declares, read by us before Pillow opens it: size, depth, orientation."""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from segmenter.formats.raster.jpeg_header import count_scans, read_jpeg_header
from segmenter.formats.raster.tiff_directory import (
    BITS,
    HEIGHT,
    ORIENTATION,
    WIDTH,
    count_pages,
    read_directory,
)
from segmenter.formats.sniff import RasterFormat

# Encoders write 8 KiB and more per chunk; 64 MiB of them stay below this.
MAX_CHUNKS = 65_536


class RasterHeader(NamedTuple):
    """Declared properties of a raster file.

    Attributes:
        width: pixels as stored, before orientation.
        height: pixels as stored, before orientation.
        bits: per sample, as stored.
        orientation: EXIF orientation, 1 to 8; Pillow applies that of a TIFF itself.
        pages: number of pages (TIFF).
        scans: passes over the picture that it is stored in (JPEG).
    """

    width: int
    height: int
    bits: int = 8
    orientation: int = 1
    pages: int = 1
    scans: int = 1


def read_raster_header(content: bytes, name: RasterFormat) -> RasterHeader:
    """Read what the file declares, in bounded time and memory.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    try:
        return _READERS[name](content)
    except struct.error:
        raise BrokenImage(f"a {name} header that is cut short") from None


def _png(content: bytes) -> RasterHeader:
    size: tuple[int, int, int] | None = None
    exif: bytes | None = None
    for kind, body in _png_chunks(content):
        if kind == b"IHDR":
            size = struct.unpack_from(">IIB", body)
        elif kind == b"eXIf":
            exif = body
    if size is None:
        raise BrokenImage("a PNG without its header chunk")
    return RasterHeader(*size, orientation=_orientation(exif))


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (type, body) of every chunk but the pixels, all checked against their CRC."""
    position = 8
    for _ in range(MAX_CHUNKS):
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 8 + length
        crc = struct.unpack_from(">I", content, end)[0]
        if zlib.crc32(memoryview(content)[position + 4 : end]) != crc:
            raise BrokenImage("a PNG chunk fails its checksum")
        if kind == b"IEND":
            return
        if kind != b"IDAT":
            yield kind, content[position + 8 : end]
        position = end + 4
    raise ImageTooLarge(f"a PNG of more than {MAX_CHUNKS} chunks")


def _jpeg(content: bytes) -> RasterHeader:
    header = read_jpeg_header(content)
    scans = count_scans(content)
    # Of indices nothing is wanted, but Pillow reads them.
    orientation, *_ = map(_orientation, (header.exif, *header.indices))
    if header.bits != 8:
        raise UnsupportedImage(f"a JPEG of {header.bits} bits per sample; 8 are read")
    return RasterHeader(header.width, header.height, orientation=orientation, scans=scans)


def _tiff(content: bytes) -> RasterHeader:
    numbers = read_directory(content)
    if WIDTH not in numbers or HEIGHT not in numbers:
        raise BrokenImage("a TIFF directory without a size")
    return RasterHeader(
        numbers[WIDTH],
        numbers[HEIGHT],
        bits=numbers.get(BITS, 1),
        orientation=_known_orientation(numbers),
        pages=count_pages(content),
    )


def _webp(content: bytes) -> RasterHeader:
    size: tuple[int, int] | None = None
    exif: bytes | None = None
    for kind, body in _riff_chunks(content):
        if size is None and kind in _WEBP_SIZES:
            size = _WEBP_SIZES[kind](body)
        elif kind == b"EXIF":
            exif = body.removeprefix(b"Exif\x00\x00")
    if size is None:
        raise BrokenImage("a WebP without a picture")
    return RasterHeader(*size, orientation=_orientation(exif))


def _riff_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 12
    for _ in range(MAX_CHUNKS):
        if position + 8 > len(content):
            return
        kind, length = struct.unpack_from("<4sI", content, position)
        yield kind, content[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
    raise ImageTooLarge(f"a WebP of more than {MAX_CHUNKS} chunks")


def _vp8x_size(body: bytes) -> tuple[int, int]:
    return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")


def _vp8_size(body: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", body, 6)
    return width & 0x3FFF, height & 0x3FFF


def _vp8l_size(body: bytes) -> tuple[int, int]:
    packed = struct.unpack_from("<I", body, 1)[0]
    return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)


# Source: WebP container specification (RFC 9649, section 2).
_WEBP_SIZES: dict[bytes, Callable[[bytes], tuple[int, int]]] = {
    b"VP8X": _vp8x_size,
    b"VP8 ": _vp8_size,
    b"VP8L": _vp8l_size,
}


def _bmp(content: bytes) -> RasterHeader:
    if struct.unpack_from("<I", content, 14)[0] == 12:
        return RasterHeader(*struct.unpack_from("<HH", content, 18))
    width, height = struct.unpack_from("<ii", content, 18)
    # A negative height means rows from the top.
    return RasterHeader(width, abs(height))


def _gif(content: bytes) -> RasterHeader:
    width, height, flags = struct.unpack_from("<HHB", content, 6)
    position = 13 + _gif_table_bytes(flags)
    # Decoders make the screen as large as the first picture, where that is larger.
    for _ in range(MAX_CHUNKS):
        if content[position : position + 1] == b",":
            left, top, across, down = struct.unpack_from("<4H", content, position + 1)
            return RasterHeader(max(width, left + across), max(height, top + down))
        if content[position : position + 1] != b"!":
            break
        position = _after_gif_blocks(content, position + 2)
    return RasterHeader(width, height)


def _gif_table_bytes(flags: int) -> int:
    """Return the length of a colour table."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _after_gif_blocks(content: bytes, position: int) -> int:
    """Return the position behind an extension, which is in blocks that tell their length."""
    while length := struct.unpack_from("B", content, position)[0]:
        position += 1 + length
    return position + 1


def _orientation(exif: bytes | None) -> int:
    """Return the orientation, 1 to 8, of a checked EXIF block; 1 if it says nothing usable."""
    if not exif or exif[:2] not in (b"II", b"MM"):
        return 1
    return _known_orientation(read_directory(exif))


def _known_orientation(numbers: Mapping[int, int]) -> int:
    orientation = numbers.get(ORIENTATION, 1)
    return orientation if 1 <= orientation <= 8 else 1


_READERS: dict[RasterFormat, Callable[[bytes], RasterHeader]] = {
    "png": _png,
    "jpeg": _jpeg,
    "tiff": _tiff,
    "webp": _webp,
    "bmp": _bmp,
    "gif": _gif,
}

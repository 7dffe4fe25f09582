"""What a raster file declares, read by us before Pillow opens it: size, depth, orientation."""

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from segmenter.errors import BrokenImage, ImageTooLarge
from segmenter.formats.raster.codestreams.size import webp_size
from segmenter.formats.raster.jpeg_header import count_scans, read_jpeg_header
from segmenter.formats.raster.tiff.directory import Directory
from segmenter.formats.sniff import PillowFormat

# Encoders write 8 KiB and more per chunk; 64 MiB of them stay below this.
MAX_CHUNKS = 65_536
# Of a colour profile so much is read: those of displays have 3 KiB.
MAX_PROFILE_BYTES = 65_536


class RasterHeader(NamedTuple):
    """Declared properties of a raster file.

    Attributes:
        width: pixels as stored, before orientation.
        height: pixels as stored, before orientation.
        bits: per sample, as stored.
        orientation: EXIF orientation, 1 to 8.
        scans: passes over the picture that it is stored in (JPEG).
        process: how it is coded (JPEG): its start-of-frame marker.
        channels: samples of a pixel (JPEG, PNG).
        gamma: in 100,000ths (PNG); 0 where the file says nothing, or says what overrules it.
        profile: of its colours, or nothing (PNG, JPEG, WebP).
        frames: of an animation (PNG, GIF, WebP); 1 of a picture.
    """

    width: int
    height: int
    bits: int = 8
    orientation: int = 1
    scans: int = 1
    process: int = 0xC0
    channels: int = 3
    gamma: int = 0
    profile: bytes = b""
    frames: int = 1


# Samples of a pixel by colour type. Source: PNG specification (third edition), 11.2.1.
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def read_raster_header(content: bytes, name: PillowFormat) -> RasterHeader:
    """Read what the file declares, in bounded time and memory.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    try:
        return _READERS[name](content)
    except struct.error:
        raise BrokenImage(f"this {name} file is cut short") from None


def _png(content: bytes) -> RasterHeader:
    found: dict[bytes, bytes] = {}
    for kind, body in _png_chunks(content):
        found.setdefault(kind, body)
    if b"IHDR" not in found:
        raise BrokenImage("a PNG without its header chunk")
    # What overrules gamma. Source: PNG specification (third edition), 4.3.
    colours = found.keys() & {b"sRGB", b"iCCP", b"cICP"}
    gamma = 0 if colours or b"gAMA" not in found else struct.unpack(">I", found[b"gAMA"])[0]
    frames = struct.unpack_from(">I", found[b"acTL"])[0] if b"acTL" in found else 1
    width, height, bits, colour_type = struct.unpack_from(">IIBB", found[b"IHDR"])
    return RasterHeader(
        width,
        height,
        bits,
        channels=_PNG_CHANNELS.get(colour_type, 3),
        orientation=_orientation(found.get(b"eXIf")),
        gamma=gamma,
        profile=_png_profile(found.get(b"iCCP", b"")),
        frames=frames,
    )


def _png_profile(body: bytes) -> bytes:
    """Return the beginning of a colour profile, which has its name in it."""
    packed = body.partition(b"\0")[2][1:]
    try:
        return zlib.decompressobj().decompress(packed, MAX_PROFILE_BYTES)
    except zlib.error:
        # It is not applied, so it need not be sound.
        return packed


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
    return RasterHeader(
        header.width,
        header.height,
        header.bits,
        orientation=orientation,
        scans=scans,
        process=header.process,
        channels=header.components,
        profile=header.profile,
    )


def _webp(content: bytes) -> RasterHeader:
    size: tuple[int, int] | None = None
    exif, profile, frames = b"", b"", 0
    for kind, body in _riff_chunks(content):
        size = webp_size(body, kind) if size is None else size
        frames += kind == b"ANMF"
        if kind == b"EXIF":
            exif = body.removeprefix(b"Exif\x00\x00")
        elif kind == b"ICCP":
            profile = body[:MAX_PROFILE_BYTES]
    if size is None:
        raise BrokenImage("a WebP without a picture")
    orientation = _orientation(exif)
    return RasterHeader(*size, orientation=orientation, profile=profile, frames=max(1, frames))


def _riff_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 12
    for _ in range(MAX_CHUNKS):
        if position + 8 > len(content):
            return
        kind, length = struct.unpack_from("<4sI", content, position)
        yield kind, content[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
    raise ImageTooLarge(f"a WebP of more than {MAX_CHUNKS} chunks")


def _bmp(content: bytes) -> RasterHeader:
    if struct.unpack_from("<I", content, 14)[0] == 12:
        return RasterHeader(*struct.unpack_from("<HH", content, 18))
    width, height = struct.unpack_from("<ii", content, 18)
    # A negative height means rows from the top.
    return RasterHeader(width, abs(height))


def _gif(content: bytes) -> RasterHeader:
    width, height, flags = struct.unpack_from("<HHB", content, 6)
    position = 13 + _gif_table_bytes(flags)
    frames = 0
    for _ in range(MAX_CHUNKS):
        mark = content[position : position + 1]
        if mark == b",":
            left, top, across, down, packed = struct.unpack_from("<4HB", content, position + 1)
            if not frames:
                # Decoders make the screen as large as the first picture, where that is larger.
                width, height = max(width, left + across), max(height, top + down)
            frames += 1
            position = _after_gif_blocks(content, position + 11 + _gif_table_bytes(packed))
        elif mark == b"!":
            position = _after_gif_blocks(content, position + 2)
        else:
            break
    return RasterHeader(width, height, frames=max(1, frames))


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
    return Directory(exif).orientation()


_READERS: dict[PillowFormat, Callable[[bytes], RasterHeader]] = {
    "png": _png,
    "jpeg": _jpeg,
    "webp": _webp,
    "bmp": _bmp,
    "gif": _gif,
}

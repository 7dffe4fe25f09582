"""What files of JPEG 2000, JPEG-LS, JPEG XL, HEIC and AVIF declare, before they are decoded."""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from segmenter.errors import BrokenImage, ImageTooLarge
from segmenter.formats.raster.codestreams.jpeg_xl import HEADER_BYTES, MARKER, read_codestream
from segmenter.formats.raster.codestreams.size import (
    SIZE_MARKER,
    SIZE_MARKER_BYTES,
    StreamSize,
    jpeg2000_size,
)
from segmenter.formats.raster.jpeg_header import read_jpeg_header
from segmenter.formats.sniff import StreamFormat

# Files have some ten boxes; a HEIC of tiles some hundred properties.
MAX_BOXES = 4_096
_XL_PARTS = (b"jxlc", b"jxlp")
_WITH_ALPHA = 4
# Source: ISO/IEC 15444-1, table I.10.
_SYCC = 18


class StreamHeader(NamedTuple):
    """Declared properties of a file.

    Attributes:
        size: of the picture; of HEIC and AVIF the largest of all that are in the file.
        ycbcr: whether its colours are YCbCr, of which its decoder makes RGB.
        turned: whether its decoder turns or mirrors it.
        alpha: whether the last channel is said to be alpha; None where only the decoder knows.
        sequence: whether it holds a sequence of pictures.
        profile: whether it has a colour profile.
    """

    size: StreamSize
    ycbcr: bool = False
    turned: bool = False
    alpha: bool | None = None
    sequence: bool = False
    profile: bytes = b""


def read_stream_header(content: bytes, name: StreamFormat) -> StreamHeader:
    """Read what a file declares.

    Raises:
        BrokenImage, ImageTooLarge.
    """
    try:
        return _READERS[name](content)
    except (struct.error, IndexError):
        raise BrokenImage(f"a {name} header that is cut short") from None


def _jpeg2000(content: bytes) -> StreamHeader:
    if content.startswith(SIZE_MARKER):
        return StreamHeader(jpeg2000_size(content), alpha=False)
    found: dict[bytes, memoryview] = {}
    for kind, body in _boxes(content, {b"jp2h"}):
        found.setdefault(kind, body)
    if b"jp2c" not in found:
        raise BrokenImage("a JPEG 2000 file without a codestream")
    size = jpeg2000_size(bytes(found[b"jp2c"][:SIZE_MARKER_BYTES]))
    if b"pclr" in found:
        # Its decoder puts a palette's colours in place of their numbers.
        size = size._replace(channels=found[b"pclr"][2])
    colours = found.get(b"colr", memoryview(b"\0"))
    listed = colours[0] == 1
    return StreamHeader(
        size,
        ycbcr=listed and struct.unpack_from(">I", colours, 3)[0] == _SYCC,
        alpha=b"cdef" in found and _has_alpha(found[b"cdef"]),
        profile=b"" if listed else bytes(colours[3:]),
    )


def _has_alpha(body: memoryview) -> bool:
    """Tell whether a channel is opacity. Source: ISO/IEC 15444-1, I.5.3.6."""
    count = struct.unpack_from(">H", body)[0]
    kinds = struct.unpack_from(">" + "2xH2x" * count, body, 2)
    return 1 in kinds or 2 in kinds


def _jpeg_ls(content: bytes) -> StreamHeader:
    header = read_jpeg_header(content)
    return StreamHeader(
        StreamSize(header.width, header.height, header.components, header.bits), alpha=False
    )


def _jpeg_xl(content: bytes) -> StreamHeader:
    stream = content[:HEADER_BYTES]
    if not content.startswith(MARKER):
        parts = (body for kind, body in _boxes(content, set()) if kind in _XL_PARTS)
        body = next(parts, memoryview(b""))
        # Of a stream in parts each begins with its number.
        stream = bytes(body[: HEADER_BYTES + 4])
        stream = stream if stream.startswith(MARKER) else stream[4:]
    header = read_codestream(stream)
    return StreamHeader(header.size, turned=header.turned, sequence=header.moves)


def _heif(content: bytes) -> StreamHeader:
    brands = content[8:12] + content[16 : struct.unpack_from(">I", content)[0]][:256]
    sizes, profile, bits, turned = [], b"", 8, False
    for kind, body in _boxes(content, {b"meta", b"iprp", b"ipco"}):
        if kind == b"ispe":
            sizes.append(struct.unpack_from(">2I", body, 4))
        elif kind == b"pixi":
            bits = max(bits, *body[5 : 5 + body[4]])
        elif kind == b"imir" or (kind == b"irot" and body[0] & 3):
            turned = True
        elif kind == b"colr" and bytes(body[:4]) in (b"prof", b"rICC"):
            profile = bytes(body[4:])
    if not sizes:
        raise BrokenImage("a HEIC or AVIF file without a picture")
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    sequence = any(brand in brands for brand in (b"avis", b"msf1", b"hevc", b"hevx"))
    size = StreamSize(width, height, _WITH_ALPHA, bits)
    return StreamHeader(size, turned=turned, sequence=sequence, profile=profile)


def _boxes(content: bytes, opened: set[bytes]) -> Iterator[tuple[bytes, memoryview]]:
    """Yield (type, body) of all boxes; of some kinds what is in them instead."""
    waiting = [memoryview(content)]
    seen = 0
    while waiting:
        rest = waiting.pop()
        while len(rest) >= 8:
            seen += 1
            if seen > MAX_BOXES:
                raise ImageTooLarge(f"a file of more than {MAX_BOXES} boxes")
            length, kind = struct.unpack_from(">I4s", rest)
            head = 8
            if length == 1:
                length, head = struct.unpack_from(">Q", rest, 8)[0], 16
            elif length == 0:
                length = len(rest)
            if not head <= length <= len(rest):
                raise BrokenImage("this file is cut short: a box is larger than what is left of it")
            body = rest[head:length]
            if kind in opened:
                # "meta" begins with a version.
                waiting.append(body[4:] if kind == b"meta" else body)
            else:
                yield kind, body
            rest = rest[length:]


_READERS: dict[StreamFormat, Callable[[bytes], StreamHeader]] = {
    "jpeg2000": _jpeg2000,
    "jpeg-ls": _jpeg_ls,
    "jpeg-xl": _jpeg_xl,
    "heic": _heif,
    "avif": _heif,
}

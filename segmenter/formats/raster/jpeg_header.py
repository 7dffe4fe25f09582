"""What a JPEG stream declares before its pixels: for JPEG files and for frames inside DICOM."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from segmenter.errors import BrokenImage, ImageTooLarge

# Start of frame: all of C0 to CF but DHT, JPG and DAC; F7 is JPEG-LS.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_APP0, _APP1, _APP2, _APP14, _SCAN = 0xE0, 0xE1, 0xE2, 0xEE, 0xDA
# Where Adobe's marker says how colours were transformed. Source: ITU-T T.872, 6.5.3.
_ADOBE_TRANSFORM_AT = 11

MAX_SEGMENTS = 4_096
# A progressive JPEG has about ten scans; each costs a pass over the whole picture.
MAX_SCANS = 100


class JpegHeader(NamedTuple):
    """Declared size, and the directories that decoders would parse.

    Attributes:
        bits: per sample.
        exif: a TIFF block, empty if there is none.
        indices: of several pictures, TIFF blocks too.
        process: the marker code of the frame header, 0xC0 for baseline, 0xF7 for JPEG-LS.
        ids: of the components.
        jfif: whether it calls itself JFIF, whose colours are YCbCr.
        adobe: the transform that Adobe's marker names (0 none, 1 YCbCr); None without the marker.
        factors: of the components, how finely each is sampled.
    """

    width: int
    height: int
    components: int
    bits: int
    exif: bytes
    indices: tuple[bytes, ...]
    process: int = 0xC0
    ids: bytes = b""
    jfif: bool = False
    adobe: int | None = None
    factors: bytes = b""


def read_jpeg_header(content: bytes) -> JpegHeader:
    """Read the segments up to the first scan.

    Raises:
        BrokenImage: no frame or no scan.
        ImageTooLarge: more segments or scans than any real image.
    """
    frame: tuple[int, int, int, int] | None = None
    exif, indices = b"", []
    process, ids, factors, jfif, adobe = 0xC0, b"", b"", False, None
    for marker, body in _segments(content):
        if marker in _FRAMES:
            frame, process = struct.unpack_from(">BHHB", body), marker
            ids, factors = body[6::3], body[7::3]
        elif marker == _APP0 and body[:5] == b"JFIF\x00":
            jfif = True
        elif marker == _APP14 and body[:5] == b"Adobe":
            adobe = (body[_ADOBE_TRANSFORM_AT:] or b"\x00")[0]
        elif marker == _APP1 and body[:6] == b"Exif\x00\x00":
            # Decoders join an EXIF block that is spread over several segments.
            exif += body[6:]
        elif marker == _APP2 and body[:4] == b"MPF\x00":
            indices.append(body[4:])
    if frame is None:
        raise BrokenImage("a JPEG stream without a frame header")
    bits, height, width, components = frame
    return JpegHeader(
        width, height, components, bits, exif, tuple(indices), process, ids, jfif, adobe, factors
    )


def count_scans(content: bytes) -> int:
    """Count the scans of a stream; may count one too many.

    Raises:
        ImageTooLarge.
    """
    # In coded data FF is always followed by 00, so FF DA is the marker (or metadata: rare).
    scans = content.count(b"\xff\xda")
    if scans > MAX_SCANS:
        raise ImageTooLarge(f"a JPEG of {scans} scans, over the limit of {MAX_SCANS}")
    return scans


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, body) up to the first scan."""
    position = 2
    try:
        for _ in range(MAX_SEGMENTS):
            marker, position = _next_marker(content, position)
            if marker in _ALONE:
                continue
            length = struct.unpack_from(">H", content, position)[0]
            body = content[position + 2 : position + length]
            if len(body) != length - 2:
                break
            yield marker, body
            if marker == _SCAN:
                return
            position += length
        else:
            raise ImageTooLarge(f"a JPEG header of more than {MAX_SEGMENTS} segments")
    except (struct.error, ValueError):
        pass
    raise BrokenImage("a JPEG stream that ends before its pixels")


def _next_marker(content: bytes, position: int) -> tuple[int, int]:
    """Return the next marker code and the position after it."""
    position = content.index(b"\xff", position)
    while content[position : position + 1] == b"\xff":
        position += 1
    if position >= len(content):
        raise ValueError("no marker left")
    return content[position], position + 1

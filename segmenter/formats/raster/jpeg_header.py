"""What a JPEG stream declares before its pixels: for JPEG files and for frames inside DICOM."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from segmenter.errors import BrokenImage, ImageTooLarge

# Start of frame: all of C0 to CF but DHT, JPG and DAC; F7 is JPEG-LS.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_SCAN = 0xDA
# Markers of applications, and the names that their segments begin with.
_JFIF, _ADOBE = (0xE0, b"JFIF\x00"), (0xEE, b"Adobe")
_EXIF, _PROFILE, _INDEX = (0xE1, b"Exif\x00\x00"), (0xE2, b"ICC_PROFILE\x00"), (0xE2, b"MPF\x00")
# Where Adobe's says, behind its name, how colours were transformed. Source: ITU-T T.872, 6.5.3.
_ADOBE_TRANSFORM_AT = 6

MAX_SEGMENTS = 4_096
# A progressive JPEG has about ten scans; each costs a pass over the whole picture.
MAX_SCANS = 100


class JpegHeader(NamedTuple):
    """Declared size, and the directories that decoders would parse.

    Attributes:
        bits: per sample.
        profile: the beginning of a colour profile, or nothing.
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
    profile: bytes = b""
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
    segments = list(_segments(content))
    frame = next((each for each in reversed(segments) if each[0] in _FRAMES), None)
    if frame is None:
        raise BrokenImage("a JPEG stream without a frame header")
    process, body = frame
    bits, height, width, components = struct.unpack_from(">BHHB", body)
    # Of a profile the first part: its name is in it. Decoders join an EXIF block that is spread
    # over several segments.
    profiles, adobe = _bodies(segments, _PROFILE), _bodies(segments, _ADOBE)
    return JpegHeader(
        width,
        height,
        components,
        bits,
        b"".join(_bodies(segments, _EXIF)),
        tuple(_bodies(segments, _INDEX)),
        process=process,
        profile=profiles[0][2:] if profiles else b"",
        ids=body[6::3],
        jfif=bool(_bodies(segments, _JFIF)),
        adobe=(adobe[-1][_ADOBE_TRANSFORM_AT:] or b"\x00")[0] if adobe else None,
        factors=body[7::3],
    )


def _bodies(segments: list[tuple[int, bytes]], kind: tuple[int, bytes]) -> list[bytes]:
    """Return what segments of a marker hold behind a name."""
    marker, name = kind
    return [
        body[len(name) :] for each, body in segments if each == marker and body[: len(name)] == name
    ]


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


class Scan(NamedTuple):
    """What a scan of a progressive JPEG brings.

    Attributes:
        components: their ids.
        first: coefficient, in the order of the stream.
        last: coefficient.
        bits_left: of the coefficients, for later scans to bring.
    """

    components: bytes
    first: int
    last: int
    bits_left: int


def scans_of(content: bytes) -> list[Scan]:
    """Return the scans of the picture of a stream, those of a preview in its header left out.

    Raises:
        BrokenImage: one is cut short, or there is none.
    """
    position = sum(4 + len(body) for marker, body in _segments(content) if marker != _SCAN)
    found = []
    position, end = content.find(b"\xff\xda", position), content.find(b"\xff\xd9", position)
    while 0 <= position < max(end, 0):
        count = content[position + 4]
        ids = content[position + 5 : position + 5 + 2 * count : 2]
        tail = content[position + 5 + 2 * count : position + 8 + 2 * count]
        if len(tail) < 3:
            raise BrokenImage("a JPEG scan that is cut short")
        found.append(Scan(ids, tail[0], tail[1], tail[2] & 15))
        position = content.find(b"\xff\xda", position + 2)
    return found


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

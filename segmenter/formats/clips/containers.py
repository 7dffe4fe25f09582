"""Containers of video, told by their content."""

from collections.abc import Callable
from typing import Literal, NamedTuple

ClipFormat = Literal[
    "mp4", "mov", "3gp", "avi", "webm", "mkv", "mpeg", "mpeg-ts", "wmv", "flv", "ogv", "mxf"
]

# Brands of the base media file format that are pictures. Source: the registry at mp4ra.org.
PICTURE_BRANDS = frozenset(
    {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis"}
)
# Those of them that move.
MOVING_BRANDS = frozenset({b"msf1", b"hevc", b"hevx", b"avis"})
# Brands of what is no film either: raw pictures of cameras, pictures coded as AVC, and sound.
NO_FILM_BRANDS = frozenset({b"crx ", b"avci", b"avcs", b"M4A ", b"M4B ", b"M4P "})
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
# Transport streams repeat their mark with each packet, on discs behind a time of 4 bytes.
TS_MARK, TS_PACKET_BYTES, TS_TIMED_BYTES = 0x47, 188, 192
_TS_PACKETS = 3
_MXF_KEY = bytes.fromhex("060e2b34020501010d010201")


class ClipKind(NamedTuple):
    """A container: how it is called here, in words, and by the library that reads it."""

    format: ClipFormat
    what: str
    reader: str


_MP4 = ClipKind("mp4", "an MP4 video", "mov")
_MOV = ClipKind("mov", "a QuickTime video", "mov")
_3GP = ClipKind("3gp", "a 3GP video", "mov")
_AVI = ClipKind("avi", "an AVI video", "avi")
_WEBM = ClipKind("webm", "a WebM video", "matroska")
_MKV = ClipKind("mkv", "a Matroska video", "matroska")
_MPEG = ClipKind("mpeg", "an MPEG video", "mpeg")
_ELEMENTARY = ClipKind("mpeg", "an MPEG video", "mpegvideo")
_TS = ClipKind("mpeg-ts", "an MPEG transport stream", "mpegts")
_WMV = ClipKind("wmv", "a Windows Media video", "asf")
_FLV = ClipKind("flv", "a Flash video", "flv")
_OGV = ClipKind("ogv", "an Ogg video", "ogg")
_MXF = ClipKind("mxf", "an MXF video", "mxf")


def clip_kind(content: bytes) -> ClipKind | None:
    """Return the container of a video; None if this is none."""
    return next((kind for tell in _TELLERS if (kind := tell(content)) is not None), None)


def _base_media(content: bytes) -> ClipKind | None:
    if content[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        # From before there were brands; checked, for four letters are few.
        return _MOV if content[:2] == b"\x00\x00" else None
    if content[4:8] != b"ftyp":
        return None
    brand = content[8:12]
    if brand in PICTURE_BRANDS | NO_FILM_BRANDS:
        return None
    if brand == b"qt  ":
        return _MOV
    return _3GP if brand.startswith((b"3gp", b"3g2")) else _MP4


def _riff(content: bytes) -> ClipKind | None:
    return _AVI if content[:4] == b"RIFF" and content[8:12] == b"AVI " else None


def _matroska(content: bytes) -> ClipKind | None:
    if not content.startswith(b"\x1a\x45\xdf\xa3"):
        return None
    return _WEBM if b"webm" in content[:64] else _MKV


def _mpeg(content: bytes) -> ClipKind | None:
    if content.startswith(b"\x00\x00\x01\xba"):
        return _MPEG
    return _ELEMENTARY if content.startswith(b"\x00\x00\x01\xb3") else None


def _transport(content: bytes) -> ClipKind | None:
    for start, step in ((0, TS_PACKET_BYTES), (4, TS_TIMED_BYTES)):
        marks = content[start : start + step * _TS_PACKETS : step]
        if len(marks) == _TS_PACKETS and set(marks) == {TS_MARK}:
            return _TS
    return None


def _by_magic(content: bytes) -> ClipKind | None:
    for magic, kind in ((_ASF, _WMV), (b"FLV\x01", _FLV), (b"OggS", _OGV), (_MXF_KEY, _MXF)):
        if content.startswith(magic):
            return kind
    return None


_TELLERS: tuple[Callable[[bytes], ClipKind | None], ...] = (
    _base_media,
    _riff,
    _matroska,
    _mpeg,
    _transport,
    _by_magic,
)

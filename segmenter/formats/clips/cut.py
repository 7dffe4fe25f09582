"""Tells a video file whose end is missing, by the lengths that its container declares."""

import struct

from segmenter.formats.clips.containers import TS_MARK, TS_PACKET_BYTES, TS_TIMED_BYTES, ClipKind

# Source: RFC 8794, 4: an element of unknown size has all bits set.
_EBML_SEGMENT = b"\x18\x53\x80\x67"
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_PACK, _END = 0xBA, 0xB9
# Kinds of boxes at the top of a file: what else follows a whole film is no part of it.
_TOP_BOXES = frozenset(
    {
        *(b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"mfra", b"sidx", b"ssix", b"meta"),
        *(b"udta", b"uuid", b"free", b"skip", b"wide", b"pnot", b"prft", b"emsg", b"PICT"),
    }
)
# Boxes of the base media format at the top of a file: some hundred thousand in fragments.
MAX_BOXES = 1_000_000


def is_cut(content: bytes, kind: ClipKind) -> bool:
    """Tell whether a file is shorter than it declares; False where it does not declare it."""
    check = {
        "mov": _base_media,
        "avi": _riff,
        "matroska": _matroska,
        "asf": _asf,
        "flv": _flv,
        "ogg": _ogg,
        "mpegts": _transport,
        "mpeg": _program,
        "mxf": _mxf,
    }.get(kind.reader)
    try:
        return check is not None and check(content)
    except struct.error:
        return True


def _base_media(content: bytes) -> bool:
    position = 0
    for _ in range(MAX_BOXES):
        rest = len(content) - position
        if rest < 8:
            return rest < 0
        length = struct.unpack_from(">I", content, position)[0]
        if length == 1 and rest >= 16:
            length = struct.unpack_from(">Q", content, position + 8)[0]
        kind = content[position + 4 : position + 8]
        # A box to the end of the file; or what is no box, such as padding.
        if length < 8 or kind not in _TOP_BOXES:
            return False
        position += length
    return False


def _riff(content: bytes) -> bool:
    # Some recorders that were stopped leave the length empty.
    length = struct.unpack_from("<I", content, 4)[0]
    return length not in (0, 0xFFFFFFFF) and length + 8 > len(content) + 1


def _matroska(content: bytes) -> bool:
    start = content.find(_EBML_SEGMENT, 0, 4096)
    if start < 0:
        return True
    start += 4
    first = content[start] if start < len(content) else 0
    width = 9 - first.bit_length()
    if not 1 <= width <= 8:
        return False
    size = int.from_bytes(content[start : start + width], "big") & ((1 << 7 * width) - 1)
    unknown = size == (1 << 7 * width) - 1
    return not unknown and start + width + size > len(content)


def _asf(content: bytes) -> bool:
    start = content.find(_ASF_FILE, 0, 65_536)
    if start < 0:
        return False
    # Source: ASF specification, 3.2: behind the header of the object and the file's id; its flags
    # say whether the size is known.
    size: int = struct.unpack_from("<Q", content, start + 40)[0]
    known = start + 88 < len(content) and not content[start + 88] & 1
    return bool(known and size > len(content))


def _flv(content: bytes) -> bool:
    """Tell whether the last tag is whole: behind each is its length."""
    if len(content) < 28:
        return True
    position: int = struct.unpack_from(">I", content, 5)[0] + 4
    while position + 11 <= len(content):
        size = int.from_bytes(content[position + 1 : position + 4], "big")
        position += 11 + size + 4
    return position != len(content)


def _program(content: bytes) -> bool:
    """Tell whether the last packet is whole. Source: ISO/IEC 13818-1, 2.5.3."""
    position = 0
    while content[position : position + 3] == b"\x00\x00\x01" and position + 4 < len(content):
        if content[position + 3] == _PACK:
            again = content[position + 4] >> 6 == 1
            stuffed = content[position + 13] & 7 if again and position + 13 < len(content) else 0
            position += 14 + stuffed if again else 12
        elif content[position + 3] == _END:
            return False
        else:
            position += 6 + struct.unpack_from(">H", content, position + 4)[0]
    return position > len(content)


def _mxf(content: bytes) -> bool:
    """Tell whether the footer lies in the file. Source: SMPTE ST 377-1, 7.1."""
    long = content[16] & 0x7F if len(content) > 16 and content[16] & 0x80 else 0
    # Behind the key and its length: versions, grid, this partition and the one before it.
    footer: int = struct.unpack_from(">Q", content, 17 + long + 24)[0]
    return footer >= len(content)


def _transport(content: bytes) -> bool:
    """Tell whether the last packet is whole."""
    return len(content) % (TS_PACKET_BYTES if content[0] == TS_MARK else TS_TIMED_BYTES) != 0


def _ogg(content: bytes) -> bool:
    """Tell whether the last page is whole. Source: RFC 3533, 6."""
    last = content.rfind(b"OggS")
    table = content[last + 27 : last + 27 + content[last + 26]] if last + 26 < len(content) else b""
    if not table or len(table) < content[last + 26]:
        return True
    return last + 27 + len(table) + sum(table) > len(content)

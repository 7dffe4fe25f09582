"""Encoded frames in items: where each begins, and the offset table in front of them.

Source: PS3.5, annex A.4 (encapsulation).
"""

import struct

from segmenter.errors import BrokenImage, ImageTooLarge
from segmenter.formats.dicom.encoded.codestream import BARE_STARTS

# Thousands of frames, each of some fragments.
MAX_FRAGMENTS = 100_000
ITEM = b"\xfe\xff\x00\xe0"
_ITEM_HEADER = 8
# Enough of a frame for what its header says; metadata in front of it are rarely longer.
HEAD_BYTES = 1024 * 1024
_HEAD_FRAGMENTS = 1024


def first_fragments(content: bytes, at: int) -> bytes:
    """Return the first bytes of the fragments behind the offset table; one may be very short."""
    at += _ITEM_HEADER + _item_length(content, at)
    parts: list[bytes] = []
    room = HEAD_BYTES
    while room > 0 and content.startswith(ITEM, at) and len(parts) < _HEAD_FRAGMENTS:
        length = _item_length(content, at)
        at += _ITEM_HEADER
        parts.append(content[at : at + min(length, room)])
        at, room = at + length, room - length
    return b"".join(parts)


def count_streams(content: bytes, at: int) -> int:
    """Count the items that begin like a JPEG or JPEG 2000 frame of their own."""
    count = 0
    for _ in range(MAX_FRAGMENTS):
        if not content.startswith(ITEM, at):
            break
        count += content.startswith(BARE_STARTS, at + _ITEM_HEADER)
        at += _ITEM_HEADER + _item_length(content, at)
    return count


def encoded_value(content: bytes, at: int, end: int, frames: int) -> bytes:
    """Return the items of encoded frames, without an offset table that points elsewhere.

    Some writers leave the delimiter behind them out, or an old table in after encoding anew.

    Args:
        content: of the data set.
        at: where the value begins.
        end: where it ends at the latest.
        frames: that the attributes declare.

    Raises:
        BrokenImage: fewer frames than declared, or one that goes on behind the end.
        ImageTooLarge: more items than any real image.
    """
    starts, end = _items(content, at, end)
    fragments = [start - starts[1] for start in starts[1:]]
    if len(fragments) < frames:
        raise BrokenImage(
            f"NumberOfFrames is {frames}, and there are no more than {len(fragments)} encoded"
            " frames: cut short"
        )
    # Longer than any table of fragments it is none.
    count = (starts[1] - at - _ITEM_HEADER) // 4
    offsets = struct.unpack_from(f"<{min(count, MAX_FRAGMENTS + 1)}I", content, at + _ITEM_HEADER)
    apart = len(offsets) == len(set(offsets)) and (not offsets or len(offsets) >= frames)
    if apart and set(fragments).issuperset(offsets):
        return content[at:end]
    return ITEM + bytes(4) + content[starts[1] : end]


def _items(content: bytes, at: int, end: int) -> tuple[list[int], int]:
    """Return where the items of encoded frames begin, the offset table first, and where they end.

    Raises:
        BrokenImage: an item goes on behind the end, or there is none.
        ImageTooLarge: more items than any real image.
    """
    starts: list[int] = []
    while at + _ITEM_HEADER <= end and content.startswith(ITEM, at):
        if len(starts) > MAX_FRAGMENTS:
            raise ImageTooLarge(f"more than {MAX_FRAGMENTS} fragments of encoded pixel data")
        starts.append(at)
        at += _ITEM_HEADER + _item_length(content, at)
        if at > end:
            raise BrokenImage("the encoded pixel data end within a frame: cut short")
    if len(starts) < 2:
        raise BrokenImage("encoded pixel data without a frame")
    return starts, at


def _item_length(content: bytes, at: int) -> int:
    return int.from_bytes(content[at + 4 : at + _ITEM_HEADER], "little")

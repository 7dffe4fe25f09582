"""Bounded reading of a TIFF directory: of TIFF files and of EXIF blocks, which are small TIFFs.

Pillow reads every tag's value as soon as it opens a directory. Thousands of tags that all point at
the same megabytes would make it copy them thousands of times; real tags do not overlap.
"""

import struct
from itertools import zip_longest
from typing import NamedTuple

from segmenter.errors import BrokenImage, ImageTooLarge

WIDTH, HEIGHT, BITS, ORIENTATION = 256, 257, 258, 274
# Offsets and byte counts of strips and of tiles.
_PIECES = ((273, 279), (324, 325))

MAX_TAGS = 1_000
# One strip a row and plane, at the largest side. Pillow keeps some hundred bytes for each.
MAX_PIECES = 100_000
MAX_PAGES = 10_000

# Bytes of one value by TIFF type. Source: TIFF 6.0, section 2; BigTIFF adds 16 to 18.
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TYPE_BYTES |= {16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}


class _Layout(NamedTuple):
    """Byte order and fields of a classic or a Big TIFF, as `struct` formats.

    Attributes:
        first: where the offset of the first directory is.
    """

    order: str
    length: str
    entry: str
    offset: str
    first: int


class _Entry(NamedTuple):
    """One tag: `number` values of type `kind`, within `field` or where it points."""

    tag: int
    kind: int
    number: int
    field: bytes

    @property
    def size(self) -> int:
        """Bytes of all values; 0 for a type nobody reads."""
        return _TYPE_BYTES.get(self.kind, 0) * self.number


def read_directory(block: bytes) -> dict[int, int]:
    """Check the first directory and return the first value of each integer tag.

    Raises:
        BrokenImage: cut short, or tags that claim more bytes than the block has.
        ImageTooLarge: more tags or strips than any real image.
    """
    try:
        layout = _layout(block)
        entries = _entries(block, layout)
        claimed = sum(entry.size for entry in entries)
        if claimed > len(block):
            raise BrokenImage(f"tags claim {claimed} bytes of {len(block)}")
        _check_pieces(block, entries, layout)
        first = {entry.tag: _values(block, entry, layout, most=1) for entry in entries}
    except struct.error:
        raise BrokenImage("a TIFF or EXIF directory is cut short") from None
    return {tag: values[0] for tag, values in first.items() if values}


def count_pages(block: bytes) -> int:
    """Count the directories, up to `MAX_PAGES`; a broken or circular chain ends the count."""
    layout = _layout(block)
    seen: set[int] = set()
    try:
        offset = _first_offset(block, layout)
        while 0 < offset < len(block) and offset not in seen and len(seen) < MAX_PAGES:
            seen.add(offset)
            offset = _next_offset(block, offset, layout)
    except struct.error:
        pass
    return len(seen)


def _layout(block: bytes) -> _Layout:
    order = "<" if block[:2] == b"II" else ">"
    magic = struct.unpack_from(order + "H", block, 2)[0]
    if magic == 43:
        return _Layout(order, order + "Q", order + "HHQ8s", order + "Q", first=8)
    return _Layout(order, order + "H", order + "HHI4s", order + "I", first=4)


def _first_offset(block: bytes, layout: _Layout) -> int:
    return int(struct.unpack_from(layout.offset, block, layout.first)[0])


def _next_offset(block: bytes, start: int, layout: _Layout) -> int:
    count = struct.unpack_from(layout.length, block, start)[0]
    after = start + struct.calcsize(layout.length) + count * struct.calcsize(layout.entry)
    return int(struct.unpack_from(layout.offset, block, after)[0]) if after < len(block) else 0


def _entries(block: bytes, layout: _Layout) -> list[_Entry]:
    start = _first_offset(block, layout)
    # Offsets of a Big TIFF exceed what struct takes as a position.
    if start >= len(block):
        raise BrokenImage("a TIFF or EXIF directory is cut short")
    count = struct.unpack_from(layout.length, block, start)[0]
    if count > MAX_TAGS:
        raise ImageTooLarge(f"a directory of {count} tags, over the limit of {MAX_TAGS}")
    start += struct.calcsize(layout.length)
    step = struct.calcsize(layout.entry)
    return [
        _Entry(*struct.unpack_from(layout.entry, block, start + index * step))
        for index in range(count)
    ]


def _check_pieces(block: bytes, entries: list[_Entry], layout: _Layout) -> None:
    """Refuse strips and tiles outside the file here: libtiff would print its complaint."""
    by_tag = {entry.tag: entry for entry in entries}
    for offsets, lengths in _PIECES:
        if offsets not in by_tag:
            continue
        if by_tag[offsets].number > MAX_PIECES:
            raise ImageTooLarge(f"{by_tag[offsets].number} strips, over the limit of {MAX_PIECES}")
        starts = _values(block, by_tag[offsets], layout)
        sizes = _values(block, by_tag[lengths], layout) if lengths in by_tag else ()
        ends = (start + size for start, size in zip_longest(starts, sizes, fillvalue=0))
        if max(ends, default=0) > len(block):
            raise BrokenImage("a TIFF whose pixels lie outside the file: cut short")


def _values(
    block: bytes, entry: _Entry, layout: _Layout, *, most: int = MAX_PIECES
) -> tuple[int, ...]:
    """Return the first values of an integer tag; none for other types."""
    code = _INTEGERS.get(entry.kind)
    if code is None or entry.number == 0:
        return ()
    values = f"{layout.order}{min(entry.number, most)}{code}"
    if entry.size <= len(entry.field):
        return struct.unpack_from(values, entry.field)
    offset = struct.unpack(layout.offset, entry.field)[0]
    if offset > len(block):
        raise BrokenImage("the value of a TIFF or EXIF tag lies outside its block")
    return struct.unpack_from(values, block, offset)

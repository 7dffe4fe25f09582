"""Bounded reading of TIFF directories: of TIFF files and of EXIF blocks, which are small TIFFs.

Readers copy every tag's value. Thousands of tags that all point at the same megabytes would make
them copy those thousands of times; real tags do not overlap.
"""

import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import zip_longest
from typing import NamedTuple

from segmenter.errors import BrokenImage, ImageTooLarge

ORIENTATION = 274
# Offsets and byte counts of strips and of tiles.
_PIECES = ((273, 279), (324, 325))

MAX_TAGS = 1_000
# One strip a row and plane, at the largest side. Readers keep some hundred bytes for each.
MAX_PIECES = 100_000
MAX_PAGES = 10_000
# Of all directories of a file: 4,096 pages of 40 tags each stay below this.
MAX_TAGS_IN_ALL = 200_000
# Of a tag that is text or bytes: descriptions of slides and microscopes have some kilobytes.
MAX_TEXT_BYTES = 1 << 20

# Bytes of one value by TIFF type. Source: TIFF 6.0, section 2; BigTIFF adds 16 to 18.
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
TYPE_BYTES |= {16: 8, 17: 8, 18: 8}
INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


class Layout(NamedTuple):
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
        return TYPE_BYTES.get(self.kind, 0) * self.number


class Directory:
    """A checked directory: its tags' values, read when they are asked for.

    Attributes:
        offset: where it is.
        tags: how many it has.
    """

    def __init__(self, block: bytes, offset: int | None = None) -> None:
        """Read and check the directory at an offset; the first one if there is none.

        Raises:
            BrokenImage: cut short, or tags that claim more bytes than the block has.
            ImageTooLarge: more tags or strips than any real image.
        """
        self._block = block
        try:
            self._layout = layout_of(block)
            self.offset = _first_offset(block, self._layout) if offset is None else offset
            entries = _entries(block, self._layout, self.offset)
            self.tags = len(entries)
            claimed = sum(entry.size for entry in entries)
            if claimed > len(block):
                raise BrokenImage(f"tags claim {claimed} bytes of {len(block)}")
            self._by_tag = {entry.tag: entry for entry in entries}
            self._check_pieces()
        except struct.error:
            raise BrokenImage("a TIFF or EXIF directory is cut short") from None

    def numbers(self, tag: int, *, most: int = MAX_PIECES) -> tuple[int, ...]:
        """Return the first values of an integer tag; none for other types.

        Raises:
            BrokenImage.
        """
        entry = self._by_tag.get(tag)
        code = None if entry is None else INTEGERS.get(entry.kind)
        if entry is None or code is None or entry.number == 0:
            return ()
        values = f"{self._layout.order}{min(entry.number, most)}{code}"
        try:
            return struct.unpack_from(values, *self._place(entry))
        except struct.error:
            raise BrokenImage("a TIFF or EXIF directory is cut short") from None

    def number(self, tag: int, default: int) -> int:
        """Return the first value of an integer tag.

        Raises:
            BrokenImage.
        """
        return next(iter(self.numbers(tag, most=1)), default)

    def raw(self, tag: int) -> bytes:
        """Return the bytes of a tag, at most `MAX_TEXT_BYTES`; none if it is missing.

        Raises:
            BrokenImage.
        """
        entry = self._by_tag.get(tag)
        if entry is None:
            return b""
        block, start = self._place(entry)
        return block[start : start + min(entry.size, MAX_TEXT_BYTES)]

    def ratio(self, tag: int) -> Fraction | None:
        """Return the value of an unsigned rational tag; None without one, or if it is no number.

        Raises:
            BrokenImage.
        """
        entry = self._by_tag.get(tag)
        raw = self.raw(tag)
        if entry is None or entry.kind != 5 or len(raw) < 8:
            return None
        above, below = struct.unpack_from(self._layout.order + "2I", raw)
        return Fraction(above, below) if below else None

    def orientation(self) -> int:
        """Return the orientation, 1 to 8; 1 if it says nothing usable.

        Raises:
            BrokenImage.
        """
        found = self.number(ORIENTATION, 1)
        return found if 1 <= found <= 8 else 1

    def next_offset(self) -> int:
        """Return where the next directory is, 0 behind the last."""
        try:
            return _next_offset(self._block, self.offset, self._layout)
        except struct.error:
            return 0

    def _place(self, entry: _Entry) -> tuple[bytes, int]:
        """Return what a tag's values are in, and where they begin in it."""
        if entry.size <= len(entry.field):
            return entry.field, 0
        offset = struct.unpack(self._layout.offset, entry.field)[0]
        if offset > len(self._block):
            raise BrokenImage("the value of a TIFF or EXIF tag lies outside its block")
        return self._block, offset

    def _check_pieces(self) -> None:
        """Refuse strips and tiles outside the file."""
        for offsets, lengths in _PIECES:
            if offsets not in self._by_tag:
                continue
            count = self._by_tag[offsets].number
            if count > MAX_PIECES:
                raise ImageTooLarge(f"{count} strips, over the limit of {MAX_PIECES}")
            starts, sizes = self.numbers(offsets), self.numbers(lengths)
            ends = (start + size for start, size in zip_longest(starts, sizes, fillvalue=0))
            if max(ends, default=0) > len(self._block):
                raise BrokenImage("a TIFF whose pixels lie outside the file: cut short")


def directories(block: bytes) -> Iterator[Directory]:
    """Go through the directories, up to `MAX_PAGES`; a circular chain ends.

    Raises:
        BrokenImage.
        ImageTooLarge: more tags in all than any real file.
    """
    seen: set[int] = set()
    tags, offset = 0, _layout_first(block)
    while 0 < offset < len(block) and offset not in seen and len(seen) < MAX_PAGES:
        seen.add(offset)
        directory = Directory(block, offset)
        tags += directory.tags
        if tags > MAX_TAGS_IN_ALL:
            raise ImageTooLarge(f"a TIFF of more than {MAX_TAGS_IN_ALL} tags")
        yield directory
        offset = directory.next_offset()


def count_pages(block: bytes) -> int:
    """Count the directories, up to `MAX_PAGES`; a broken or circular chain ends the count."""
    layout = layout_of(block)
    seen: set[int] = set()
    try:
        offset = _first_offset(block, layout)
        while 0 < offset < len(block) and offset not in seen and len(seen) < MAX_PAGES:
            seen.add(offset)
            offset = _next_offset(block, offset, layout)
    except struct.error:
        pass
    return len(seen)


def _layout_first(block: bytes) -> int:
    try:
        return _first_offset(block, layout_of(block))
    except struct.error:
        raise BrokenImage("a TIFF or EXIF directory is cut short") from None


def layout_of(block: bytes) -> Layout:
    """Return how a TIFF is laid out; raises `struct.error` if it is too short."""
    order = "<" if block[:2] == b"II" else ">"
    magic = struct.unpack_from(order + "H", block, 2)[0]
    if magic == 43:
        return Layout(order, order + "Q", order + "HHQ8s", order + "Q", first=8)
    return Layout(order, order + "H", order + "HHI4s", order + "I", first=4)


def _first_offset(block: bytes, layout: Layout) -> int:
    return int(struct.unpack_from(layout.offset, block, layout.first)[0])


def _next_offset(block: bytes, start: int, layout: Layout) -> int:
    count = struct.unpack_from(layout.length, block, start)[0]
    after = start + struct.calcsize(layout.length) + count * struct.calcsize(layout.entry)
    return int(struct.unpack_from(layout.offset, block, after)[0]) if after < len(block) else 0


def _entries(block: bytes, layout: Layout, start: int) -> list[_Entry]:
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

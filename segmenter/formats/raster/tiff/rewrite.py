"""A TIFF with directories of our own before its reader sees it: only what describes pixels.

Readers know hundreds of private tags and the dialects of many makers, all of which they interpret
when a file is opened. What was checked here is all that they get to see.
"""

import struct
from collections.abc import Mapping, Sequence

from segmenter.formats.raster.tiff.directory import INTEGERS, TYPE_BYTES, Layout, layout_of

# Type and values, whole numbers or bytes, by tag.
Table = Mapping[int, tuple[int, Sequence[int] | bytes]]


def rewritten(block: bytes, tables: Sequence[Table]) -> bytes:
    """Return a file of which only the given directories are seen, one page each, in their order.

    Args:
        block: the file; where its pixels are does not change.
        tables: the directories.
    """
    layout = layout_of(block)
    width = struct.calcsize(layout.offset)
    gap = bytes(-len(block) % 8)
    directories, position = [], len(block) + len(gap)
    for number, table in enumerate(tables):
        following = position + _size(table, layout)
        link = following if number + 1 < len(tables) else 0
        directories.append(_directory(table, layout, position, link))
        position = following
    # A view: the file is copied once.
    rest = memoryview(block)[layout.first + width :]
    first = struct.pack(layout.offset, len(block) + len(gap))
    return b"".join([block[: layout.first], first, rest, gap, *directories])


def _directory(table: Table, layout: Layout, position: int, link: int) -> bytes:
    """Lay out a directory that lies at `position`, its longer values behind it."""
    width = struct.calcsize(layout.offset)
    behind = position + _fixed(table, layout)
    entries, values = b"", b""
    for tag, (kind, given) in sorted(table.items()):
        raw = _raw(kind, given, layout)
        field = raw.ljust(width, b"\0")
        if len(raw) > width:
            field = struct.pack(layout.offset, behind + len(values))
            values += raw + bytes(-len(raw) % 8)
        entries += struct.pack(layout.entry, tag, kind, len(raw) // TYPE_BYTES[kind], field)
    head = struct.pack(layout.length, len(table))
    body = head + entries + struct.pack(layout.offset, link)
    return body.ljust(_fixed(table, layout), b"\0") + values


def _fixed(table: Table, layout: Layout) -> int:
    size = struct.calcsize(layout.length) + struct.calcsize(layout.offset)
    size += len(table) * struct.calcsize(layout.entry)
    return size + -size % 8


def _size(table: Table, layout: Layout) -> int:
    width = struct.calcsize(layout.offset)
    lengths = [len(_raw(kind, given, layout)) for kind, given in table.values()]
    return _fixed(table, layout) + sum(n + -n % 8 for n in lengths if n > width)


def _raw(kind: int, given: Sequence[int] | bytes, layout: Layout) -> bytes:
    if isinstance(given, bytes):
        return given
    return struct.pack(f"{layout.order}{len(given)}{INTEGERS[kind]}", *given)

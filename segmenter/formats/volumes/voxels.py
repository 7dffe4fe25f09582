"""Where the numbers of a stored volume lie in its file, and how pieces of them are read.

Voxels stay in the file, as it came, and are read in their stored type when a frame is asked for.
"""

import bz2
from collections.abc import Iterator
from io import BytesIO
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from segmenter.errors import BrokenImage
from segmenter.formats.frames import SourceGrid
from segmenter.formats.grey_levels import SHOWN_BYTES, STRIPS_BYTES, Stored
from segmenter.formats.inflate import SPAN_BYTES, GzipReader
from segmenter.formats.limits import MEBIBYTE
from segmenter.formats.percentiles import PIECE_VALUES

Packing = Literal["raw", "deflate", "bzip2", "text"]

# Copies of the decompressor, and what it gives at once.
READER_BYTES = 16 * MEBIBYTE
# Extensions and padding between header and voxels, and behind them.
SLACK_BYTES = 2**20
# Frames that lie across the file are read so many bytes of them at once: each such read goes
# through the whole file.
GROUP_BYTES = 64 * MEBIBYTE
# Numbers written out are read as these.
TEXT_DTYPE = np.dtype(np.float64)
COLOURS = 3

Numbers = npt.NDArray[np.float64]


class VoxelLayout(NamedTuple):
    """What a header says of its voxels.

    Attributes:
        what: the header is, for messages.
        packing: how they are written; ``deflate`` is gzip or zlib.
        shape: of the three axes of one volume; the first varies fastest in the file.
        dtype: of one number.
        start: of the first voxel in the unpacked content, bytes.
        at_end: whether the voxels are the last bytes of the content instead.
        beside: numbers of a voxel, one beside the other in the file.
        behind: volumes, one behind the other in the file.
        colour: whether the first three numbers of a voxel are red, green and blue.
    """

    what: str
    packing: Packing
    shape: tuple[int, int, int]
    dtype: np.dtype[np.number]
    start: int = 0
    at_end: bool = False
    beside: int = 1
    behind: int = 1
    colour: bool = False

    @property
    def volumes(self) -> int:
        """Number of volumes to choose from."""
        return self.behind if self.colour else self.behind * self.beside

    @property
    def voxels(self) -> int:
        """Number of voxels of one volume."""
        return int(np.prod(self.shape, dtype=object))

    @property
    def values(self) -> int:
        """Number of numbers in all volumes."""
        return self.voxels * self.beside * self.behind

    @property
    def size(self) -> int:
        """Bytes of all volumes."""
        return self.values * self.dtype.itemsize


def reading_bytes(layout: VoxelLayout, content: memoryview) -> int:
    """Return the memory that reading frames takes, beside the file."""
    # The largest frame, whatever the volume is cut along.
    pixels = layout.voxels // min(layout.shape)
    frame = pixels * layout.dtype.itemsize * (COLOURS if layout.colour else 1)
    shown = pixels * SHOWN_BYTES + STRIPS_BYTES
    if layout.packing == "text":
        # A number has a digit and a space, or more; it is read, and copied.
        return shown + len(content) * (1 + 2 * TEXT_DTYPE.itemsize // 2)
    if layout.packing == "bzip2":
        # Grows while it is read.
        return shown + 2 * (layout.size // layout.behind) + READER_BYTES
    if layout.packing == "raw":
        return shown
    # A group of frames, and what it is read from.
    group = min(GROUP_BYTES + frame, frame * max(layout.shape))
    return shown + group + frame * (1 if layout.colour else layout.beside) + READER_BYTES


class Voxels(NamedTuple):
    """One volume of a file.

    Attributes:
        source: unpacked, or unpacks when it is read.
        layout: of all volumes in it.
        start: of this one, bytes.
        end: of all of them, bytes.
        numbers: those of each voxel that are this volume's.
    """

    source: memoryview | GzipReader
    layout: VoxelLayout
    start: int
    end: int
    numbers: int | slice

    def pieces(self) -> Iterator[Stored]:
        """Go through all voxels in their order in the file, each piece shape (N,)."""
        for first in range(0, self.layout.voxels, PIECE_VALUES):
            yield self._run(first, min(PIECE_VALUES, self.layout.voxels - first))

    def slab(self, axis: int, first: int, last: int) -> Stored:
        """Return the voxels from `first` up to `last` along an axis, in the source's order.

        Returns:
            The shape of the three axes, and three numbers more in colour.
        """
        shape = self.layout.shape
        cut = tuple(slice(first, last) if each == axis else slice(None) for each in range(3))
        if not isinstance(self.source, GzipReader):
            return _folded(self._run(0, self.layout.voxels), shape)[cut]
        columns, rows, planes = shape
        if axis == 2:
            run = self._run(first * columns * rows, (last - first) * columns * rows)
            return _folded(run, (columns, rows, last - first))
        sides = [last - first if each == axis else shape[each] for each in range(3)]
        more = (COLOURS,) if self.layout.colour else ()
        found = np.empty((*sides, *more), self.layout.dtype, order="F")
        step = max(1, PIECE_VALUES // (columns * rows))
        for plane in range(0, planes, step):
            end = min(plane + step, planes)
            found[:, :, plane:end] = self.slab(2, plane, end)[cut[:2]]
        return found

    def check_end(self) -> None:
        """Unpack to the end of the file, which checks its checksum too.

        Raises:
            BrokenImage: it ends before the last voxel, or is damaged.
        """
        if isinstance(self.source, GzipReader):
            there = self.source.reach(self.end + SLACK_BYTES)
            if there < self.end:
                raise _cut_short(self.layout, there, self.end)

    def _run(self, first: int, count: int) -> Stored:
        """Return `count` voxels from the `first` of the volume on, shape (N,) or (N, 3)."""
        layout = self.layout
        width = layout.beside * layout.dtype.itemsize
        start, size = self.start + first * width, count * width
        raw: memoryview | bytearray
        if isinstance(self.source, GzipReader):
            raw = self.source.read(start, size)
        else:
            raw = self.source[start : start + size]
        if len(raw) < size:
            raise _cut_short(layout, start + len(raw), self.end)
        values = np.frombuffer(raw, layout.dtype).reshape(count, layout.beside)
        return values[:, self.numbers]


def open_voxels(layout: VoxelLayout, content: memoryview, number: int) -> Voxels:
    """Unpack what must be, and find one of the volumes.

    Args:
        layout: from the header.
        content: that the layout is of.
        number: of the volume, from 0.

    Raises:
        BrokenImage: there are fewer voxels than the header declares.
    """
    place, within = (number, 0) if layout.colour else divmod(number, layout.beside)
    numbers = slice(0, COLOURS) if layout.colour else within
    source: memoryview | GzipReader
    if layout.packing == "deflate":
        source, start = GzipReader(content), layout.start
    elif layout.packing == "bzip2":
        return _unpacked_alone(layout, content, place, numbers)
    elif layout.packing == "text":
        source, start = memoryview(_numbers(layout, content).tobytes()), 0
        layout = layout._replace(dtype=TEXT_DTYPE)
    else:
        source = content
        start = len(content) - layout.size if layout.at_end else layout.start
    end = start + layout.size
    if not isinstance(source, GzipReader) and (start < 0 or len(source) < end):
        raise _cut_short(layout, len(source), end)
    return Voxels(source, layout, start + place * layout.size // layout.behind, end, numbers)


def _unpacked_alone(
    layout: VoxelLayout, content: memoryview, place: int, numbers: int | slice
) -> Voxels:
    """Unpack one of the volumes: bzip2 has no places to go on from."""
    size = layout.size // layout.behind
    try:
        with bz2.BZ2File(BytesIO(content)) as stream:
            stream.seek(layout.start + place * size)
            found = stream.read(size)
            # One byte more, so that the end is seen and with it the checksum.
            stream.read(1)
    except (OSError, EOFError):
        raise BrokenImage("this bzip2 content does not unpack: damaged") from None
    if len(found) < size:
        raise _cut_short(layout, len(found), size)
    return Voxels(memoryview(found), layout._replace(behind=1), 0, size, numbers)


def _numbers(layout: VoxelLayout, content: memoryview) -> Numbers:
    """Read numbers that are written out."""
    try:
        found = np.fromstring(bytes(content[layout.start :]), TEXT_DTYPE, sep=" ")
    except (ValueError, DeprecationWarning):
        raise BrokenImage("the voxels are written out, and one of them is no number") from None
    if found.size < layout.values:
        raise BrokenImage(f"{found.size} numbers where the {layout.what} declares {layout.values}")
    return found[: layout.values]


def _folded(run: Stored, shape: tuple[int, int, int]) -> Stored:
    """Give voxels in their order in the file their three axes."""
    columns, rows, planes = shape
    return run.reshape(planes, rows, columns, *run.shape[1:]).swapaxes(0, 2)


def _cut_short(layout: VoxelLayout, there: int, needed: int) -> BrokenImage:
    return BrokenImage(f"{there} bytes where the {layout.what} declares {needed}")


class GroupedFrames:
    """Shown frames of a volume; what is read beside a frame is kept until another group is."""

    def __init__(self, voxels: Voxels, grid: SourceGrid) -> None:
        self._voxels, self._grid = voxels, grid
        self._through = grid.axes[2]
        layout = voxels.layout
        self._size = 1
        if isinstance(voxels.source, GzipReader):
            # Where frames follow each other in the file, a group saves inflating them anew for
            # each when they are wanted backwards.
            numbers = COLOURS if layout.colour else 1
            frame = layout.voxels // layout.shape[self._through] * layout.dtype.itemsize * numbers
            group_bytes = SPAN_BYTES if self._through == 2 else GROUP_BYTES
            self._size = max(1, group_bytes // frame)
        self._number, self._group = -1, np.empty(0, layout.dtype)

    def __getitem__(self, index: int) -> Stored:
        """Return a frame's stored values, shape (H, W), or (H, W, 3) in colour."""
        number, within = divmod(index, self._size)
        if number != self._number:
            first = number * self._size
            last = min(first + self._size, self._voxels.layout.shape[self._through])
            # Let go of the one before, so that there are never two.
            self._number, self._group = -1, np.empty(0, self._voxels.layout.dtype)
            self._group = self._grid.shown(self._voxels.slab(self._through, first, last))
            self._number = number
        frame: Stored = self._group[within]
        return frame

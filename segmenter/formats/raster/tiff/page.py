"""What one page of a TIFF declares, checked before its reader sees it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.limits import Limits, check_frames, check_size
from segmenter.formats.raster.samples import COLOURS, Meaning
from segmenter.formats.raster.tiff import vocabulary as tags
from segmenter.formats.raster.tiff.directory import Directory
from segmenter.formats.raster.tiff.rewrite import Table

# Channels shown of a picture that does not say what its channels mean.
SHOWN = 3
LONG, LONG_OF_BIG, SHORT, BYTES = 4, 16, 3, 7


class Pieces(NamedTuple):
    """The strips or tiles of a page.

    Attributes:
        offsets: where they are in the file.
        counts: bytes of each; 0 for one that is not stored, and so is black.
        width: pixels of one.
        height: pixels of one.
        tiled: whether they are tiles.
    """

    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    width: int
    height: int
    tiled: bool


class Page(NamedTuple):
    """A page: what its samples are, and where.

    Attributes:
        width: pixels, as stored.
        height: pixels, as stored.
        meaning: of the samples of a pixel.
        read: how many of them are read, from the first on.
        itemsize: bytes of a sample in memory.
        compression: as TIFF numbers them.
        orientation: 1 to 8.
        pieces: of the samples that are read.
        profile: of its colours, or nothing.
        table: what the reader is shown.
    """

    width: int
    height: int
    meaning: Meaning
    read: int
    itemsize: int
    compression: int
    orientation: int
    pieces: Pieces
    profile: bytes
    table: Table

    @property
    def read_bytes(self) -> int:
        """Memory of the samples that are read."""
        return self.width * self.height * self.read * self.itemsize

    @property
    def left_out(self) -> str | None:
        """Name strips or tiles that are not stored."""
        missing, count = self.pieces.counts.count(0), len(self.pieces.counts)
        return f"{missing} of {count} tiles are not stored: black" if missing else None

    @property
    def alike(self) -> tuple[object, ...]:
        """What pages of one sequence have in common."""
        meaning = self.meaning._replace(palette=None)
        return self.width, self.height, meaning, self.itemsize, self.orientation


def size_of(directory: Directory, limits: Limits) -> tuple[int, int]:
    """Return the checked width and height.

    Raises:
        BrokenImage, ImageTooLarge.
    """
    width, height = directory.number(tags.WIDTH, -1), directory.number(tags.HEIGHT, -1)
    if width < 0 or height < 0:
        raise BrokenImage("a TIFF directory without a size")
    check_size(width, height, limits)
    return width, height


def read_page(content: bytes, directory: Directory, limits: Limits) -> Page:
    """Read what a page declares.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    width, height = size_of(directory, limits)
    samples = directory.number(tags.SAMPLES, 1)
    check_frames(1, width * height * max(samples, 1), limits)
    compression = directory.number(tags.COMPRESSION, 1)
    _refuse_compression(directory, compression)
    bits, number = _sample_type(directory, samples)
    meaning = _meaning(directory, samples, compression, bits)
    separate = samples > 1 and directory.number(tags.PLANAR, 1) == 2
    # Of channels that are stored one after the other only those shown are read.
    read = min(samples, _shown(meaning)) if separate else samples
    pieces = _pieces(content, directory, (width, height), planes=read if separate else 1)
    check_size(pieces.width, pieces.height, limits)
    if compression == tags.UNCOMPRESSED:
        pieces = _checked_bytes(pieces, (width, height), bits * (1 if separate else samples))
    return Page(
        width,
        height,
        meaning,
        read,
        next(size for size in (1, 2, 4, 8) if bits <= 8 * size),
        compression,
        directory.orientation(),
        pieces,
        directory.raw(tags.PROFILE),
        _table(directory, pieces, (read, bits, number), compression),
    )


def _refuse_compression(directory: Directory, compression: int) -> None:
    """Refuse what is not read, by its name."""
    if compression not in tags.COMPRESSIONS_READ:
        name = tags.COMPRESSIONS_NAMED.get(compression, f"compression {compression}")
        raise UnsupportedImage(f"{name} in TIFF is not read: export it with LZW or Deflate")
    if directory.number(tags.DEPTH, 1) != 1:
        raise UnsupportedImage("a TIFF page of several planes is not read: export one page each")
    subsampling = directory.numbers(tags.SUBSAMPLING) or (2, 2)
    if (
        directory.number(tags.PHOTOMETRIC, -1) == tags.YCBCR
        and compression not in tags.STREAMS
        and set(subsampling) != {1}
    ):
        raise UnsupportedImage(
            "subsampled YCbCr without JPEG in TIFF is not read: export it as RGB"
        )


def _sample_type(directory: Directory, samples: int) -> tuple[int, int]:
    """Return the bits of a sample, and its format."""
    if samples < 1:
        raise BrokenImage("a TIFF without samples")
    # Some list more, or one for all.
    bits = set(directory.numbers(tags.BITS)[:samples] or (1,))
    formats = set(directory.numbers(tags.SAMPLE_FORMAT)[:samples] or (tags.UNSIGNED,))
    if len(bits) > 1 or len(formats) > 1:
        raise UnsupportedImage("a TIFF whose channels are of different depths is not read")
    depth, number = bits.pop(), formats.pop()
    if depth not in tags.DEPTHS.get(number, ()):
        raise UnsupportedImage(f"TIFF samples of format {number} and {depth} bits are not read")
    return depth, number


def _meaning(directory: Directory, samples: int, compression: int, bits: int) -> Meaning:
    photometric = directory.number(tags.PHOTOMETRIC, tags.RGB if samples >= 3 else 1)
    kind = tags.KINDS.get(photometric)
    if kind is None:
        name = tags.PHOTOMETRICS_NAMED.get(photometric, f"photometric interpretation {photometric}")
        raise UnsupportedImage(f"{name} in TIFF is not read: export it as RGB or grey")
    if compression == tags.JPEG and kind == "ycbcr":
        # Its reader does that itself.
        kind = "rgb"
    if compression == tags.APERIO_YCBCR and samples == 3:
        kind = "ycbcr"
    if samples < COLOURS[kind]:
        raise BrokenImage(f"a TIFF of {samples} samples where its colours need {COLOURS[kind]}")
    extra = directory.numbers(tags.EXTRA)
    alpha = bool(extra) and samples == COLOURS[kind] + 1
    return Meaning(
        kind,
        channels=samples,
        bits=bits,
        alpha="premultiplied"
        if alpha and extra[0] == tags.PREMULTIPLIED
        else "straight"
        if alpha and extra[0] == tags.STRAIGHT
        else None,
        white_is_zero=photometric == tags.WHITE_IS_ZERO,
        palette=_palette(directory, bits) if kind == "palette" else None,
    )


def _shown(meaning: Meaning) -> int:
    colours = COLOURS[meaning.kind]
    return SHOWN if colours == 1 and meaning.channels > 2 else colours + (meaning.alpha is not None)


def _palette(directory: Directory, bits: int) -> np.ndarray:
    """Return the colours of a palette: uint8, shape (N, 3)."""
    stored = np.array(directory.numbers(tags.COLOUR_MAP, most=3 << 16), np.uint32)
    if bits > 16 or stored.size < 3 << bits:
        raise BrokenImage("a TIFF palette of fewer colours than its samples number")
    colours = stored[: 3 << bits].reshape(3, -1).T
    # Some writers put 8 bits where 16 belong. Source: libtiff, TIFFReadRGBAImage.
    return (colours if colours.max() < 256 else colours >> 8).astype(np.uint8)


def _pieces(content: bytes, directory: Directory, size: tuple[int, int], *, planes: int) -> Pieces:
    """Return the strips or tiles of the planes that are read."""
    width, height = size
    tiled = bool(directory.numbers(tags.TILE_OFFSETS))
    if tiled:
        across = directory.number(tags.TILE_WIDTH, 0)
        down = directory.number(tags.TILE_HEIGHT, 0)
        offsets, counts = (directory.numbers(tag) for tag in (tags.TILE_OFFSETS, tags.TILE_COUNTS))
    else:
        across, down = width, min(directory.number(tags.ROWS_PER_STRIP, height), height)
        offsets, counts = (
            directory.numbers(tag) for tag in (tags.STRIP_OFFSETS, tags.STRIP_COUNTS)
        )
    if across < 1 or down < 1:
        raise BrokenImage(f"TIFF tiles or strips of {across} x {down} pixels")
    needed = planes * math.ceil(width / across) * math.ceil(height / down)
    if not counts and needed == 1 and offsets:
        counts = (len(content) - offsets[0],)
    if len(offsets) < needed or len(counts) < needed:
        raise BrokenImage(
            f"a TIFF of {len(offsets)} strips or tiles where its size asks for {needed}"
        )
    counts = tuple(
        count if offset else 0 for offset, count in zip(offsets[:needed], counts, strict=False)
    )
    if not any(counts):
        raise BrokenImage("a TIFF without pixels")
    return Pieces(offsets[:needed], counts, across, down, tiled)


def _checked_bytes(pieces: Pieces, size: tuple[int, int], bits: int) -> Pieces:
    """Check the bytes of uncompressed pieces, `bits` of a pixel; leave out what is more."""
    row = math.ceil(pieces.width * bits / 8)
    strips = math.ceil(size[1] / pieces.height)
    counts = []
    for number, count in enumerate(pieces.counts):
        last = not pieces.tiled and number % strips == strips - 1
        rows = size[1] - (strips - 1) * pieces.height if last else pieces.height
        if 0 < count < rows * row:
            raise BrokenImage(
                f"a TIFF strip or tile of {count} bytes where its size asks for {rows * row}"
            )
        counts.append(min(count, rows * row))
    return pieces._replace(counts=tuple(counts))


def _table(
    directory: Directory, pieces: Pieces, sample: tuple[int, int, int], compression: int
) -> Table:
    """Return what the reader is shown."""
    read, bits, number = sample
    shorts = {
        tags.BITS: [bits] * read,
        tags.COMPRESSION: [compression],
        tags.PHOTOMETRIC: [directory.number(tags.PHOTOMETRIC, 1)],
        tags.FILL_ORDER: [directory.number(tags.FILL_ORDER, 1)],
        tags.SAMPLES: [read],
        tags.PLANAR: [directory.number(tags.PLANAR, 1) if read > 1 else 1],
        tags.PREDICTOR: [directory.number(tags.PREDICTOR, 1)],
        tags.SAMPLE_FORMAT: [number] * read,
    }
    longs: dict[int, Sequence[int]] = {
        tags.WIDTH: [directory.number(tags.WIDTH, 0)],
        tags.HEIGHT: [directory.number(tags.HEIGHT, 0)],
        tags.FAX_OPTIONS: [directory.number(tags.FAX_OPTIONS, 0)],
    }
    if pieces.tiled:
        longs[tags.TILE_WIDTH], longs[tags.TILE_HEIGHT] = [pieces.width], [pieces.height]
        longs[tags.TILE_OFFSETS], longs[tags.TILE_COUNTS] = pieces.offsets, pieces.counts
    else:
        longs[tags.ROWS_PER_STRIP] = [pieces.height]
        longs[tags.STRIP_OFFSETS], longs[tags.STRIP_COUNTS] = pieces.offsets, pieces.counts
    if directory.number(tags.PHOTOMETRIC, -1) == tags.YCBCR:
        # Codestreams other than JPEG undo it themselves.
        whole = compression != tags.JPEG
        subsampling = (1, 1) if whole else directory.numbers(tags.SUBSAMPLING)[:2]
        shorts[tags.SUBSAMPLING] = list(subsampling or (2, 2))
    if extra := directory.numbers(tags.EXTRA)[:read]:
        shorts[tags.EXTRA] = list(extra)
    table: dict[int, tuple[int, Sequence[int] | bytes]] = {
        tag: (SHORT, values) for tag, values in shorts.items()
    }
    table |= {tag: (LONG, values) for tag, values in longs.items()}
    if tables := directory.raw(tags.JPEG_TABLES):
        table[tags.JPEG_TABLES] = (BYTES, tables)
    return table

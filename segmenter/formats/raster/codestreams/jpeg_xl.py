"""The beginning of a JPEG XL codestream. Source: ISO/IEC 18181-1, headers."""

from typing import NamedTuple

from segmenter.errors import BrokenImage
from segmenter.formats.raster.codestreams.size import StreamSize

MARKER = b"\xff\x0a"
# Bytes of the headers that are read here.
HEADER_BYTES = 64
# Width to height; without one the width is written.
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
# Where a header has parts that are not read here: the most that there can be.
_ANY_BITS, _COLOURS = 32, 3


class Choice(NamedTuple):
    """One of four ways to write a number: so many bits of it, and what is added to them."""

    bits: int
    more: int = 0


_SIDE = (Choice(9, 1), Choice(13, 1), Choice(18, 1), Choice(30, 1))
_WHOLE_BITS = (Choice(0, 8), Choice(0, 10), Choice(0, 12), Choice(6, 1))
_FLOAT_BITS = (Choice(0, 32), Choice(0, 16), Choice(0, 24), Choice(6, 1))
_EXTRA_CHANNELS = (Choice(0, 0), Choice(0, 1), Choice(4, 2), Choice(12, 1))
_TICKS = (Choice(0, 100), Choice(0, 1000), Choice(10, 1), Choice(30, 1))
_PER_TICK = (Choice(0, 1), Choice(0, 1001), Choice(8, 1), Choice(10, 1))
_LOOPS = (Choice(0), Choice(3), Choice(16), Choice(32))


class JpegXlHeader(NamedTuple):
    """Declared size; whether frames follow each other in time; whether it is turned."""

    size: StreamSize
    moves: bool
    turned: bool


def read_codestream(stream: bytes) -> JpegXlHeader:
    """Read the headers of a codestream.

    Args:
        stream: its first `HEADER_BYTES`.

    Raises:
        BrokenImage: no such stream, or cut short.
    """
    if not stream.startswith(MARKER):
        raise BrokenImage("a JPEG XL file without a codestream")
    read = _Bits(stream[len(MARKER) : HEADER_BYTES])
    width, height = _size(read)
    if read.take(1):
        return JpegXlHeader(StreamSize(width, height, _COLOURS), moves=False, turned=False)
    turned, previewed, moves = _extra_fields(read) if read.take(1) else (False, False, False)
    if previewed:
        size = StreamSize(width, height, _COLOURS + 1, _ANY_BITS)
        return JpegXlHeader(size, moves=False, turned=turned)
    bits = _bits(read)
    read.take(1)
    channels = _COLOURS + read.number(_EXTRA_CHANNELS)
    return JpegXlHeader(StreamSize(width, height, channels, bits), moves, turned)


class _Bits:
    """Reads bits, the lowest of a byte first."""

    def __init__(self, stream: bytes) -> None:
        self._bits, self._left = int.from_bytes(stream, "little"), len(stream) * 8

    def take(self, number: int) -> int:
        self._left -= number
        if self._left < 0:
            raise BrokenImage("a JPEG XL header that is cut short")
        found = self._bits & ((1 << number) - 1)
        self._bits >>= number
        return found

    def number(self, choices: tuple[Choice, Choice, Choice, Choice]) -> int:
        bits, more = choices[self.take(2)]
        return self.take(bits) + more


def _extra_fields(read: _Bits) -> tuple[bool, bool, bool]:
    """Tell whether a picture is turned, has a preview (behind which nothing is read), and moves."""
    turned = read.take(3) > 0
    if read.take(1):
        _size(read)
    if read.take(1):
        return turned, True, False
    moves = bool(read.take(1))
    if moves:
        for choices in (_TICKS, _PER_TICK, _LOOPS):
            read.number(choices)
        read.take(1)
    return turned, False, moves


def _bits(read: _Bits) -> int:
    """Read the bits of a sample."""
    if not read.take(1):
        return read.number(_WHOLE_BITS)
    bits = read.number(_FLOAT_BITS)
    read.take(4)
    return bits


def _size(read: _Bits) -> tuple[int, int]:
    small = read.take(1)

    def side() -> int:
        return (read.take(5) + 1) * 8 if small else read.number(_SIDE)

    height, ratio = side(), read.take(3)
    if ratio == 0:
        return side(), height
    above, below = _RATIOS[ratio]
    return height * above // below, height

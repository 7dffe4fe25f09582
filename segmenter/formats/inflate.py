"""Random access to what a gzip file or zlib stream holds, without ever holding all of it.

The decompressor is copied every `SPAN_BYTES` of output; a read goes on from the nearest copy before
it. A copy takes some 50 KiB, so the largest volume (2.4 GB) needs 8 MiB of them.
"""

import zlib
from typing import Any, NamedTuple

from segmenter.errors import BrokenImage

GZIP = b"\x1f\x8b"
# Told by the first bytes. Source: zlib.h, inflateInit2.
_GZIP_OR_ZLIB = 47
SPAN_BYTES = 16 * 2**20
# Compressed bytes given to the decompressor at once; it hands back a copy of what it did not need.
_FEED_BYTES = 64 * 1024
_STEP_BYTES = 1024 * 1024


class _Place(NamedTuple):
    """A decompressor after so many bytes in and out."""

    taken: int
    given: int
    stream: Any


class GzipReader:
    """Reads pieces of gzipped content, cheap in order; for one thread at a time."""

    def __init__(self, content: bytes | memoryview, *, span_bytes: int = SPAN_BYTES) -> None:
        self._content = memoryview(content)
        self._span_bytes = span_bytes
        self._places = [_Place(0, 0, zlib.decompressobj(wbits=_GZIP_OR_ZLIB))]
        self._resume(self._places[0])

    def read(self, start: int, size: int) -> bytearray:
        """Return bytes of the inflated content, fewer only where it ends.

        Raises:
            BrokenImage: it does not inflate.
        """
        nearest = max(place for place in self._places if place.given <= start)
        if not nearest.given <= self._given <= start:
            self._resume(nearest)
        while self._given < start:
            if not self._inflate(min(start - self._given, _STEP_BYTES)):
                return bytearray()
        # Taken whole at once, and filled: growing would copy it over and over.
        found, filled = bytearray(size), 0
        while filled < size and (piece := self._inflate(min(size - filled, _STEP_BYTES))):
            found[filled : filled + len(piece)] = piece
            filled += len(piece)
        del found[filled:]
        return found

    def reach(self, end: int) -> int:
        """Inflate up to `end`, which also checks the checksum of a file that ends before.

        Returns:
            How many bytes there are, at most `end`.

        Raises:
            BrokenImage: it does not inflate.
        """
        while self._given < end and self._inflate(min(end - self._given, _STEP_BYTES)):
            pass
        return self._given

    def _resume(self, place: _Place) -> None:
        self._taken, self._given, self._stream = place.taken, place.given, place.stream.copy()

    def _inflate(self, most: int) -> bytes:
        """Return the next bytes, at most `most`; none at the end."""
        try:
            while not self._stream.eof or self._next_part():
                fed = self._content[self._taken : self._taken + _FEED_BYTES]
                piece: bytes = self._stream.decompress(fed, most)
                left = self._stream.unused_data or self._stream.unconsumed_tail
                self._taken += len(fed) - len(left)
                if piece:
                    self._given += len(piece)
                    self._note()
                    return piece
                if not fed:
                    break
        except zlib.error:
            raise BrokenImage("this gzip file does not inflate: damaged") from None
        return b""

    def _next_part(self) -> bool:
        """Go on with what some writers append: a gzip file may be of several. Source: RFC 1952."""
        if self._content[self._taken : self._taken + len(GZIP)] != GZIP:
            return False
        self._stream = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
        return True

    def _note(self) -> None:
        """Keep a copy of the decompressor, if the last one is far behind."""
        if self._given - self._places[-1].given >= self._span_bytes:
            self._places.append(_Place(self._taken, self._given, self._stream.copy()))

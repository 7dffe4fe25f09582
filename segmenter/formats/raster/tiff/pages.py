"""The samples of TIFF pages, each decoded when it is asked for: the only module with tifffile."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from segmenter.errors import BrokenImage
from segmenter.formats.grey_levels import Stored
from segmenter.formats.guard import guarded
from segmenter.formats.raster.codestreams.size import declared_size
from segmenter.formats.raster.tiff import vocabulary as tags
from segmenter.formats.raster.tiff.page import Page
from segmenter.formats.raster.tiff.rewrite import rewritten

# A codestream is as large as its tile or strip; some writers round up to whole blocks.
BLOCK_PX = 64


class Pages:
    """The samples of checked pages; holds a copy of the file."""

    def __init__(self, content: bytes, pages: Sequence[Page]) -> None:
        """Open them.

        Raises:
            BrokenImage: a strip or tile is of another size than its page says.
        """
        self.pages = pages
        with guarded("tiff image"):
            for page in pages:
                _check_streams(content, page)
            # Other files, whose names a file may hold, are never opened.
            self._file: Any = tifffile.TiffFile(
                BytesIO(rewritten(content, [page.table for page in pages])), _multifile=False
            )

    @property
    def dtype(self) -> np.dtype[np.number]:
        """Number type of the samples."""
        return self[0].dtype

    def __getitem__(self, index: int) -> Stored:
        """Return a page's samples as they are stored, shape (H, W, C)."""
        page = self.pages[index]
        with guarded("tiff image"):
            values: npt.NDArray[Any] = self._file.pages[index].asarray(squeeze=False, maxworkers=1)
        # Channels that are stored one after the other come first.
        planes = values[:, 0, :, :, 0].transpose(1, 2, 0) if values.shape[0] > 1 else values[0, 0]
        if planes.shape != (page.height, page.width, page.read):
            raise BrokenImage("a TIFF of other samples than it declares")
        return planes.view(np.uint8) if planes.dtype == np.bool_ else planes

    def __iter__(self) -> Iterator[Stored]:
        """Go through the samples of all pages."""
        return (self[index] for index in range(len(self.pages)))


def _check_streams(content: bytes, page: Page) -> None:
    """Refuse codestreams of another size than their strip or tile: memory for them is not there."""
    kind = tags.STREAMS.get(page.compression)
    if kind is None:
        return
    most = (page.pieces.width + BLOCK_PX, page.pieces.height + BLOCK_PX)
    for offset, count in zip(page.pieces.offsets, page.pieces.counts, strict=True):
        if not count:
            continue
        stream = content[offset : offset + count]
        width, height = declared_size(stream, kind)
        if width > most[0] or height > most[1]:
            raise BrokenImage(
                f"a {kind} stream of {width} x {height} pixels in a TIFF tile or strip of "
                f"{page.pieces.width} x {page.pieces.height}"
            )
        if kind == "jpeg" and tags.END_OF_JPEG not in stream[-BLOCK_PX:]:
            raise BrokenImage("a JPEG stream in TIFF that is cut short")

"""Pages of a TIFF as frames, each decoded when it is asked for; all pages of one size."""

import numpy as np

from segmenter.formats.decoded import Window, join_rules
from segmenter.formats.frames import FrameGeometry, Frames, SourceGrid, shown_grey
from segmenter.formats.grey_levels import AS_ASKED, Ramp, exact_window, ramp
from segmenter.formats.limits import Limits, check_frames, check_size
from segmenter.formats.percentiles import non_zero_ramp
from segmenter.formats.raster.header import read_raster_header
from segmenter.formats.raster.image import TiffPages
from segmenter.formats.raster.image import working_bytes as page_bytes


def open_tiff(content: bytes, limits: Limits, *, window: Window | None) -> Frames:
    """Open a grey TIFF of several pages, all shown through one window.

    Raises:
        BrokenImage, ImageTooLarge.
        UnsupportedImage: colour, or pages of different sizes.
    """
    header = read_raster_header(content, "tiff")
    pixels = header.width * header.height
    check_frames(header.pages, header.pages * pixels, limits)
    pages = TiffPages(content, limits)
    slope, rule = _slope(pages, window)
    return Frames(
        count=pages.count,
        height=pages.height,
        width=pages.width,
        format="tiff",
        modality=None,
        rendering=join_rules(rule),
        geometry=FrameGeometry(axis="depth"),
        source=SourceGrid(),
        frame=shown_grey(pages, lambda band: ramp(band, *slope)),
    )


def working_bytes(content: bytes, limits: Limits) -> int:
    """Return the memory that reading pages takes, beside the file.

    Raises:
        BrokenImage, ImageTooLarge.
    """
    header = read_raster_header(content, "tiff")
    check_size(header.width, header.height, limits)
    return page_bytes(header, "tiff")


def _slope(pages: TiffPages, window: Window | None) -> tuple[Ramp, str | None]:
    """Do for all pages what `segmenter.formats.raster.image` does for a picture."""
    if window is not None:
        return exact_window(*window), AS_ASKED
    if pages.dtype == np.uint8:
        return Ramp(0.0, 255.0), None
    return non_zero_ramp(pages.pieces, "pixel")

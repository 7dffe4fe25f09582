"""Pages of a TIFF as frames; all pages of one size."""

import numpy as np

from segmenter.errors import UnsupportedImage
from segmenter.formats.decoded import Window, join_rules
from segmenter.formats.frames import FrameGeometry, Frames, SourceGrid, shown_grey
from segmenter.formats.grey_levels import ramp
from segmenter.formats.limits import Limits, check_frames
from segmenter.formats.raster.header import read_raster_header
from segmenter.formats.raster.image import read_pages, stored_slope


def open_tiff(content: bytes, limits: Limits, *, window: Window | None) -> Frames:
    """Open a grey TIFF of several pages, all shown through one window.

    Raises:
        BrokenImage, ImageTooLarge.
        UnsupportedImage: colour, or pages of different sizes.
    """
    header = read_raster_header(content, "tiff")
    pixels = header.width * header.height
    check_frames(header.pages, header.pages * pixels, limits)
    pages = read_pages(content, limits)
    if len({page.shape for page in pages}) > 1:
        raise UnsupportedImage("the pages of the TIFF are of different sizes")
    values = np.stack(pages)
    slope, rule = stored_slope(values, window)
    count, height, width = values.shape
    return Frames(
        count=count,
        height=height,
        width=width,
        format="tiff",
        modality=None,
        rendering=join_rules(rule),
        geometry=FrameGeometry(axis="depth"),
        source=SourceGrid(),
        frame=shown_grey(values, lambda band: ramp(band, *slope)),
    )

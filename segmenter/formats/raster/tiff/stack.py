"""Pages of a TIFF as frames, each decoded when it is asked for; all pages alike."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from segmenter.contract import RgbImage, Spacing
from segmenter.errors import InvalidPrompt, UnsupportedImage
from segmenter.formats.decoded import join_rules
from segmenter.formats.frames import FrameGeometry, Frames, ReadOptions, SourceGrid
from segmenter.formats.limits import Limits, check_frames
from segmenter.formats.raster.profile import profile_rule
from segmenter.formats.raster.samples import Look, choose_look, show, turn_rule, upright
from segmenter.formats.raster.tiff import vocabulary as tags
from segmenter.formats.raster.tiff.directory import Directory, count_pages, directories
from segmenter.formats.raster.tiff.image import REDUCED
from segmenter.formats.raster.tiff.image import working_bytes as page_bytes
from segmenter.formats.raster.tiff.measures import Dialect, read_dialect
from segmenter.formats.raster.tiff.page import Page, read_page, size_of
from segmenter.formats.raster.tiff.pages import Pages
from segmenter.formats.refusals import TO_PICTURE


def open_tiff(content: bytes, limits: Limits, options: ReadOptions) -> Frames:
    """Open a TIFF of several pages, all shown by one rule.

    Of channels in pages of their own the first is taken, of several times of a volume the one that
    is chosen.

    Raises:
        BrokenImage, ImageTooLarge.
        UnsupportedImage: pages of different sizes or kinds.
        InvalidPrompt: no such volume.
    """
    count = count_pages(content)
    first = Directory(content)
    width, height = size_of(first, limits)
    check_frames(count, count * width * height, limits)
    dialect = read_dialect(first)
    found = _of_full_size(list(directories(content)))
    chosen, told = _choose(dialect, len(found), options.volume)
    pages = [read_page(content, found[number], limits) for number in chosen]
    left_out = f"{count - len(found)} thumbnails left out" if count > len(found) else None
    _check_alike(pages)
    stored = Pages(content, pages)
    page = pages[0]
    look = choose_look(lambda: stored, page.meaning, stored.dtype, options.window)
    _, rules = show(stored[0], page.meaning, look)
    turned = page.orientation > 4
    return Frames(
        count=len(pages),
        height=page.width if turned else page.height,
        width=page.height if turned else page.width,
        format="tiff",
        modality=None,
        rendering=join_rules(
            rules,
            page.left_out,
            turn_rule(page.orientation),
            told,
            left_out,
            profile_rule(page.profile),
        ),
        geometry=_geometry(dialect, turned),
        source=SourceGrid(),
        frame=partial(_frame, stored, look),
    )


def working_bytes(content: bytes, limits: Limits) -> int:
    """Return the memory that reading pages takes, beside the file.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    return page_bytes(read_page(content, Directory(content), limits), content)


def _of_full_size(found: list[Directory]) -> list[Directory]:
    """Leave out pages that say that they are others in smaller, as microscopes write them."""
    full = [each for each in found if not each.number(tags.SUBFILE, 0) & REDUCED]
    return full or found


def _choose(dialect: Dialect, count: int, volume: int | None) -> tuple[Sequence[int], str | None]:
    """Return the numbers of the pages of one channel and time, and what else there is."""
    channels, slices, times = dialect.sizes
    if channels * slices * times != count:
        if dialect.name == "ImageJ" and channels * slices * times > count:
            raise UnsupportedImage(
                f"an ImageJ stack of {channels * slices * times} pictures of which {count} have a "
                "directory: save it as OME-TIFF, or with one directory for each"
            )
        _refuse_volume(volume, 1)
        return range(count), None
    sizes = {"C": channels, "Z": slices, "T": times}
    steps, step = {}, 1
    for letter in dialect.order:
        steps[letter], step = step, step * sizes[letter]
    channel = f"channel 1 of {channels}" if channels > 1 else None
    if slices == 1:
        _refuse_volume(volume, 1)
        return range(0, times * steps["T"], steps["T"]), channel
    _refuse_volume(volume, times)
    begin = ((volume or 1) - 1) * steps["T"]
    chosen = [begin + each * steps["Z"] for each in range(slices)]
    time = f"volume {volume or 1} of {times}" if times > 1 else None
    return chosen, join_rules(channel, time)


def _refuse_volume(volume: int | None, times: int) -> None:
    if volume is not None and not 1 <= volume <= times:
        raise InvalidPrompt(f"volume {volume} of a TIFF of {times}", field="volume")


def _check_alike(pages: Sequence[Page]) -> None:
    first = pages[0]
    if any((page.width, page.height) != (first.width, first.height) for page in pages):
        if first.pieces.tiled:
            raise UnsupportedImage(
                f"this is a TIFF slide with pages of several sizes: {TO_PICTURE}"
            )
        raise UnsupportedImage("the pages of the TIFF are of different sizes")
    if any(page.alike != first.alike for page in pages):
        raise UnsupportedImage("the pages of the TIFF are of different kinds of samples")


def _geometry(dialect: Dialect, turned: bool) -> FrameGeometry:
    _, slices, times = dialect.sizes
    spacing = dialect.spacing
    if spacing is not None and turned:
        spacing = Spacing(row_mm=spacing.column_mm, column_mm=spacing.row_mm, source=spacing.source)
    if slices == 1 and times > 1:
        return FrameGeometry(axis="time", spacing=spacing, fps=dialect.fps)
    return FrameGeometry(axis="depth", spacing=spacing, slice_mm=dialect.slice_mm)


def _frame(stored: Pages, look: Look, index: int) -> RgbImage:
    page = stored.pages[index]
    pixels, _ = show(stored[index], page.meaning, look)
    return np.ascontiguousarray(upright(pixels, page.orientation))

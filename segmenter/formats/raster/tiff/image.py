"""One picture of a TIFF: its first page, or the level of a pyramid that fits the pixel limit.

A pyramid's levels are pages of one picture, each smaller than the one before: slides keep them as
tiled pages beside a label and an overview, OME-TIFF in directories of their own.
"""

from contextlib import suppress
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np

from segmenter.contract import PixelValues, Spacing
from segmenter.errors import BrokenImage, ImageTooLarge
from segmenter.formats.decoded import DecodedImage, Undecoded, Window, join_rules
from segmenter.formats.grey_levels import STRIPS_BYTES
from segmenter.formats.limits import Limits
from segmenter.formats.raster.profile import profile_rule
from segmenter.formats.raster.samples import choose_look, show, turn_rule, upright
from segmenter.formats.raster.tiff import vocabulary as tags
from segmenter.formats.raster.tiff.directory import Directory, count_pages, directories
from segmenter.formats.raster.tiff.measures import read_dialect
from segmenter.formats.raster.tiff.page import Page, read_page
from segmenter.formats.raster.tiff.pages import Pages

# A level's sides are rounded: of a level of 100 pixels by a hundredth.
SHAPE_TOLERANCE = 0.02
# Levels of a pyramid: each is at most half as large as the one before it.
MAX_LEVELS = 32
# Of a page that says that it is another in smaller.
REDUCED = 1
PREVIEW = "preview of a larger picture"


class Chosen(NamedTuple):
    """The page that is shown.

    Attributes:
        page: what it declares.
        told: which one it is, if there are others.
        spacing: of its pixels, before it is turned; None if unknown.
    """

    page: Page
    told: str | None
    spacing: Spacing | None


def read_tiff(content: bytes, limits: Limits, *, window: Window | None = None) -> Undecoded:
    """Read and check the header of a TIFF.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    chosen = _choose(content, limits)
    decode = partial(_decode, content, chosen, window)
    values = partial(_read_values, content, chosen.page) if is_deep_grey(chosen.page) else None
    return Undecoded(working_bytes(chosen.page, content), decode, values)


def is_deep_grey(page: Page) -> bool:
    """Tell whether a page is shown as one channel of more than 8 bits."""
    meaning = page.meaning
    is_grey = meaning.kind == "grey" and meaning.channels - (meaning.alpha is not None) <= 2
    return is_grey and meaning.bits > 8


def _read_values(content: bytes, page: Page) -> PixelValues:
    samples = Pages(content, [page])[0][:, :, 0]
    return PixelValues(upright(samples, page.orientation).astype(np.float32), "stored value")


def read_samples(content: bytes, limits: Limits) -> tuple[np.ndarray, Page]:
    """Return the samples of the first page as they are stored, shape (H, W, C).

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    page = read_page(content, Directory(content), limits)
    return Pages(content, [page])[0], page


def working_bytes(page: Page, content: bytes) -> int:
    """Return the memory that decoding a page takes at its peak; see `Undecoded`.

    Source: measured with tifffile 2026.3 for every kind of file, the largest rounded up.
    """
    # A strip may hold the whole page, and is copied to its place; the file is copied once.
    pixels = page.width * page.height
    shown = pixels * (6 if page.orientation > 1 else 3)
    return len(content) + 2 * page.read_bytes + shown + STRIPS_BYTES


def _choose(content: bytes, limits: Limits) -> Chosen:
    first = Directory(content)
    dialect = read_dialect(first)
    try:
        page = read_page(content, first, limits)
    except ImageTooLarge as error:
        return _smaller(content, first, limits, error)
    count = len(_levels(content, first))
    if count > 1:
        return Chosen(page, f"level 1 of {count}, the full size", dialect.spacing)
    pages = count_pages(content)
    numbered = f"page 1 of {pages}" if pages > 1 else None
    # Of a camera's raw file the first page is one.
    preview = PREVIEW if first.number(tags.SUBFILE, 0) & REDUCED else None
    return Chosen(page, join_rules(preview, numbered), dialect.spacing)


def _smaller(content: bytes, first: Directory, limits: Limits, error: ImageTooLarge) -> Chosen:
    """Choose the largest level that fits; there is none: raise the error."""
    levels = _levels(content, first)
    full = _size(first)
    for number, directory in enumerate(levels[1:], start=2):
        try:
            page = read_page(content, directory, limits)
        except ImageTooLarge:
            continue
        spacing = read_dialect(first).spacing
        if spacing is not None:
            spacing = Spacing(
                row_mm=spacing.row_mm * full[1] / page.height,
                column_mm=spacing.column_mm * full[0] / page.width,
                source=spacing.source,
            )
        share = round(full[0] / page.width)
        return Chosen(page, f"level {number} of {len(levels)}, 1/{share} of the size", spacing)
    if len(levels) > 1:
        raise ImageTooLarge(f"{error}; none of its {len(levels)} levels fits") from None
    raise error


def _levels(content: bytes, first: Directory) -> list[Directory]:
    """Return a picture and what is the same picture in smaller, the largest first."""
    levels = [first]
    for directory in sorted(_others(content, first), key=lambda each: -_size(each)[0]):
        if _is_level(directory, levels[-1], first):
            levels.append(directory)
    return levels


def _others(content: bytes, first: Directory) -> list[Directory]:
    """Return directories that may be levels, as far as they are sound."""
    inner = first.numbers(tags.SUB_DIRECTORIES, most=MAX_LEVELS)
    found: list[Directory] = []
    # What is wrong with a page that is not shown is no reason to refuse the one that is.
    with suppress(BrokenImage, ImageTooLarge):
        if inner:
            found += (Directory(content, each) for each in inner if 0 < each < len(content))
        else:
            found += islice(directories(content), 1, MAX_LEVELS)
    return found


def _is_level(directory: Directory, larger: Directory, full: Directory) -> bool:
    """Tell whether a page is of the same shape as another, of the same kind, and smaller."""
    (width, height), (full_width, full_height) = _size(directory), _size(full)
    if not 0 < width < _size(larger)[0] or height < 1:
        return False
    same = all(
        directory.numbers(tag) == full.numbers(tag)
        for tag in (tags.SAMPLES, tags.BITS, tags.SAMPLE_FORMAT)
    )
    tiled = bool(directory.numbers(tags.TILE_OFFSETS, most=1))
    told = directory.number(tags.SUBFILE, 0) & REDUCED
    across, down = full_width / width, full_height / height
    # Sides are rounded to whole pixels.
    tolerance = SHAPE_TOLERANCE + 1 / min(width, height)
    return same and (tiled or bool(told)) and abs(across / down - 1) <= tolerance


def _size(directory: Directory) -> tuple[int, int]:
    return directory.number(tags.WIDTH, 0), directory.number(tags.HEIGHT, 0)


def _decode(content: bytes, chosen: Chosen, window: Window | None) -> DecodedImage:
    page = chosen.page
    samples = Pages(content, [page])[0]
    look = choose_look(lambda: [samples], page.meaning, samples.dtype, window)
    pixels, rule = show(samples, page.meaning, look)
    spacing = chosen.spacing
    if spacing is not None and page.orientation > 4:
        spacing = Spacing(row_mm=spacing.column_mm, column_mm=spacing.row_mm, source=spacing.source)
    rendering = join_rules(
        rule, page.left_out, turn_rule(page.orientation), chosen.told, profile_rule(page.profile)
    )
    turned = np.ascontiguousarray(upright(pixels, page.orientation))
    return DecodedImage(turned, "tiff", spacing=spacing, rendering=rendering)

"""Frames of a chosen sequence as pictures: all through one window, decoded when asked for.

The window is the tags' if every frame has the same, else percentiles. Pixels stay in the files, as
they came; those of a multi-frame object are copied out of it once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from segmenter.contract import RgbImage
from segmenter.errors import BrokenImage
from segmenter.formats.decoded import Window, join_rules
from segmenter.formats.dicom.colour import render_colour
from segmenter.formats.dicom.grey_pipeline import (
    FROM_TAGS,
    INVERTED,
    full_range,
    is_inverted,
    is_picture,
    modality_values,
    tag_window,
)
from segmenter.formats.dicom.header import Attributes, add_pixels, read_attributes
from segmenter.formats.dicom.image import decode_frame
from segmenter.formats.dicom.layout import Layout
from segmenter.formats.dicom.lookup_tables import through_palette
from segmenter.formats.dicom.series.source_files import numbered
from segmenter.formats.dicom.series.units import SeriesFrame
from segmenter.formats.dicom.series.views import frame_view
from segmenter.formats.dicom.values import PYDICOM_ERRORS
from segmenter.formats.frames import ReadOptions, shown_grey
from segmenter.formats.grey_levels import (
    AS_ASKED,
    Ramp,
    Stored,
    exact_window,
    linear_window,
    ramp,
)
from segmenter.formats.guard import guarded
from segmenter.formats.limits import MEBIBYTE, Limits
from segmenter.formats.percentiles import Piece, cut, streamed_ramp
from segmenter.formats.window_presets import preset_window

# Stored values of compressed slices that are kept once decoded: those of 128 slices of 512 x 512.
# Some decoders take a third of a second for each.
KEPT_BYTES = 64 * MEBIBYTE


class Rendered(NamedTuple):
    """How frames are shown: the names of the rules, and each frame by its index."""

    rules: str
    frame: Callable[[int], RgbImage]


@dataclass(frozen=True)
class FramePixels:
    """Where the frames of a sequence are read from.

    Attributes:
        limits: of what a deflated file may inflate to.
        whole: a multi-frame object with its pixel data; None for files of one frame each.
    """

    frames: Sequence[SeriesFrame]
    whole: Attributes | None
    limits: Limits

    @property
    def layout(self) -> Layout:
        """That of every frame."""
        return self.frames[0].file.layout

    @property
    def rule(self) -> str | None:
        """What about the files was read otherwise than they say."""
        found = {self._attributes(index).rule for index in range(len(self.frames))}
        return "; ".join(sorted(filter(None, found))) or None

    @property
    def encapsulated(self) -> bool:
        """Whether pixel data are compressed."""
        return any(
            self._attributes(index).header.file_meta.TransferSyntaxUID.is_encapsulated
            for index in range(1 if self.whole else len(self.frames))
        )

    def view(self, index: int) -> Dataset:
        """Return the attributes of a frame."""
        header = self._attributes(index).header
        return frame_view(header, self.frames[index].facts.frame) if self.whole else header

    def decode(self, index: int) -> tuple[Stored, str]:
        """Return the stored values of a frame, and the photometric they are in."""
        frame, attributes = self.frames[index], self._attributes(index)
        if self.whole is not None:
            return decode_frame(attributes.header, frame.file.layout, frame.facts.frame)
        several = len(self.frames)
        with numbered(frame.file.number, of=several), guarded("DICOM slice", *PYDICOM_ERRORS):
            add_pixels(attributes, frame.file.read(), self.limits)
            try:
                return decode_frame(attributes.header, frame.file.layout)
            finally:
                # One slice at a time is in memory twice.
                del attributes.header.PixelData

    def _attributes(self, index: int) -> Attributes:
        found = self.whole or self.frames[index].file.attributes
        assert found is not None, "files of one frame keep their attributes"
        return found


def open_pixels(frames: Sequence[SeriesFrame], limits: Limits) -> FramePixels:
    """Return where frames are read from; a multi-frame object is read once more, for good.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    file = frames[0].file
    if file.layout.frames == 1:
        return FramePixels(frames, None, limits)
    content = file.read()
    whole = read_attributes(content, limits)
    add_pixels(whole, content, limits)
    return FramePixels(frames, whole, limits)


def render_frames(pixels: FramePixels, options: ReadOptions) -> Rendered:
    """Decide how frames are shown.

    Raises:
        BrokenImage, UnsupportedImage.
        InvalidPrompt: no such preset, or not for this modality.
    """
    if is_colour(pixels.layout):
        return _colour(pixels)
    window = options.window
    if window is None and options.preset is not None:
        window = preset_window(options.preset, pixels.frames[0].file.modality)
    values = _GreyFrames(pixels)
    low_high, rule = _window(pixels, values, window)
    inverted = is_inverted(pixels.view(0), values.photometric)
    return Rendered(
        join_rules(pixels.rule, rule, INVERTED if inverted else None),
        shown_grey(values, lambda band: ramp(band, *low_high), inverted=inverted),
    )


def is_colour(layout: Layout) -> bool:
    """Tell whether frames are colour, not grey."""
    return layout.samples > 1 or layout.photometric == "PALETTE COLOR"


def _colour(pixels: FramePixels) -> Rendered:
    def render(index: int) -> tuple[RgbImage, str]:
        stored, photometric = pixels.decode(index)
        if pixels.layout.samples == 1:
            return through_palette(stored, pixels.view(index))
        return render_colour(stored, photometric, pixels.layout)

    def frame(index: int) -> RgbImage:
        with guarded("DICOM frame", *PYDICOM_ERRORS):
            return np.ascontiguousarray(render(index)[0])

    return Rendered(join_rules(pixels.rule, render(0)[1]), frame)


class _GreyFrames:
    """Modality values of frames, decoded when they are asked for.

    Attributes:
        photometric: of the last frame.
    """

    def __init__(self, pixels: FramePixels) -> None:
        """Decode all frames once, and keep of compressed ones what fits `KEPT_BYTES`."""
        self._pixels = pixels
        self._kept: dict[int, Stored] = {}
        self._kept_bytes = 0
        self.photometric = ""
        keep = pixels.encapsulated
        for index in range(len(pixels.frames)):
            stored, self.photometric = pixels.decode(index)
            if keep:
                self._keep(index, stored)

    def __getitem__(self, index: int) -> Stored:
        """Return float32, shape (H, W)."""
        with guarded("DICOM frame", *PYDICOM_ERRORS):
            return modality_values(self._stored(index), self._pixels.view(index))

    def pieces(self) -> Iterator[Piece]:
        """Go through all values; padding is background."""
        for index in range(len(self._pixels.frames)):
            stored, view = self._stored(index), self._pixels.view(index)
            values = modality_values(stored, view)
            for some, as_stored in zip(cut(values.ravel()), cut(stored.ravel()), strict=True):
                yield Piece(some[is_picture(as_stored, view)], some)

    def _stored(self, index: int) -> Stored:
        kept = self._kept.get(index)
        return self._pixels.decode(index)[0] if kept is None else kept

    def _keep(self, index: int, stored: npt.NDArray[np.number]) -> None:
        if self._kept_bytes + stored.nbytes <= KEPT_BYTES:
            # What was decoded may be a view of something larger.
            self._kept[index] = np.ascontiguousarray(stored)
            self._kept_bytes += stored.nbytes


def _window(pixels: FramePixels, values: _GreyFrames, window: Window | None) -> tuple[Ramp, str]:
    if window is not None:
        return exact_window(*window), AS_ASKED
    windows = {tag_window(pixels.view(index)) for index in range(len(pixels.frames))}
    common = windows.pop() if len(windows) == 1 else None
    if common is not None:
        return linear_window(*common), FROM_TAGS
    ranges = {full_range(pixels.view(index)) for index in range(len(pixels.frames))}
    shown = ranges.pop() if len(ranges) == 1 else None
    if shown is not None:
        return shown[0], shown[1] or ""
    found = streamed_ramp(values.pieces)
    if found is None:
        raise BrokenImage("no pixel has a value")
    differ = "windows of the frames differ: not applied" if windows - {None} else None
    return found[0], join_rules(found[1], differ)

"""Animated GIF, WebP and PNG as clips, each frame drawn when it is asked for."""

from io import BytesIO

import numpy as np
from PIL import Image

from segmenter.contract import RgbImage
from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.decoded import join_rules
from segmenter.formats.frames import FrameGeometry, Frames, SequenceFormat, SourceGrid
from segmenter.formats.grey_levels import STRIPS_BYTES
from segmenter.formats.guard import guarded
from segmenter.formats.limits import Limits, check_frames, check_size
from segmenter.formats.raster.by_pillow import render_picture
from segmenter.formats.raster.header import RasterHeader, read_raster_header
from segmenter.formats.refusals import single_picture
from segmenter.formats.sniff import PillowFormat

ANIMATED: dict[str, tuple[PillowFormat, SequenceFormat]] = {
    "gif": ("gif", "gif"),
    "webp": ("webp", "webp"),
    "png": ("png", "png"),
}
# Of a pixel: canvases of four channels (the one before it too), and ours.
FRAME_BYTES = 30
MS_PER_S = 1000.0
# Shown at once by browsers, which then take ten a second: no measure of time.
LEAST_MS = 10.0


def open_animation(content: bytes, kind: str, limits: Limits) -> Frames:
    """Draw all frames once, to know their times and that the file is whole.

    Args:
        content: the whole file.
        kind: its format, one of `ANIMATED`.
        limits: checked on the header.

    Raises:
        BrokenImage, ImageTooLarge.
        UnsupportedImage: a single picture.
    """
    name, shown_as = ANIMATED[kind]
    header = _checked_header(content, name, limits)
    if header.frames < 2:
        raise UnsupportedImage(single_picture(kind))
    drawn = _Drawn(content, name, header)
    rules, waits = set(), []
    for index in range(header.frames):
        rules.update(drawn.draw(index)[1].split("; "))
        waits.append(drawn.wait_ms())
    height, width = drawn.draw(0)[0].shape[:2]
    told = all(wait >= LEAST_MS for wait in waits)
    uneven = f"variable frame rate, {min(waits):.0f} to {max(waits):.0f} ms from frame to frame"
    return Frames(
        count=header.frames,
        height=height,
        width=width,
        format=shown_as,
        modality=None,
        rendering=join_rules(
            *sorted(rules), uneven if told and max(waits) - min(waits) > 1 else None
        ),
        geometry=FrameGeometry(
            axis="time", fps=MS_PER_S * len(waits) / sum(waits) if told else None
        ),
        source=SourceGrid(),
        frame=lambda index: drawn.draw(index)[0],
    )


def working_bytes(content: bytes, kind: str, limits: Limits) -> int:
    """Return the memory that drawing a frame takes, beside the file.

    Raises:
        BrokenImage, ImageTooLarge.
    """
    header = _checked_header(content, ANIMATED[kind][0], limits)
    return header.width * header.height * FRAME_BYTES + STRIPS_BYTES


def _checked_header(content: bytes, name: PillowFormat, limits: Limits) -> RasterHeader:
    header = read_raster_header(content, name)
    check_size(header.width, header.height, limits)
    check_frames(header.frames, header.frames * header.width * header.height, limits)
    return header


class _Drawn:
    """Frames, each drawn over what the one before it left: cheap in order."""

    def __init__(self, content: bytes, name: PillowFormat, header: RasterHeader) -> None:
        self._content, self._name, self._header = content, name, header
        with guarded(f"{name} animation"):
            self._image = self._opened()

    def draw(self, index: int) -> tuple[RgbImage, str]:
        """Return a frame, and the rules that made it."""
        with guarded(f"{self._name} animation"):
            # The picture that a PNG shows where animations are not known is none of its frames.
            place = index + int(bool(getattr(self._image, "default_image", False)))
            if place < self._image.tell():
                # Not every reader of Pillow finds its way back more than once.
                self._image = self._opened()
            self._image.seek(place)
            self._image.load()
            if self._image.width * self._image.height > self._header.width * self._header.height:
                raise BrokenImage("a frame that is larger than its animation")
            pixels, rules = render_picture(self._image, self._header)
        return np.ascontiguousarray(pixels), rules

    def _opened(self) -> Image.Image:
        # Stays open: it reads from memory.
        return Image.open(BytesIO(self._content), formats=(self._name.upper(),))

    def wait_ms(self) -> float:
        """Return how long the frame drawn last is shown, as far as the file tells."""
        return float(self._image.info.get("duration", 0.0))

"""MP4 video to frames, decoded as they are asked for: the only module that knows PyAV."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from segmenter.contract import RgbImage
from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.frames import FrameGeometry, SequenceFormat, SourceGrid
from segmenter.formats.guard import guarded
from segmenter.formats.limits import Limits, check_frames, check_size

CODECS = frozenset({"h264", "hevc", "mpeg4", "mjpeg", "vp9", "av1"})
# Rotation of the display matrix, degrees counter-clockwise, to quarter turns.
QUARTERS = {0: 0, 90: 1, 180: 2, -180: 2, -90: 3, 270: 3, -270: 1}


class VideoFrames:
    """Frames of a video; at most one decoded frame is held."""

    format: SequenceFormat = "mp4"
    modality: str | None = None

    def __init__(self, content: bytes, limits: Limits) -> None:
        """Read the header and count the frames, without decoding more than the first.

        Args:
            content: the whole file.
            limits: checked on the header.

        Raises:
            BrokenImage, ImageTooLarge, UnsupportedImage.
        """
        self._content = content
        with guarded("video"), _translated():
            self.count, declared, rate = _survey(content, limits)
            if self.count == 0 or self.count < declared:
                raise BrokenImage(f"{self.count} frames where the video declares {declared}")
            self._decoder, self._next = self._start(), 0
            first = self.frame(0)
        self.height, self.width = first.shape[:2]
        self.rendering = "decoded from video"
        self.geometry = FrameGeometry(axis="time", fps=rate)
        self.source = SourceGrid()

    def frame(self, index: int) -> RgbImage:
        """Return one frame: uint8, shape (H, W, 3), RGB; one before the last asked starts anew."""
        with guarded("video"), _translated():
            if index < self._next:
                self._decoder, self._next = self._start(), 0
            for found in self._decoder:
                self._next += 1
                if self._next > index:
                    return found
        raise BrokenImage(f"the video ends before frame {index + 1} of {self.count}")

    def _start(self) -> Iterator[RgbImage]:
        with av.open(BytesIO(self._content), mode="r") as container:
            for frame in container.decode(video=0):
                yield _upright(frame)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn FFmpeg's errors, whose words may quote the file, into ours."""
    try:
        yield
    except FFmpegError:
        raise BrokenImage("this video does not decode: damaged or cut short") from None


def _survey(content: bytes, limits: Limits) -> tuple[int, int, float | None]:
    """Return packets, declared frames and frames per second of the first video stream."""
    with av.open(BytesIO(content), mode="r") as container:
        if not container.streams.video:
            raise UnsupportedImage("a video file without pictures")
        stream: Any = container.streams.video[0]
        context = stream.codec_context
        if context.name not in CODECS:
            raise UnsupportedImage("a video codec that is not read; H.264 is")
        check_size(context.width, context.height, limits)
        pixels = context.width * context.height
        count = 0
        for packet in container.demux(stream):
            count += packet.size > 0
            check_frames(count, count * pixels if count == 1 else 0, limits)
        rate = stream.average_rate
        return count, stream.frames, float(rate) if rate else None


def _upright(frame: Any) -> RgbImage:
    pixels = frame.to_ndarray(format="rgb24")
    turned = np.rot90(pixels, QUARTERS.get(round(frame.rotation), 0))
    return np.ascontiguousarray(turned)

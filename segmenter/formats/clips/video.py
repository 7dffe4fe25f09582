"""MP4 video to frames, decoded as they are asked for: the only module that knows PyAV."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from segmenter.contract import RgbImage
from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.frames import FrameGeometry, Frames, SourceGrid
from segmenter.formats.guard import guarded
from segmenter.formats.limits import Limits, check_frames, check_size

CODECS = frozenset({"h264", "hevc", "mpeg4", "mjpeg", "vp9", "av1"})
# Frames that a decoder keeps to predict others from (16 in H.264, A.3.1), and those under way.
HELD_FRAMES = 18
# Rotation of the display matrix, degrees counter-clockwise, to quarter turns.
QUARTERS = {0: 0, 90: 1, 180: 2, -180: 2, -90: 3, 270: 3, -270: 1}


def open_video(content: bytes, limits: Limits) -> Frames:
    """Read the header and count the frames, without decoding more than the first.

    Args:
        content: the whole file.
        limits: checked on the header.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    with guarded("video", FFmpegError):
        count, declared, rate = _survey(content, limits)
    if count == 0 or count < declared:
        raise BrokenImage(f"{count} frames where the video declares {declared}")
    decoder = _Decoder(content, count)
    height, width = decoder.frame(0).shape[:2]
    return Frames(
        count=count,
        height=height,
        width=width,
        format="mp4",
        modality=None,
        rendering="decoded from video",
        geometry=FrameGeometry(axis="time", fps=rate),
        source=SourceGrid(),
        frame=decoder.frame,
    )


def working_bytes(content: bytes, limits: Limits) -> int:
    """Return the memory that decoding frames takes, beside the file.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    with guarded("video", FFmpegError), av.open(BytesIO(content), mode="r") as container:
        context = _stream(container, limits).codec_context
        kind = context.pix_fmt or ""
        # Of colour there is a quarter as much in 4:2:0; the rest may have three samples a pixel.
        samples = 1.5 if "420" in kind else 3.0
        size = 2 if any(bits in kind for bits in ("10", "12", "14", "16")) else 1
        # Then three channels, turned, and laid out anew.
        return int(context.width * context.height * (HELD_FRAMES * samples * size + 9))


class _Decoder:
    """Decodes in order and starts anew for an earlier frame; holds at most one decoded frame."""

    def __init__(self, content: bytes, count: int) -> None:
        self._content = content
        self._count = count
        self._frames, self._next = self._start(), 0

    def frame(self, index: int) -> RgbImage:
        with guarded("video", FFmpegError):
            if index < self._next:
                self._frames, self._next = self._start(), 0
            for found in self._frames:
                self._next += 1
                if self._next > index:
                    return found
        raise BrokenImage(f"the video ends before frame {index + 1} of {self._count}")

    def _start(self) -> Iterator[RgbImage]:
        with av.open(BytesIO(self._content), mode="r") as container:
            for frame in container.decode(video=0):
                yield _upright(frame)


def _survey(content: bytes, limits: Limits) -> tuple[int, int, float | None]:
    """Return packets, declared frames and frames per second of the first video stream."""
    with av.open(BytesIO(content), mode="r") as container:
        stream = _stream(container, limits)
        context = stream.codec_context
        pixels = context.width * context.height
        count = 0
        for packet in container.demux(stream):
            count += packet.size > 0
            check_frames(count, count * pixels if count == 1 else 0, limits)
        rate = stream.average_rate
        return count, stream.frames, float(rate) if rate else None


def _stream(container: Any, limits: Limits) -> Any:
    """Return the first video stream, checked."""
    if not container.streams.video:
        raise UnsupportedImage("a video file without pictures")
    stream: Any = container.streams.video[0]
    context = stream.codec_context
    if context.name not in CODECS:
        raise UnsupportedImage("a video codec that is not read; H.264 is")
    check_size(context.width, context.height, limits)
    return stream


def _upright(frame: Any) -> RgbImage:
    pixels = frame.to_ndarray(format="rgb24")
    turned = np.rot90(pixels, QUARTERS.get(round(frame.rotation), 0))
    return np.ascontiguousarray(turned)

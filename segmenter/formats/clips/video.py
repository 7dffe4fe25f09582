"""Video to frames, decoded as they are asked for: the only module that knows PyAV."""

from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from typing import Any, NamedTuple

import av
from av.error import FFmpegError
from av.stream import Disposition

from segmenter.contract import RgbImage
from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.clips.containers import ClipKind
from segmenter.formats.clips.cut import is_cut
from segmenter.formats.clips.display import NAMES, Turn, read_matrix, turned
from segmenter.formats.decoded import join_rules
from segmenter.formats.frames import FrameGeometry, FrameOrigin, Frames, SourceGrid
from segmenter.formats.guard import guarded
from segmenter.formats.limits import Limits, check_frames, check_size

DECODED = "decoded from video"
# By FFmpeg's names of codecs.
CODECS = frozenset(
    {
        *("h264", "hevc", "mpeg4", "mjpeg", "vp8", "vp9", "av1", "mpeg1video", "mpeg2video"),
        *("msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2", "wmv3", "vc1", "theora"),
        *("flv1", "h263", "huffyuv", "ffvhuff", "ffv1", "rawvideo", "png", "dvvideo"),
        *("prores", "dnxhd", "cinepak", "msvideo1", "qtrle", "utvideo", "jpeg2000"),
    }
)
# Frames that a decoder keeps to predict others from (16 in H.264, A.3.1), and those under way.
HELD_FRAMES = 18
# That of AV1 works on several at once, and keeps them twice where grain is drawn.
HELD_OF_AV1 = 30
# Times are written in whole units: in milliseconds 33 and 34 are one rate.
RATE_TOLERANCE, ROUNDED_S = 0.02, 0.0011
# Encoders make sides even, and write what is lost of the shape into that of the pixels.
ASPECT_TOLERANCE = 0.02
# From here on times are too far apart to be of a clip.
MAX_SECONDS = 1e6


class Survey(NamedTuple):
    """What is known of a video once all of it was decoded.

    Attributes:
        times: of the frames, seconds, as far as they are told.
        rate: frames per second that it declares.
        turn: that puts frames upright; None if it is by no quarters.
        interlaced: whether a frame is.
        bits: of a sample.
        alpha: whether frames have it.
        aspect: width of a pixel to its height, as two numbers.
        others: video streams beside the one that is shown.
    """

    times: tuple[float, ...]
    rate: float | None
    turn: Turn | None
    interlaced: bool
    bits: int
    alpha: bool
    aspect: tuple[int, int]
    others: int = 0


def open_video(content: bytes, kind: ClipKind, limits: Limits) -> Frames:
    """Decode a video once, to know its frames, their times and that it is whole.

    Args:
        content: the whole file.
        kind: its container.
        limits: checked on the header, and while frames are counted.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    if is_cut(content, kind):
        raise BrokenImage(f"this is {kind.what} that is cut short")
    with guarded("video", FFmpegError):
        survey = _survey(content, kind, limits)
    count = len(survey.times)
    if count == 0:
        raise BrokenImage(f"this is {kind.what} without frames: damaged or cut short")
    decoder = _Decoder(content, kind, survey)
    height, width = decoder.frame(0).shape[:2]
    return Frames(
        count=count,
        height=height,
        width=width,
        format=kind.format,
        modality=None,
        rendering=_rules(survey),
        geometry=FrameGeometry(axis="time", fps=_rate(survey)),
        source=SourceGrid(),
        frame=decoder.frame,
        origins=_origins(survey),
    )


def working_bytes(content: bytes, kind: ClipKind, limits: Limits) -> int:
    """Return the memory that decoding frames takes, beside the file.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    with guarded("video", FFmpegError), _opened(content, kind) as container:
        context = _stream(container, limits).codec_context
        name = context.pix_fmt or ""
        # Of colour there is a quarter as much in 4:2:0; the rest may have four samples a pixel.
        samples = 1.5 if "420" in name else 4.0
        size = 2 if any(bits in name for bits in ("10", "12", "14", "16")) else 1
        held = HELD_OF_AV1 if context.codec.canonical_name == "av1" else HELD_FRAMES
        # Then three channels, turned, and laid out anew.
        return int(context.width * context.height * (held * samples * size + 9))


class _Decoder:
    """Decodes in order and starts anew for an earlier frame; holds at most one decoded frame."""

    def __init__(self, content: bytes, kind: ClipKind, survey: Survey) -> None:
        self._content, self._kind = content, kind
        self._count, self._turn = len(survey.times), survey.turn or Turn()
        self._frames, self._next = self._start(), 0

    def frame(self, index: int) -> RgbImage:
        with guarded("video", FFmpegError):
            if index < self._next:
                self._frames, self._next = self._start(), 0
            for found in self._frames:
                self._next += 1
                if self._next > index:
                    return turned(found.to_ndarray(format="rgb24"), self._turn)
        raise BrokenImage(f"the video ends before frame {index + 1} of {self._count}")

    def _start(self) -> Iterator[Any]:
        with _opened(self._content, self._kind) as container:
            yield from container.decode(container.streams.best("video"))


def _opened(content: bytes, kind: ClipKind) -> Any:
    # The format is given: left to guess, the library also reads lists of other files.
    return av.open(BytesIO(content), mode="r", format=kind.reader)


def _survey(content: bytes, kind: ClipKind, limits: Limits) -> Survey:
    """Decode all frames of the video stream."""
    with _opened(content, kind) as container:
        stream = _stream(container, limits)
        context = stream.codec_context
        size = context.width, context.height
        times: list[float] = []
        turn: Turn | None = Turn()
        interlaced, bits, alpha = False, 8, False
        for frame in container.decode(stream):
            if (frame.width, frame.height) != size:
                raise UnsupportedImage("a video whose frames are of different sizes is not read")
            if frame.is_corrupt:
                raise BrokenImage(f"frame {len(times) + 1} of the video is damaged or cut short")
            if not times:
                found = _matrix(frame)
                turn = read_matrix(found) if found else Turn()
                bits = max(component.bits for component in frame.format.components)
                alpha = any(component.is_alpha for component in frame.format.components)
            interlaced = interlaced or bool(frame.interlaced_frame)
            times.append(frame.time if frame.time is not None else -1.0)
            check_frames(len(times), len(times) * size[0] * size[1], limits)
        rate, aspect = stream.average_rate, stream.sample_aspect_ratio
        return Survey(
            tuple(times),
            float(rate) if rate else None,
            turn,
            interlaced,
            bits,
            alpha,
            (aspect.numerator, aspect.denominator) if aspect else (1, 1),
            sum(not each.disposition & Disposition.attached_pic for each in container.streams.video)
            - 1,
        )


def _matrix(frame: Any) -> bytes | None:
    found = frame.side_data.get("DISPLAYMATRIX")
    return None if found is None else bytes(found)


def _stream(container: Any, limits: Limits) -> Any:
    """Return the video stream that players show, checked."""
    # Beside it there may be a cover, which is no video.
    stream: Any = container.streams.best("video")
    if stream is None or stream.disposition & Disposition.attached_pic:
        raise UnsupportedImage(
            "a video file without pictures: it holds sound alone, or its index is damaged"
        )
    context = stream.codec_context
    name = None if context is None else context.codec.canonical_name
    if name not in CODECS:
        raise UnsupportedImage(
            f"video coded as {_known(name)} is not read: convert it to H.264 in MP4"
        )
    check_size(context.width, context.height, limits)
    return stream


def _known(name: str | None) -> str:
    """Return a codec's name as FFmpeg gives it, which is no text from the file."""
    return name if name and name.isalnum() else "something unknown"


def _intervals(survey: Survey) -> list[float]:
    """Return the seconds between neighbouring frames; none where times are not told in order."""
    times = survey.times
    if min(times) < 0 or max(times) > MAX_SECONDS:
        return []
    intervals = [later - sooner for sooner, later in pairwise(times)]
    return intervals if min(intervals, default=0.0) > 0 else []


def _origins(survey: Survey) -> tuple[FrameOrigin, ...]:
    """Return when each frame is shown, after the first; nothing where times are not told."""
    if not _intervals(survey):
        return ()
    start = survey.times[0]
    return tuple(
        FrameOrigin(1, number, time_ms=round(1000 * (time - start), 3))
        for number, time in enumerate(survey.times, 1)
    )


def _rate(survey: Survey) -> float | None:
    """Return frames per second: of all of them, where their times are told."""
    intervals = _intervals(survey)
    whole = sum(intervals)
    if whole <= 0:
        return survey.rate
    measured = len(intervals) / whole
    if survey.rate and abs(measured / survey.rate - 1) <= RATE_TOLERANCE:
        return survey.rate
    return measured


def _rules(survey: Survey) -> str:
    wide, high = survey.aspect
    oblong = wide > 0 and abs(wide / high - 1) > ASPECT_TOLERANCE
    intervals = _intervals(survey)
    variable = None
    if intervals and max(intervals) - min(intervals) > 2 * ROUNDED_S + RATE_TOLERANCE * max(
        intervals
    ):
        shortest, longest = (round(1000 * side(intervals)) for side in (min, max))
        variable = f"variable frame rate, {shortest} to {longest} ms from frame to frame"
    return join_rules(
        DECODED,
        "turn by other than quarters not applied" if survey.turn is None else NAMES[survey.turn],
        f"highest 8 of {survey.bits} bits" if survey.bits > 8 else None,
        "alpha left out" if survey.alpha else None,
        "interlaced, as stored" if survey.interlaced else None,
        f"pixels of {wide} to {high} shown as squares" if oblong else None,
        variable,
        f"one of {survey.others + 1} videos in the file" if survey.others else None,
    )

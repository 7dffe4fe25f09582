"""Video of every container that clinics send, made here, frame by frame as it was."""

import struct
from fractions import Fraction
from io import BytesIO
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from segmenter.formats.clips.display import NAMES, Turn, read_matrix
from segmenter.formats.limits import Limits
from segmenter.formats.sequences import is_sequence, open_frames, working_bytes

Pixels = npt.NDArray[Any]
COUNT, HEIGHT, WIDTH = 12, 48, 64


def drawn(number: int, height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    """A ramp under a bright square that moves: every corner another grey."""
    down, right = np.mgrid[0:height, 0:width]
    grey = (30 + 2 * down + right + 3 * number).astype(np.uint8)
    grey[8:20, 2 * number : 2 * number + 12] = 230
    return np.repeat(grey[..., None], 3, axis=2)


# Some take no ten frames a second.
RATES = {"mpeg": 25, "mpegts": 25}


def encoded(
    container: str,
    codec: str,
    *,
    pixel: str = "yuv420p",
    times: list[int] | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
    **options: str,
) -> bytes:
    """A video of ten frames a second; or at times in hundredths of a second."""
    stream = BytesIO()
    with av.open(stream, "w", format=container) as file:
        video: Any = file.add_stream(
            codec, rate=100 if times else 25 if "mpeg" in container else 10
        )
        video.height, video.width = size
        video.pix_fmt, video.options = pixel, options
        if times:
            video.codec_context.time_base = Fraction(1, 100)
        for number in range(COUNT):
            frame = av.VideoFrame.from_ndarray(drawn(number, *size), format="rgb24")
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 100)
            file.mux(video.encode(frame))
        file.mux(video.encode())
    return stream.getvalue()


KINDS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "mp4": ("mp4", "mp4", "libx264", {}),
    "mp4 hevc": ("mp4", "mp4", "libx265", {"x265-params": "log-level=none"}),
    "mp4 av1": ("mp4", "mp4", "libsvtav1", {"preset": "12", "svtav1-params": "crf=20"}),
    "mp4 mpeg4": ("mp4", "mp4", "mpeg4", {"b": "2M"}),
    "mp4 in fragments": ("mp4", "mp4", "libx264", {}),
    "mov": ("mov", "mov", "mjpeg", {"pixel": "yuvj420p", "b": "4M"}),
    "mov deep": ("mov", "mov", "prores_ks", {"pixel": "yuv422p10le"}),
    "avi": ("avi", "avi", "mpeg4", {"b": "2M"}),
    "avi mjpeg": ("avi", "avi", "mjpeg", {"pixel": "yuvj420p", "b": "4M"}),
    "avi plain": ("avi", "avi", "rawvideo", {"pixel": "bgr24"}),
    "avi h264": ("avi", "avi", "libx264", {}),
    "mkv": ("mkv", "matroska", "libx264", {}),
    "mkv ffv1": ("mkv", "matroska", "ffv1", {}),
    "webm vp8": ("webm", "webm", "libvpx", {"b": "2M"}),
    "webm vp9": ("webm", "webm", "libvpx-vp9", {"b": "2M"}),
    "mpeg": ("mpeg", "mpeg", "mpeg1video", {"b": "2M"}),
    "mpeg 2": ("mpeg", "vob", "mpeg2video", {"b": "2M"}),
    "mpeg-ts": ("mpeg-ts", "mpegts", "libx264", {}),
    "wmv": ("wmv", "asf", "wmv2", {"b": "2M"}),
    "flv": ("flv", "flv", "flv", {"b": "2M"}),
}


def clip(kind: str) -> bytes:
    _, container, codec, options = KINDS[kind]
    return encoded(container, codec, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_shows_what_its_frames_were(kind: str) -> None:
    content = clip(kind)
    assert is_sequence(content)
    frames = open_frames(content, Limits())
    assert (frames.format, frames.count) == (KINDS[kind][0], COUNT)
    assert frames.geometry.axis == "time"
    assert frames.geometry.fps == RATES.get(KINDS[kind][1], 10)
    for number in (0, 7, COUNT - 1, 3):
        shown = frames.frame(number).astype(int)
        assert shown.shape == (HEIGHT, WIDTH, 3)
        assert np.abs(shown - drawn(number)).mean() < 6
    assert frames.rendering.startswith("decoded from video")
    assert "variable" not in frames.rendering
    assert working_bytes(content, Limits()) > HEIGHT * WIDTH * 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_clip_that_is_cut_short_is_broken(
    kind: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    content = clip(kind)
    at = int(share * len(content))
    # Of packets, not between two of them.
    at -= at % 188 == 0
    with pytest.raises(BrokenImage):
        open_frames(content[:at], Limits())
    # Encoders may print, decoders may not.
    capfd.readouterr()


def test_10_bits_are_shown_in_8_and_named() -> None:
    frames = open_frames(encoded("mp4", "libx264", pixel="yuv420p10le"), Limits())
    assert frames.rendering == "decoded from video; highest 8 of 10 bits"
    assert np.abs(frames.frame(5).astype(int) - drawn(5)).mean() < 6


def test_interlaced_frames_are_told() -> None:
    content = encoded("vob", "mpeg2video", b="4M", flags="+ildct+ilme")
    frames = open_frames(content, Limits())
    assert frames.rendering == "decoded from video; interlaced, as stored"
    assert np.abs(frames.frame(5).astype(int) - drawn(5)).mean() < 6


def test_odd_sides_are_kept() -> None:
    frames = open_frames(encoded("mp4", "libx264", pixel="yuv444p", size=(47, 63)), Limits())
    assert (frames.height, frames.width) == (47, 63)
    assert np.abs(frames.frame(4).astype(int) - drawn(4, 47, 63)).mean() < 6


def test_a_variable_frame_rate_is_told() -> None:
    times = [0, 4, 8, 30, 34, 38, 60, 64, 68, 90, 94, 110]
    frames = open_frames(encoded("matroska", "libx264", times=times, bf="0"), Limits())
    assert frames.count == COUNT
    assert frames.geometry.fps == pytest.approx(10.0, rel=0.01)
    assert frames.rendering == (
        "decoded from video; variable frame rate, 40 to 220 ms from frame to frame"
    )
    assert [each.time_ms for each in frames.origins] == [10.0 * time for time in times]


def test_frames_that_a_recorder_dropped_are_no_damage() -> None:
    """An AVI holds an empty chunk for each, which its header counts as a frame."""
    times = [0, 10, 20, 30, 60, 70, 80, 90, 100, 130, 140, 150]
    content = encoded("avi", "mjpeg", pixel="yuvj420p", times=times, b="4M")
    frames = open_frames(content, Limits())
    assert frames.count == COUNT
    assert frames.rendering.endswith("variable frame rate, 100 to 300 ms from frame to frame")


def test_frames_before_the_beginning_of_a_trimmed_clip_are_no_damage() -> None:
    """What a phone trims stays in the file, behind an edit list that leaves it out."""
    stream = BytesIO()
    with (
        av.open(BytesIO(encoded("mp4", "libx264", bf="0", g="4"))) as source,
        av.open(stream, "w", format="mp4") as trimmed,
    ):
        video: Any = source.streams.video[0]
        out = trimmed.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.dts is None or packet.pts is None:
                continue
            moved = round(0.2 / packet.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts - moved, packet.dts - moved, out
            trimmed.mux(packet)
    frames = open_frames(stream.getvalue(), Limits())
    assert frames.count == COUNT - 2
    assert np.abs(frames.frame(0).astype(int) - drawn(2)).mean() < 6


@pytest.mark.parametrize("limit", [{"max_frames": COUNT - 1}, {"max_voxels": 20_000}])
def test_frames_are_held_to_the_limits(limit: dict[str, int]) -> None:
    with pytest.raises(ImageTooLarge):
        open_frames(clip("mkv"), Limits(**limit))


def test_a_codec_that_is_not_read_is_named() -> None:
    content = encoded("mov", "rpza", pixel="rgb555le")
    with pytest.raises(UnsupportedImage, match="coded as rpza is not read: convert it to H"):
        open_frames(content, Limits())


def test_sound_alone_is_no_video() -> None:
    stream = BytesIO()
    with av.open(stream, "w", format="mp4") as file:
        sound: Any = file.add_stream("aac", rate=8000)
        frame: Any = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        file.mux(sound.encode(frame))
        file.mux(sound.encode())
    with pytest.raises(UnsupportedImage, match="without pictures"):
        open_frames(stream.getvalue(), Limits())


# Display matrices. Expected: what FFmpeg 9.0 shows of a clip with such a matrix (autorotate).

TURNS: dict[tuple[int, int, int, int], Any] = {
    (1, 0, 0, 1): lambda image: image,
    (-1, 0, 0, 1): lambda image: image[:, ::-1],
    (1, 0, 0, -1): lambda image: image[::-1],
    (-1, 0, 0, -1): lambda image: image[::-1, ::-1],
    (0, 1, -1, 0): lambda image: np.rot90(image, -1),
    (0, -1, 1, 0): lambda image: np.rot90(image, 1),
    (0, 1, 1, 0): lambda image: image.transpose(1, 0, 2),
    (0, -1, -1, 0): lambda image: image[::-1, ::-1].transpose(1, 0, 2),
}


def with_matrix(content: bytes, linear: tuple[int, int, int, int]) -> bytes:
    """Put a matrix into the track header of an MP4."""
    changed = bytearray(content)
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (each << 16 for each in linear)
    struct.pack_into(">9i", changed, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return bytes(changed)


@pytest.mark.parametrize("linear", TURNS)
def test_a_turned_or_mirrored_clip_is_put_upright(linear: tuple[int, int, int, int]) -> None:
    frames = open_frames(with_matrix(clip("mp4"), linear), Limits())
    expected = TURNS[linear](drawn(5))
    assert (frames.height, frames.width) == expected.shape[:2]
    assert np.abs(frames.frame(5).astype(int) - expected).mean() < 6
    turn = read_matrix(
        struct.pack("=9i", *(each << 16 for each in (*linear[:2], 0, *linear[2:], 0, 0, 0, 1)))
    )
    assert turn is not None
    told = NAMES[turn]
    assert frames.rendering == "; ".join(filter(None, ("decoded from video", told)))
    assert (told is None) == (linear == (1, 0, 0, 1))


def test_a_turn_by_other_than_quarters_is_told_and_not_applied() -> None:
    content = bytearray(clip("mp4"))
    at = content.index(b"tkhd") + 4 + 40
    half = round(0.7071 * 65_536)
    struct.pack_into(">9i", content, at, half, half, 0, -half, half, 0, 0, 0, 1 << 30)
    frames = open_frames(bytes(content), Limits())
    assert np.abs(frames.frame(5).astype(int) - drawn(5)).mean() < 6
    assert frames.rendering == "decoded from video; turn by other than quarters not applied"


def test_an_empty_matrix_is_none() -> None:
    assert read_matrix(bytes(36)) == Turn()
    assert read_matrix(b"") == Turn()


@pytest.mark.parametrize("behind", [bytes(40), b"appended by a recorder", b"\xff" * 3])
@pytest.mark.parametrize("kind", ["mp4", "mov"])
def test_what_follows_a_whole_film_does_not_cut_it_short(kind: str, behind: bytes) -> None:
    frames = open_frames(encoded(kind, "mpeg4") + behind, Limits())
    assert frames.count == COUNT


def test_of_several_videos_in_a_file_one_is_shown_and_told() -> None:
    stream = BytesIO()
    with av.open(stream, "w", format="matroska") as file:
        videos: list[Any] = [file.add_stream("mpeg4", rate=10) for _ in range(2)]
        for video in videos:
            video.height, video.width, video.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for video in videos:
            for number in range(3):
                frame = av.VideoFrame.from_ndarray(drawn(number), format="rgb24")
                file.mux(video.encode(frame))
            file.mux(video.encode())
    frames = open_frames(stream.getvalue(), Limits())
    assert frames.rendering == "decoded from video; one of 2 videos in the file"

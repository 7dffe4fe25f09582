"""GIF, WebP and PNG that move, as clips."""

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segmenter.errors import BrokenImage, ImageTooLarge, InvalidPrompt, UnsupportedImage
from segmenter.formats.frames import ReadOptions
from segmenter.formats.limits import Limits
from segmenter.formats.sequences import open_frames, working_bytes
from tests.segmenter.formats.build import save, shown_values

KINDS = ["GIF", "WEBP", "PNG"]
LEVELS = [10, 60, 110, 160, 210]


def animation(kind: str, waits_ms: int | list[int] = 100, **options: Any) -> bytes:
    """Five frames of one grey each, with a white square that moves."""
    frames = []
    for number, level in enumerate(LEVELS):
        pixels = np.full((24, 40), level, np.uint8)
        pixels[4:8, 4 * number : 4 * number + 4] = 255
        frames.append(Image.fromarray(pixels))
    lossless = {"lossless": True} if kind == "WEBP" else {}
    return save(
        frames[0],
        kind,
        save_all=True,
        append_images=frames[1:],
        duration=waits_ms,
        **lossless,
        **options,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_animation_is_a_clip(kind: str) -> None:
    frames = open_frames(animation(kind), Limits())
    assert (frames.count, frames.height, frames.width) == (5, 24, 40)
    assert (frames.format, frames.geometry.axis, frames.geometry.fps) == (kind.lower(), "time", 10)
    assert shown_values(frames)[:, 20, 0].tolist() == LEVELS
    assert (frames.frame(3)[4:8, 12:16] == 255).all()
    # Backwards it is the same.
    assert np.array_equal(frames.frame(0)[..., 0], shown_values(frames)[0])
    assert frames.rendering == "identity"


@pytest.mark.parametrize("kind", KINDS)
def test_frames_that_wait_unevenly_are_told(kind: str) -> None:
    frames = open_frames(animation(kind, [50, 100, 150, 100, 100]), Limits())
    assert frames.geometry.fps == 10
    assert frames.rendering == "variable frame rate, 50 to 150 ms from frame to frame"


def test_a_gif_that_tells_no_time_has_no_rate() -> None:
    assert open_frames(animation("GIF", 0), Limits()).geometry.fps is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_picture_is_no_clip(kind: str) -> None:
    content = save(Image.fromarray(np.zeros((8, 8), np.uint8)), kind)
    with pytest.raises(UnsupportedImage, match=f"single picture \\({kind.lower()}\\): send it to"):
        open_frames(content, Limits())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.4, 0.8])
def test_an_animation_that_is_cut_short_is_broken(kind: str, share: float) -> None:
    content = animation(kind)
    with pytest.raises(BrokenImage):
        open_frames(content[: int(share * len(content))], Limits())


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_held_to_the_limits(kind: str) -> None:
    content = animation(kind)
    assert working_bytes(content, Limits()) > 24 * 40 * 3
    with pytest.raises(ImageTooLarge, match="5 frames"):
        open_frames(content, Limits(max_frames=4))
    with pytest.raises(ImageTooLarge, match="voxels"):
        open_frames(content, Limits(max_voxels=24 * 40 * 4))


def test_the_picture_that_stands_for_an_animated_png_is_no_frame_of_it() -> None:
    still = Image.fromarray(np.full((24, 40), 99, np.uint8))
    moving = [Image.fromarray(np.full((24, 40), level, np.uint8)) for level in (20, 200)]
    content = save(still, "PNG", save_all=True, append_images=moving, default_image=True)
    frames = open_frames(content, Limits())
    assert shown_values(frames)[:, 0, 0].tolist() == [20, 200]


def test_see_through_frames_are_over_black() -> None:
    pixels = np.full((2, 8, 8, 4), 200, np.uint8)
    pixels[:, :4, :, 3] = 0
    pixels[1, 4:, :, :3] = 50
    content = save(
        Image.fromarray(pixels[0]),
        "WEBP",
        save_all=True,
        append_images=[Image.fromarray(pixels[1])],
        lossless=True,
    )
    frames = open_frames(content, Limits())
    assert frames.rendering == "alpha over black"
    assert not frames.frame(0)[:4].any()


def test_a_preset_of_ct_is_refused() -> None:
    with pytest.raises(InvalidPrompt, match="CT volumes"):
        open_frames(animation("GIF"), Limits(), ReadOptions(preset="lung"))


def test_a_gif_frame_count_is_read_without_drawing() -> None:
    content = bytearray(animation("GIF"))
    content[6:10] = struct.pack("<HH", 9_000, 9_000)
    with pytest.raises(ImageTooLarge):
        open_frames(bytes(content), Limits())

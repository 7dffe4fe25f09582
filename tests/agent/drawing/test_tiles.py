import io

import numpy as np
import pytest
from PIL import Image

from agent.drawing.colours import BACKGROUND, COLOURS
from agent.drawing.overlay import LabelledMask
from agent.drawing.tiles import MIN_TILE_PX, SHEET_SIDE_PX, Tile, draw_tiles
from segmenter.contract import BinaryMask, RgbImage

GREY = np.full((48, 64, 3), 90, dtype=np.uint8)


def opened(png: bytes) -> RgbImage:
    return np.asarray(Image.open(io.BytesIO(png)))


def pixels_of(drawn: RgbImage, index: int) -> int:
    return int((np.abs(drawn.astype(int) - COLOURS[index][1]) < 3).all(axis=2).sum())


def block(left: int) -> BinaryMask:
    mask = np.zeros((48, 64), dtype=np.bool_)
    mask[20:40, left : left + 10] = True
    return mask


def tile(
    *masks: LabelledMask, pixels: RgbImage = GREY, heading: str = "frame 3", remark: str = ""
) -> Tile:
    return Tile(pixels, masks, heading, remark)


def test_a_thing_keeps_its_colour_whatever_else_a_tile_shows() -> None:
    second = LabelledMask("2", block(20), colour=1)
    alone = opened(draw_tiles("", [tile(second)]))
    both = opened(draw_tiles("", [tile(LabelledMask("1", block(40), colour=0), second)]))
    assert pixels_of(alone, 1) > 300
    assert pixels_of(alone, 0) == 0
    assert pixels_of(both, 0) > 300
    assert pixels_of(both, 1) > 300


def test_a_legend_names_things_in_their_colours() -> None:
    bare = opened(draw_tiles("title", [tile()]))
    told = opened(draw_tiles("title", [tile()], legend=[("1 polyp", 0), ("3 polyp", 2)]))
    assert told.shape[0] > bare.shape[0]
    assert [pixels_of(told, index) > 300 for index in range(4)] == [True, False, True, False]


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        pytest.param(("a", "frame 3", ""), ("b", "frame 3", ""), id="title"),
        pytest.param(("a", "frame 3", ""), ("a", "frame 4", ""), id="heading"),
        pytest.param(("a", "frame 3", "m1 accepted"), ("a", "frame 3", "m1 rejected"), id="remark"),
    ],
)
def test_what_is_written_is_seen(
    words: tuple[str, str, str], changes: tuple[str, str, str]
) -> None:
    drawn = [
        draw_tiles(title, [tile(heading=heading, remark=remark)])
        for title, heading, remark in (words, changes)
    ]
    assert drawn[0] != drawn[1]


def test_a_long_title_takes_more_lines_and_is_not_cut() -> None:
    short = opened(draw_tiles("now stands", [tile()]))
    long = opened(draw_tiles("now stands " * 15, [tile(pixels=np.zeros((400, 20, 3), np.uint8))]))
    assert (long[:60, -8:] == BACKGROUND).all(), "words run out of the sheet"
    assert (short[:8] == BACKGROUND).all()
    rows = (long[:, :MIN_TILE_PX] != BACKGROUND).any(axis=(1, 2))
    assert rows[:200].sum() > 60


@pytest.mark.parametrize(
    "shape", [(48, 64), (12, 400), (300, 9), (1, 1)], ids=["usual", "flat", "tall", "a pixel"]
)
@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_tiles_stand_apart_on_a_sheet_of_bounded_size(shape: tuple[int, int], count: int) -> None:
    pixels = np.full((*shape, 3), 90, dtype=np.uint8)
    words = "rejected: wrong structure " * 9
    drawn = opened(draw_tiles("round 1", [tile(pixels=pixels, remark=words)] * count))
    assert max(drawn.shape) <= 2 * SHEET_SIDE_PX
    columns = (drawn == 90).all(axis=2).any(axis=0)
    rows = (drawn == 90).all(axis=2).any(axis=1)
    starts = [int((np.diff(line.astype(int), prepend=0) == 1).sum()) for line in (columns, rows)]
    assert starts[0] * starts[1] >= count
    assert (drawn[:, -8:] == BACKGROUND).all()

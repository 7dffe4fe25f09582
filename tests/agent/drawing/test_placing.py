import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.drawing.layout import Size
from agent.drawing.placing import Corner, Margin, arrange, place_in_corner
from segmenter.contract import BinaryMask, Box

PLATE = Size(120, 40)


def picture(width: int, height: int, *masks: tuple[int, int, int, int]) -> BinaryMask:
    occupied = np.zeros((height, width), dtype=np.bool_)
    for left, top, right, bottom in masks:
        occupied[top:bottom, left:right] = True
    return occupied


def anchor(mask: tuple[int, int, int, int]) -> Box:
    left, top, right, bottom = mask
    return Box(x0=left, y0=top, x1=right, y1=bottom)


def test_a_picture_with_room_gets_no_strip() -> None:
    mask = (100, 100, 200, 200)
    assert arrange(picture(768, 576, mask), [anchor(mask)], [PLATE], []).margin == Margin()


@pytest.mark.parametrize(
    ("width", "height", "mask"),
    [
        pytest.param(2048, 61, (900, 10, 950, 50), id="flat"),
        pytest.param(61, 2048, (10, 900, 50, 950), id="tall"),
        pytest.param(768, 768, (0, 0, 768, 768), id="a mask of the whole picture"),
    ],
)
def test_plates_without_room_stand_beside_the_picture(
    width: int, height: int, mask: tuple[int, int, int, int]
) -> None:
    corner = Corner(Size(80, 30), bottom=True)
    places = arrange(picture(width, height, mask), [anchor(mask)] * 3, [PLATE] * 3, [corner])
    assert (places.margin.right > 0) == (height > width)
    assert (places.margin.below > 0) == (height <= width)
    boxes = [(*at, PLATE) for at in places.plates] + [(*places.corners[0], corner.size)]
    taken = np.zeros((height + places.margin.below, width + places.margin.right), dtype=int)
    for left, top, size in boxes:
        assert left + size.width <= taken.shape[1]
        assert top + size.height <= taken.shape[0]
        assert left >= width or top >= height
        taken[top : top + size.height, left : left + size.width] += 1
    assert taken.max() == 1


@pytest.mark.parametrize(
    ("masks", "bottom", "expected"),
    [
        pytest.param([], False, (8, 8), id="left and top"),
        pytest.param([], True, (8, 252), id="left and bottom"),
        pytest.param([(0, 200, 100, 300)], True, (272, 252), id="right, where left is taken"),
        pytest.param([(0, 200, 400, 300)], True, (8, 8), id="top, where the bottom is taken"),
    ],
)
def test_what_belongs_into_a_corner_hides_the_least(
    masks: list[tuple[int, int, int, int]], bottom: bool, expected: tuple[int, int]
) -> None:
    assert place_in_corner(picture(400, 300, *masks), PLATE, bottom_first=bottom) == expected


@settings(max_examples=40, deadline=None)
@given(
    st.integers(60, 900),
    st.integers(60, 900),
    st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), min_size=1, max_size=12),
)
def test_every_plate_lies_on_the_drawing(
    width: int, height: int, points: list[tuple[int, int]]
) -> None:
    masks = [(x, y, x + 1, y + 1) for x, y in points]
    sizes = [PLATE] * len(masks)
    places = arrange(picture(width, height, *masks), [anchor(mask) for mask in masks], sizes, [])
    for left, top in places.plates:
        assert 0 <= left <= width + places.margin.right - PLATE.width + 4
        assert 0 <= top <= height + places.margin.below - PLATE.height + 4

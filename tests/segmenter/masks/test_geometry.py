"""Boxes and masks: tables, and the laws of the measures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segmenter.contract import Box
from segmenter.masks.geometry import box_iou, clip_box, dice, grow_box, mask_box, mask_iou

SIDES = st.floats(-100, 100, allow_nan=False)
LENGTHS = st.floats(0.5, 100)
MASKS = arrays(bool, (6, 7))


def box(x0: float, y0: float, x1: float, y1: float) -> Box:
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x0, y0 = draw(SIDES), draw(SIDES)
    return box(x0, y0, x0 + draw(LENGTHS), y0 + draw(LENGTHS))


@pytest.mark.parametrize(
    ("given_box", "expected"),
    [
        pytest.param(box(1, 2, 3, 4), box(1, 2, 3, 4), id="inside"),
        pytest.param(box(-5, -5, 50, 50), box(0, 0, 20, 10), id="around"),
        pytest.param(box(15, 5, 25, 15), box(15, 5, 20, 10), id="over a corner"),
        pytest.param(box(20, 0, 25, 5), None, id="touches from outside"),
        pytest.param(box(-5, -5, 0, 5), None, id="touches the origin side"),
    ],
)
def test_a_box_is_cut_to_the_image(given_box, expected):
    assert clip_box(given_box, width=20, height=10) == expected


def test_growing_keeps_the_centre():
    assert grow_box(box(10, 10, 20, 30), 2.0) == box(5, 0, 25, 40)


@given(boxes())
def test_growing_by_one_changes_nothing(given_box):
    assert grow_box(given_box, 1.0).as_tuple() == pytest.approx(given_box.as_tuple())


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param(box(0, 0, 2, 2), box(0, 0, 2, 2), 1.0, id="same"),
        pytest.param(box(0, 0, 2, 2), box(1, 0, 3, 2), 1 / 3, id="half shifted"),
        pytest.param(box(0, 0, 2, 2), box(2, 0, 4, 2), 0.0, id="touching"),
        pytest.param(box(0, 0, 1, 1), box(5, 5, 6, 6), 0.0, id="apart"),
        pytest.param(box(0, 0, 4, 4), box(1, 1, 3, 3), 0.25, id="one within"),
    ],
)
def test_the_overlap_of_boxes(first, second, expected):
    assert box_iou(first, second) == pytest.approx(expected)


@given(boxes(), boxes())
def test_the_overlap_of_boxes_is_symmetric_and_bounded(first, second):
    assert box_iou(first, second) == pytest.approx(box_iou(second, first))
    assert 0.0 <= box_iou(first, second) <= 1.0 + 1e-9


def test_the_box_of_a_mask_is_half_open():
    mask = np.zeros((6, 8), dtype=bool)
    mask[2:4, 3] = True
    assert mask_box(mask) == box(3, 2, 4, 4)


def test_an_empty_mask_has_no_box():
    assert mask_box(np.zeros((3, 3), dtype=bool)) is None


@given(MASKS)
def test_the_box_of_a_mask_is_tight(mask):
    found = mask_box(mask)
    if found is None:
        assert not mask.any()
        return
    x0, y0, x1, y1 = map(int, found.as_tuple())
    inside = mask[y0:y1, x0:x1]
    assert inside.sum() == mask.sum()
    assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


@pytest.mark.parametrize("measure", [mask_iou, dice])
def test_empty_masks_agree(measure):
    empty = np.zeros((2, 2), dtype=bool)
    assert measure(empty, empty) == 1.0
    assert measure(empty, ~empty) == 0.0


def test_the_overlap_of_masks():
    first, second = np.zeros((2, 4), dtype=bool), np.zeros((2, 4), dtype=bool)
    first[:, :2], second[:, 1:3] = True, True
    assert mask_iou(first, second) == pytest.approx(1 / 3)
    assert dice(first, second) == pytest.approx(1 / 2)


@given(MASKS, MASKS)
def test_dice_follows_from_iou_and_both_are_symmetric(first, second):
    iou = mask_iou(first, second)
    assert dice(first, second) == pytest.approx(2 * iou / (1 + iou))
    assert mask_iou(second, first) == iou
    assert 0.0 <= iou <= 1.0

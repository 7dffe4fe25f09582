"""Every edit on masks small enough to be counted by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from agent.masks import edits
from segmenter.contract import BinaryMask, Spacing
from tests.agent.doubles import SIZE, square

TEN = square(20, 20, 30, 30)


def area(mask: BinaryMask) -> int:
    return int(mask.sum())


def test_growing_by_a_distance_adds_a_band_with_round_corners() -> None:
    # 4 bands of 10 x 2, and of each 2 x 2 corner the 3 pixels within 2 px of the corner pixel
    # (the outermost is 2.83 px away).
    assert area(edits.grow(TEN, 2)) == 100 + 4 * 20 + 4 * 1
    # (1, 1) is 1.41 px away; (1, 2), (2, 1) 2.24 px; (2, 2) 2.83 px.
    assert area(edits.grow(TEN, 2.5)) == 100 + 4 * 20 + 4 * 3


def test_shrinking_by_a_distance_takes_a_band_off() -> None:
    assert np.array_equal(edits.shrink(TEN, 2), square(22, 22, 28, 28))


def test_millimetres_reach_as_far_as_the_spacing_says_along_each_side() -> None:
    # Rows lie 0.5 mm apart, columns 2 mm: 2 mm are 4 pixels down and 1 across.
    grown = edits.grow(square(30, 30, 31, 31), 2.0, (0.5, 2.0))
    assert area(grown) == 9 + 2
    assert np.flatnonzero(grown.any(axis=1)).tolist() == list(range(26, 35))
    assert np.flatnonzero(grown.any(axis=0)).tolist() == [29, 30, 31]
    assert np.array_equal(edits.shrink(TEN, 2.0, (0.5, 2.0)), square(21, 24, 29, 26))


def test_a_spacing_is_rows_then_columns_or_not_known() -> None:
    spacing = Spacing(row_mm=0.5, column_mm=2.0, source="PixelSpacing")
    assert edits.sampling_of(spacing) == (0.5, 2.0)
    assert edits.sampling_of(None) is None


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.33, 1.0])
def test_a_percentage_is_of_the_area(share: float) -> None:
    grown, shrunk = edits.grow_by_share(TEN, share), edits.shrink_by_share(TEN, share)
    assert area(grown) == round(100 * (1 + share))
    assert area(shrunk) == round(100 * (1 - share))
    assert (grown & TEN).sum() == 100
    assert not (shrunk & ~TEN).any()


def test_a_percentage_takes_the_outermost_pixels_first() -> None:
    # 36 of 100 pixels are the outermost ring.
    assert np.array_equal(edits.shrink_by_share(TEN, 0.36), square(21, 21, 29, 29))


def test_nothing_shrinks_from_the_border_of_the_picture() -> None:
    cut_off = square(0, 0, 10, 10)
    assert np.array_equal(edits.shrink(cut_off, 2), square(0, 0, 8, 8))


def test_a_mask_of_the_whole_picture_has_no_outside_to_shrink_from() -> None:
    whole = np.ones((SIZE, SIZE), dtype=bool)
    assert edits.shrink(whole, 3).all()
    assert edits.shrink_by_share(whole, 0.5).all()


def test_an_empty_mask_has_nothing_to_grow_from() -> None:
    assert not edits.grow(np.zeros((SIZE, SIZE), dtype=bool), 5).any()


def test_the_usual_step_is_a_tenth_of_the_radius_and_at_least_a_pixel() -> None:
    # 40 x 40: the circle of that area has a radius of 22.6 px.
    assert edits.default_step_px(square(10, 10, 50, 50)) == 2
    assert edits.default_step_px(square(10, 10, 12, 12)) == 1


def test_smoothing_levels_a_thorn_and_keeps_the_body() -> None:
    body = square(10, 10, 50, 50)
    thorn = body | square(50, 30, 58, 31)
    smoothed = edits.smooth(thorn)
    assert not smoothed[:, 53:].any()
    assert smoothed[20:40, 20:40].all()


def test_holes_are_filled() -> None:
    assert np.array_equal(edits.fill(TEN & ~square(23, 23, 26, 26)), TEN)


def test_specks_beside_the_largest_piece_go() -> None:
    assert np.array_equal(edits.despeckle(TEN | square(40, 40, 42, 42)), TEN)
    # A piece of 9 of 100 pixels is no speck.
    both = TEN | square(40, 40, 43, 43)
    assert np.array_equal(edits.despeckle(both), both)


@pytest.mark.parametrize(
    "edit",
    [
        lambda mask: edits.grow(mask, 2),
        lambda mask: edits.shrink(mask, 2),
        lambda mask: edits.grow_by_share(mask, 0.1),
        lambda mask: edits.shrink_by_share(mask, 0.1),
        edits.smooth,
        edits.fill,
        edits.despeckle,
    ],
)
def test_an_edit_leaves_the_mask_it_was_given(edit: Callable[[BinaryMask], BinaryMask]) -> None:
    mask = TEN | square(40, 40, 42, 42)
    before = mask.copy()
    edit(mask)
    assert np.array_equal(mask, before)

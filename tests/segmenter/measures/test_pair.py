"""Two masks against each other."""

import numpy as np
import pytest

from segmenter.contract import BinaryMask, Spacing
from segmenter.measures.pair import compare

FLAT = Spacing(row_mm=2.0, column_mm=0.5, source="PixelSpacing")


def block(rows: slice, columns: slice) -> BinaryMask:
    mask = np.zeros((20, 20), bool)
    mask[rows, columns] = True
    return mask


# A cup of 6 x 4 in a disc of 10 x 8.
CUP, DISC = block(slice(4, 10), slice(4, 8)), block(slice(2, 12), slice(2, 10))


def test_a_cup_against_its_disc():
    found = compare(CUP, DISC)
    assert found.vertical_ratio == 0.6
    assert found.horizontal_ratio == 0.5
    assert found.area_ratio == 24 / 80
    assert found.difference_px == -56
    assert (found.shared_px, found.share_of_first, found.share_of_second) == (24, 1, 24 / 80)
    assert found.iou == 24 / 80
    assert (found.difference_mm2, found.shared_mm2, found.spacing_source) == (None, None, None)


def test_ratios_are_the_same_in_millimetres_and_areas_are_not():
    found, plain = compare(CUP, DISC, FLAT), compare(CUP, DISC)
    assert found.vertical_ratio == plain.vertical_ratio
    assert (found.difference_mm2, found.shared_mm2) == (-56, 24)
    assert found.spacing_source == "PixelSpacing"
    sized = compare(CUP, DISC, FLAT.model_copy(update={"row_mm": 4.0}))
    assert (sized.difference_mm2, sized.shared_mm2) == (-112, 48)


def test_masks_that_overlap_in_part_share_what_is_in_both():
    found = compare(block(slice(0, 4), slice(0, 4)), block(slice(2, 4), slice(0, 8)))
    assert (found.shared_px, found.share_of_first, found.share_of_second) == (8, 0.5, 0.5)
    assert found.iou == 8 / 24


def test_masks_apart_share_nothing():
    found = compare(block(slice(0, 2), slice(0, 2)), block(slice(5, 7), slice(5, 7)))
    assert (found.shared_px, found.share_of_first, found.iou, found.area_ratio) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        pytest.param(np.zeros((20, 20), bool), "empty", id="empty"),
        pytest.param(np.ones((20, 21), bool), "two pictures", id="of another shape"),
    ],
)
def test_what_cannot_be_compared_is_refused(second, words):
    with pytest.raises(ValueError, match=words):
        compare(CUP, second)

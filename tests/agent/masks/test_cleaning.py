import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.masks.cleaning import CLEAN_SHARE, clean
from segmenter.contract import BinaryMask
from segmenter.masks.components import components
from tests.agent.doubles import MIDDLE, square

SPECK = square(2, 2, 4, 4)
HOLE = square(30, 30, 32, 32)
RING = square(10, 10, 50, 50) & ~square(20, 20, 40, 40)


@pytest.mark.parametrize(
    ("mask", "expected", "words"),
    [
        pytest.param(MIDDLE, MIDDLE, "", id="a whole piece"),
        pytest.param(MIDDLE | SPECK, MIDDLE, "specks of 4 px removed", id="a speck"),
        pytest.param(MIDDLE & ~HOLE, MIDDLE, "holes of 4 px filled", id="a hole"),
        pytest.param(
            (MIDDLE & ~HOLE) | SPECK,
            MIDDLE,
            "specks of 4 px removed, holes of 4 px filled",
            id="both",
        ),
        pytest.param(RING, RING, "", id="a ring around a lumen"),
        pytest.param(
            RING & ~square(12, 12, 14, 14), RING, "holes of 4 px filled", id="a hole in a ring"
        ),
        pytest.param(
            RING | square(29, 29, 31, 31), RING, "specks of 4 px removed", id="a speck in a lumen"
        ),
        pytest.param(
            MIDDLE | square(50, 50, 55, 55),
            MIDDLE | square(50, 50, 55, 55),
            "",
            id="a second piece that is no speck",
        ),
    ],
)
def test_specks_go_and_holes_are_filled_up_to_a_share_of_the_largest_piece(
    mask: BinaryMask, expected: BinaryMask, words: str
) -> None:
    cleaned = clean(mask)
    assert np.array_equal(cleaned.mask, expected)
    assert cleaned.in_words() == words
    assert cleaned.changed is bool(words)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), *[st.integers(0, 60)] * 2, *[st.integers(1, 30)] * 2),
        min_size=1,
        max_size=12,
    )
)
def test_what_was_cleaned_has_nothing_left_to_clean(
    spots: list[tuple[bool, int, int, int, int]],
) -> None:
    mask = square(0, 0, 1, 1)
    for adds, left, top, width, height in spots:
        mask[top : top + height, left : left + width] = adds
    before = mask.copy()
    cleaned = clean(mask)
    assert not clean(cleaned.mask).changed
    assert (mask == before).all()
    areas = components(cleaned.mask).areas
    assert not ((areas > 0) & (areas < CLEAN_SHARE * areas.max())).any()


def test_an_empty_mask_stays_empty() -> None:
    assert not clean(np.zeros((4, 4), dtype=np.bool_)).mask.any()

"""Run lengths: known strings of the reference implementation, and the round trip as a law."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from segmenter.contract import Rle
from segmenter.masks import rle

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


def mask_of(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


@pytest.mark.parametrize(
    ("mask", "counts"),
    [
        pytest.param(mask_of(".."), "2", id="empty"),
        pytest.param(mask_of("##"), "02", id="full"),
        pytest.param(mask_of(".#", ".."), "211", id="column by column"),
        pytest.param(mask_of("#."), "011", id="first run counts zeros"),
        pytest.param(mask_of(".#.#.#"), "111000", id="differences from the fourth run on"),
        pytest.param(np.zeros((32, 1), bool), "P1", id="two groups"),
        pytest.param(np.zeros((16, 1), bool), "`0", id="positive with its sign bit kept clear"),
    ],
)
def test_masks_become_the_strings_of_the_format(mask, counts):
    # Worked out by hand from maskApi.c: rleToString.
    assert rle.encode(mask) == Rle(size=mask.shape, counts=counts)


@given(MASKS)
def test_a_mask_comes_back_as_it_went_in(mask):
    assert (rle.decode(rle.encode(mask)) == mask).all()


@given(MASKS)
def test_the_string_has_only_letters_that_are_safe_in_json(mask):
    assert all(48 <= ord(letter) < 112 for letter in rle.encode(mask).counts)


def test_a_long_run_comes_back():
    mask = np.zeros((2000, 3000), dtype=bool)
    mask[:, 1500:] = True
    assert (rle.decode(rle.encode(mask)) == mask).all()


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        pytest.param("3", "add up", id="too short"),
        pytest.param("9", "add up", id="too long"),
        pytest.param("O5", "add up", id="a negative run"),
        pytest.param("", "add up", id="nothing"),
        pytest.param("4 ", "letter ' '", id="a foreign letter"),
        pytest.param("4\u00e9", "letter", id="no ascii"),
        pytest.param("P", "end inside a number", id="cut off"),
    ],
)
def test_counts_that_do_not_describe_the_size_are_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        rle.decode(Rle(size=(2, 2), counts=counts))


@given(st.text(alphabet=[chr(code) for code in range(48, 112)], max_size=12))
def test_any_string_either_fills_the_size_or_is_refused(counts):
    try:
        mask = rle.decode(Rle(size=(5, 5), counts=counts))
    except ValueError:
        return
    assert mask.shape == (5, 5)

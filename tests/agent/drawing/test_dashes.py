import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.drawing.dashes import MIN_REPEATS, Pattern, broken_edge
from segmenter.contract import BinaryMask

HALF = Pattern(12, 0.5)


def block(height: int, width: int, *, frame: tuple[int, int] = (60, 60)) -> BinaryMask:
    mask = np.zeros(frame, dtype=np.bool_)
    mask[10 : 10 + height, 10 : 10 + width] = True
    return mask


def edge_of(mask: BinaryMask) -> BinaryMask:
    """Pixels on either side of the edge, found by shifting the mask."""
    padded = np.pad(mask, 1)
    differs = np.zeros_like(padded)
    for axis in (0, 1):
        for step in (-1, 1):
            differs |= padded != np.roll(padded, step, axis)
    return differs[1:-1, 1:-1]


def test_a_pattern_without_gaps_is_the_whole_edge() -> None:
    mask = block(12, 30) & ~block(3, 3)
    assert (broken_edge(mask, Pattern(12, 1.0)) == edge_of(mask)).all()


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_dashes_take_their_share_of_a_straight_edge(share: float) -> None:
    top = broken_edge(block(12, 40), Pattern(8, share))[10, 10:50]
    assert top.mean() == pytest.approx(share, abs=0.11)
    runs = int((np.diff(top.astype(int)) == 1).sum())
    assert runs >= 3


def test_dashes_lie_on_the_edge_alone() -> None:
    mask = block(20, 20)
    dashes = broken_edge(mask, HALF)
    assert not (dashes & ~edge_of(mask)).any()
    assert (edge_of(mask) & ~dashes).any()


def test_an_edge_at_the_frame_is_broken_too() -> None:
    dashes = broken_edge(np.ones((40, 40), dtype=np.bool_), HALF)
    for side in (dashes[0], dashes[-1], dashes[:, 0], dashes[:, -1]):
        assert 0.2 < side.mean() < 0.8


def test_a_tiny_mask_still_has_gaps() -> None:
    mask = block(2, 2)
    dashes = broken_edge(mask, HALF)
    assert dashes.any()
    assert dashes.sum() < edge_of(mask).sum()
    assert MIN_REPEATS == 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=60))
def test_any_mask_can_be_walked(points: list[tuple[int, int]]) -> None:
    mask = np.zeros((12, 12), dtype=np.bool_)
    for row, column in points:
        mask[row, column] = True
    dashes = broken_edge(mask, HALF)
    assert not (dashes & ~edge_of(mask)).any()
    assert dashes.any() == mask.any()

import numpy as np

from agent.masks.split import objects
from segmenter.contract import BinaryMask
from tests.agent.doubles import SIZE, square


def disc(x: int, y: int, radius: int) -> BinaryMask:
    rows, columns = np.ogrid[:SIZE, :SIZE]
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 <= radius**2)


def split_clump(mask: BinaryMask) -> list[BinaryMask]:
    found = objects(mask)
    assert int(found.areas.sum()) == int(mask.sum())
    return [found.labels == number for number in found.largest_first()]


def test_two_discs_that_touch_are_two_objects() -> None:
    left, right = disc(20, 30, 9), disc(36, 30, 9)
    parts = split_clump(left | right)
    assert len(parts) == 2
    assert not (parts[0] & parts[1]).any()
    assert np.array_equal(parts[0] | parts[1], left | right)
    for part in parts:
        own = max((left, right), key=lambda one: int((one & part).sum()))
        assert (part & own).sum() / (part | own).sum() > 0.9


def test_three_discs_in_a_row_are_three_objects() -> None:
    assert len(split_clump(disc(14, 30, 8) | disc(28, 30, 8) | disc(42, 30, 8))) == 3


def test_a_round_object_stays_whole() -> None:
    (whole,) = split_clump(disc(30, 30, 15))
    assert np.array_equal(whole, disc(30, 30, 15))


def test_thin_branches_are_no_objects_that_touch() -> None:
    cross = square(10, 30, 50, 32) | square(30, 10, 32, 50)
    assert len(split_clump(cross)) == 1


def test_an_object_at_the_edge_of_the_picture_keeps_its_place() -> None:
    clump = disc(7, 6, 8) | disc(22, 6, 8)
    parts = split_clump(clump)
    assert len(parts) == 2
    assert np.array_equal(parts[0] | parts[1], clump)


def test_a_clump_and_an_object_beside_it_are_told_apart() -> None:
    clump = disc(14, 20, 8) | disc(28, 20, 8)
    assert len(split_clump(clump | disc(50, 50, 8))) == 3

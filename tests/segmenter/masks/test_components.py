import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from segmenter.contract import BinaryMask
from segmenter.masks.components import components, fill_holes

masks = npst.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def drawn(*rows: str) -> BinaryMask:
    return np.array([[letter == "#" for letter in row] for row in rows])


def flooded(mask: BinaryMask) -> list[int]:
    """Count pixels of each piece by spreading from every pixel in turn: slow and plain."""
    left = {tuple(place) for place in np.argwhere(mask)}
    areas = []
    while left:
        edge, area = [left.pop()], 0
        while edge:
            row, column = edge.pop()
            area += 1
            near = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            edge += near
        areas.append(area)
    return sorted(areas, reverse=True)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["...", "..."], []),
        (["###"], [(0, 0, 3, 1, 3)]),
        (["#..", ".#.", "..#"], [(0, 0, 3, 3, 3)]),
        (["#.#", "#.#", "###"], [(0, 0, 3, 3, 7)]),
        (["##.#", "##..", "...."], [(0, 0, 2, 2, 4), (3, 0, 4, 1, 1)]),
        (["##", "..", "##"], [(0, 0, 2, 1, 2), (0, 2, 2, 3, 2)]),
        (["...#", "#...", "#..#", "...#"], [(0, 1, 1, 3, 2), (3, 2, 4, 4, 2), (3, 0, 4, 1, 1)]),
    ],
    ids=[
        "empty", "row", "diagonal", "horseshoe", "two, largest first", "two, upper first",
        "equals in reading order behind a smaller one",
    ],
)  # fmt: skip
def test_components_are_found_with_box_and_area(
    rows: list[str], expected: list[tuple[int, ...]]
) -> None:
    found = components(drawn(*rows))
    areas = found.areas[found.largest_first()]
    boxes = [box.as_tuple() for box in found.boxes()]
    assert [(*box, area) for box, area in zip(boxes, areas, strict=True)] == expected


@pytest.mark.parametrize("density", [0.2, 0.4, 0.6])
def test_components_are_those_a_flood_fill_finds(density: float) -> None:
    found = components(np.random.default_rng(3).random((40, 50)) < density)
    assert found.areas[found.largest_first()].tolist() == flooded(found.labels > 0)


def test_a_component_that_ends_a_row_does_not_touch_one_that_starts_the_next() -> None:
    assert components(drawn("..#", "#..")).largest_first() == [1, 2]


def test_components_that_are_too_small_are_left_out() -> None:
    found = components(drawn("#.##", "....", "###."))
    assert found.largest_first(least_px=2) == [3, 2]
    assert [box.as_tuple() for box in found.boxes(least_px=3)] == [(0, 2, 3, 3)]


@given(masks)
def test_components_are_disjoint_and_cover_the_mask(mask: BinaryMask) -> None:
    found = components(mask)
    parts = [found.mask_of([number]) for number in found.largest_first()]
    assert [int(part.sum()) for part in parts] == flooded(mask)
    assert (sum(part.astype(int) for part in parts) == mask.astype(int)).all()
    assert (found.mask_of(found.largest_first()) == mask).all()


@given(masks)
def test_filled_masks_grow_and_stay_filled(mask: BinaryMask) -> None:
    filled = fill_holes(mask)
    assert not (mask & ~filled).any()
    assert (fill_holes(filled) == filled).all()


@pytest.mark.parametrize(
    ("rows", "filled"),
    [
        (["####", "#..#", "####"], ["####", "####", "####"]),
        (["####", "...#", "####"], ["####", "...#", "####"]),
        ([".###", "#..#", "####"], [".###", "#..#", "####"]),
        (["#####", "#...#", "#.#.#", "#...#", "#####"], ["#####"] * 5),
    ],
    ids=["hole", "bay", "open over a corner", "island in a hole"],
)
def test_a_hole_is_filled_and_a_bay_is_not(rows: list[str], filled: list[str]) -> None:
    assert (fill_holes(drawn(*rows)) == drawn(*filled)).all()

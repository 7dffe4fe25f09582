import numpy as np
import pytest

from segmenter.training.components import Component, components


def flooded(mask):
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
    ("picture", "expected"),
    [
        (["...", "..."], []),
        (["###"], [Component(0, 0, 3, 1, 3)]),
        (["#..", ".#.", "..#"], [Component(0, 0, 3, 3, 3)]),
        (["#.#", "#.#", "###"], [Component(0, 0, 3, 3, 7)]),
        (["##.#", "##..", "...."], [Component(0, 0, 2, 2, 4), Component(3, 0, 4, 1, 1)]),
        (["##", "..", "##"], [Component(0, 0, 2, 1, 2), Component(0, 2, 2, 3, 2)]),
    ],
    ids=["empty", "row", "diagonal", "horseshoe", "two, largest first", "two, upper first"],
)
def test_pieces_are_found_with_box_and_area(picture, expected):
    mask = np.array([[letter == "#" for letter in row] for row in picture])
    assert components(mask) == expected


@pytest.mark.parametrize("density", [0.2, 0.4, 0.6])
def test_pieces_are_those_a_flood_fill_finds(density):
    mask = np.random.default_rng(3).random((40, 50)) < density
    assert [piece.area for piece in components(mask)] == flooded(mask)


def test_a_piece_that_ends_a_row_does_not_touch_one_that_starts_the_next():
    mask = np.array([[False, False, True], [True, False, False]])
    assert len(components(mask)) == 2

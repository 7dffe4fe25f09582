import numpy as np
import pytest

from benchmarks.evaluation.surfaces import (
    TOLERANCE,
    OutlineDistances,
    hd95,
    outline,
    outline_distances,
    surface_dice,
)


def block(rows, columns, shape=(32, 40)):
    mask = np.zeros(shape, dtype=np.bool_)
    mask[slice(*rows), slice(*columns)] = True
    return mask


def measure(found, target, spacing=None):
    distances = outline_distances(found, target, spacing)
    return hd95(distances), surface_dice(distances)


def by_all_pairs(found, target, spacing):
    def points(mask):
        padded = np.pad(mask, 1)
        inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        return np.argwhere(mask & ~inside) * np.array(spacing)

    first, second = points(found), points(target)
    table = np.sqrt(((first[:, None] - second[None]) ** 2).sum(axis=2))
    return table.min(axis=1), table.min(axis=0)


def test_the_tolerance_is_two():
    assert TOLERANCE == 2.0


def test_the_outline_of_a_mask_that_fills_the_image_is_its_frame():
    assert int(outline(np.ones((4, 5), dtype=np.bool_)).sum()) == 14


def test_a_hole_has_an_outline_of_its_own():
    ring = block((1, 6), (1, 6), (7, 7))
    ring[3, 3] = False
    assert int(outline(ring).sum()) == 16 + 4


@pytest.mark.parametrize(
    ("place", "spacing", "expected"),
    [
        pytest.param((4, 8), None, (3.0, 0.0), id="three columns away, in pixels"),
        pytest.param((4, 8), (1.0, 2.0), (6.0, 0.0), id="three columns of 2 mm"),
        pytest.param((7, 5), (0.5, 2.0), (1.5, 1.0), id="three rows of half a mm"),
        pytest.param((4, 7), None, (2.0, 1.0), id="exactly the tolerance away"),
        pytest.param((7, 9), None, (5.0, 0.0), id="three rows and four columns"),
    ],
)
def test_two_masks_of_one_pixel_are_as_far_apart_as_their_centres(place, spacing, expected):
    row, column = place
    first = block((4, 5), (5, 6))
    second = block((row, row + 1), (column, column + 1))
    assert measure(first, second, spacing) == pytest.approx(expected)


@pytest.mark.parametrize(
    "mask",
    [block((4, 10), (5, 20)), block((0, 32), (0, 40)), block((0, 1), (39, 40))],
    ids=["inside", "whole image", "corner pixel"],
)
def test_a_mask_is_at_distance_0_from_itself(mask):
    assert measure(mask, mask, (0.7, 0.3)) == (0.0, 1.0)


def test_masks_that_touch_the_border_are_measured_along_it_too():
    # Outlines of 56 and 62 pixels. 3 pixels away are rows 3 to 6 of the first's right side and all
    # ten rows of the second's, corners included: 14 of 118.
    found, target = block((0, 10), (0, 20)), block((0, 10), (0, 23))
    assert measure(found, target) == pytest.approx((3.0, 104 / 118))


def test_the_percentile_is_interpolated_and_the_worse_direction_counts():
    one_far = np.array([0.0] * 10 + [10.0])
    near = np.array([1.0])
    assert hd95(OutlineDistances(to_target=near, to_found=one_far)) == pytest.approx(5.0)
    assert hd95(OutlineDistances(to_target=one_far, to_found=near)) == pytest.approx(5.0)


def test_surface_dice_weighs_both_outlines_by_their_pixels():
    distances = OutlineDistances(to_target=np.array([0.0, 2.0, 2.1]), to_found=np.array([9.0]))
    assert surface_dice(distances) == pytest.approx(2 / 4)
    assert surface_dice(distances, tolerance=9.0) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_distances_are_those_between_all_pairs_of_outline_pixels(seed):
    random = np.random.default_rng(seed)
    found, target = random.random((2, 14, 18)) < 0.3
    spacing = (0.8, 1.7)
    measured = outline_distances(found, target, spacing)
    expected = by_all_pairs(found, target, spacing)
    np.testing.assert_allclose(measured.to_target, expected[0])
    np.testing.assert_allclose(measured.to_found, expected[1])


def test_empty_surroundings_change_nothing():
    found, target = block((0, 9), (0, 7), (12, 12)), block((3, 12), (2, 12), (12, 12))
    surroundings = ((9, 5), (3, 14))
    assert measure(np.pad(found, surroundings), np.pad(target, surroundings)) == measure(
        found, target
    )


@pytest.mark.parametrize("swap", [False, True])
def test_an_empty_mask_has_no_distance(swap):
    masks = [block((0, 0), (0, 0)), block((4, 10), (5, 20))]
    with pytest.raises(ValueError, match="empty mask"):
        outline_distances(*(reversed(masks) if swap else masks))

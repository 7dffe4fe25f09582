import numpy as np
import pytest

from segmenter.formats.grid import measure_grid


def grid(*columns: tuple[float, float, float]) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.array(columns).T
    return affine


def test_a_straight_grid_is_measured_by_its_sides() -> None:
    sizes = measure_grid(grid((-0.7, 0, 0), (0, -0.9, 0), (0, 0, 3)))
    assert sizes[:4] == pytest.approx((0.7, 0.9, 3.0, 3.0))
    assert sizes.voxel_ml == pytest.approx(0.00189)
    assert (sizes.shear_degrees, sizes.skew_degrees, sizes.shear_rule) == (0.0, 0.0, None)


def test_a_tilted_gantry_makes_steps_longer_than_distances() -> None:
    shift = 3 * np.tan(np.radians(20))
    sizes = measure_grid(grid((0.7, 0, 0), (0, 0.9, 0), (0, shift, 3)))
    assert (sizes.slice_mm, sizes.step_mm) == pytest.approx((3.0, 3 / np.cos(np.radians(20))))
    assert sizes.voxel_ml == pytest.approx(0.00189)
    assert sizes.shear_rule == "the grid is sheared by 20.0 degrees"


def test_columns_that_lean_make_smaller_voxels() -> None:
    lean = np.radians(10)
    sizes = measure_grid(grid((1, 0, 0), (np.sin(lean), np.cos(lean), 0), (0, 0, 2)))
    assert (sizes.column_mm, sizes.row_mm, sizes.slice_mm) == pytest.approx((1.0, 1.0, 2.0))
    assert sizes.voxel_ml == pytest.approx(0.002 * np.cos(lean))
    assert sizes.shear_rule == "the grid is sheared by 10.0 degrees within its frames"


def test_an_oblique_grid_is_not_sheared_however_its_cosines_are_rounded() -> None:
    angle = np.radians(33)
    cosine, sine = round(float(np.cos(angle)), 3), round(float(np.sin(angle)), 3)
    sizes = measure_grid(grid((0.5, 0, 0), (0, cosine, sine), (0, -2 * sine, 2 * cosine)))
    assert sizes.shear_rule is None
    longer = grid((0.5, 0, 0), (0, cosine, sine), (0, -2 * sine, 2 * cosine + 1e-3))
    assert measure_grid(longer.astype(np.float32).astype(np.float64)).shear_rule is None


def test_a_mirrored_grid_has_the_same_sizes() -> None:
    straight = measure_grid(grid((0.7, 0, 0), (0, 0.9, 0), (0, 0, 3)))
    assert measure_grid(grid((0.7, 0, 0), (0, 0.9, 0), (0, 0, -3))) == straight

"""The longest diameter through a volume: by hand, and of all voxels' corners."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist

from segmenter.contract import Line3d, Spacing
from segmenter.measures.outline import hull_corners
from segmenter.measures.volume import longest_diameter


def diameter(labels, spacing: Spacing, slice_mm: float) -> Line3d:
    corners = [(index, hull_corners(mask)) for index, mask in enumerate(labels) if mask.any()]
    return longest_diameter(corners, spacing, slice_mm)


def test_a_block_is_as_long_as_its_diagonal_through_all_slices():
    labels = np.zeros((5, 10, 10), bool)
    labels[1:4, 2:6, 3:7] = True
    spacing = Spacing(row_mm=0.5, column_mm=1.0, source="PixelSpacing")
    # 3 slices of 4 mm, 4 rows of 0.5 mm, 4 columns of 1 mm.
    found = diameter(labels, spacing, 4.0)
    assert found.mm == pytest.approx(np.sqrt(12**2 + 2**2 + 4**2))
    assert {found.start[2], found.end[2]} == {1, 4}
    assert {found.start[0], found.end[0]} == {3, 7}
    assert {found.start[1], found.end[1]} == {2, 6}


def test_one_slice_is_as_thick_as_slices_are_apart():
    labels = np.zeros((3, 4, 4), bool)
    labels[1, 1, 1:4] = True
    spacing = Spacing(row_mm=1.0, column_mm=1.0, source="PixelSpacing")
    assert diameter(labels, spacing, 5.0).mm == pytest.approx(np.sqrt(3**2 + 1 + 5**2))


def test_frames_between_without_a_mask_are_spanned():
    labels = np.zeros((4, 2, 2), bool)
    labels[0, 0, 0] = labels[3, 0, 0] = True
    spacing = Spacing(row_mm=1.0, column_mm=1.0, source="PixelSpacing")
    assert diameter(labels, spacing, 2.0).mm == pytest.approx(np.sqrt(8**2 + 1 + 1))


@given(
    labels=arrays(bool, st.tuples(*[st.integers(1, 5)] * 3)).filter(np.any),
    sizes=st.tuples(*[st.floats(0.2, 6)] * 3),
)
@settings(max_examples=100, deadline=None)
def test_the_diameter_equals_the_largest_distance_of_any_two_corners(labels, sizes):
    slice_mm, row_mm, column_mm = sizes
    found = diameter(
        labels, Spacing(row_mm=row_mm, column_mm=column_mm, source="PixelSpacing"), slice_mm
    )
    voxels = np.argwhere(labels)
    corners = np.concatenate([voxels + step for step in product((0, 1), repeat=3)])
    assert found.mm == pytest.approx(pdist(corners * sizes).max())
    between = (np.subtract(found.end, found.start) * (column_mm, row_mm, slice_mm)) ** 2
    assert found.mm == pytest.approx(np.sqrt(between.sum()))

"""Positions written with few digits: what rounding explains comes before gaps and tilt."""

from typing import Any

import numpy as np
import pytest

from segmenter.errors import MixedFiles
from tests.segmenter.formats.dicom.series.build import one_slice
from tests.segmenter.formats.dicom.series.test_series import opened


def in_whole_millimetres(count: int, step: float, **tags: Any) -> list[bytes]:
    """Slices whose positions have no digit behind the point."""
    return [one_slice(round(step * index), **tags) for index in range(count)]


@pytest.mark.parametrize(
    ("count", "step", "tags"),
    [
        (40, 1.5, {}),
        (12, 1.5, {}),
        (20, 2.5, {}),
        (30, 1.2, {}),
        (40, 1.5, {"SliceThickness": "1.5"}),
        (6, 1.5, {"SpacingBetweenSlices": "1.5", "SliceThickness": "1"}),
        (6, 1.5, {"SliceThickness": "1.5"}),
        (8, 1.2, {"SpacingBetweenSlices": "1.2"}),
        (10, 2.5, {"SliceThickness": "2.5"}),
    ],
)
def test_slices_in_whole_millimetres_are_even_if_rounding_explains_them(
    count: int, step: float, tags: dict[str, str]
) -> None:
    frames = opened(in_whole_millimetres(count, step, **tags))
    assert frames.geometry.slice_mm == pytest.approx(step, abs=0.03)
    assert "positions even within" in frames.rendering
    assert "missing" not in frames.rendering
    assert frames.source.places is None


@pytest.mark.parametrize("tags", [{"SliceThickness": "1"}, {"SliceThickness": "3"}, {}])
@pytest.mark.parametrize("missing", [{7}, {4, 13}])
def test_gaps_in_whole_millimetres_stay_gaps(missing: set[int], tags: dict[str, Any]) -> None:
    kept = [index for index in range(20) if index not in missing]
    frames = opened([one_slice(index, **tags) for index in kept])
    assert frames.geometry.slice_mm == 1.0
    assert frames.source.places == tuple(kept)


def test_gaps_at_regular_places_stay_gaps_where_the_thickness_says_so() -> None:
    kept = [index for index in range(24) if index % 4 != 3]
    frames = opened([one_slice(index, SliceThickness="1") for index in kept])
    assert frames.source.places == tuple(kept)


@pytest.mark.parametrize(
    "positions", [[0, 2, 4, 6, 8, 11, 12, 14], [0, 3, 6, 9, 13, 16], [0, 5, 10, 15, 21, 27]]
)
def test_one_slice_off_in_whole_millimetres_is_still_refused(positions: list[int]) -> None:
    with pytest.raises(MixedFiles, match="uneven"):
        opened([one_slice(z) for z in positions])


@pytest.mark.parametrize(
    ("count", "step", "digits"), [(2, 0.7, 1), (3, 1.0, 1), (10, 3.0, 1), (2, 5.0, 1), (3, 1.0, 2)]
)
@pytest.mark.parametrize("degrees", [20, 37, 45])
def test_a_straight_stack_is_not_sheared_by_the_rounding_of_its_positions(
    count: int, step: float, digits: int, degrees: int
) -> None:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    start, normal = np.array([-10.12345, 33.3, 7.0]), np.array([0.0, -sine, cosine])
    files = [
        one_slice(
            0,
            ImagePositionPatient=[f"{each:.{digits}f}" for each in start + normal * step * index],
            ImageOrientationPatient=["1", "0", "0", "0", f"{cosine:.6f}", f"{sine:.6f}"],
        )
        for index in range(count)
    ]
    frames = opened(files)
    assert "sheared" not in frames.rendering
    assert frames.geometry.step_mm == pytest.approx(frames.geometry.slice_mm)
    assert frames.geometry.slice_mm == pytest.approx(step, abs=2 * 10.0**-digits)


def test_a_tilted_stack_of_few_digits_stays_tilted() -> None:
    tan = np.tan(np.radians(12))
    files = [one_slice(3 * index, y=f"{3 * index * tan:.1f}") for index in range(6)]
    assert "the grid is sheared by 12" in opened(files).rendering

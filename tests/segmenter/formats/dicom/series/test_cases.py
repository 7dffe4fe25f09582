"""Inputs that came out wrong once, with the right value of each."""

from collections.abc import Callable

import numpy as np
import pytest

from segmenter.errors import InvalidPrompt
from segmenter.formats.limits import Limits
from segmenter.formats.sequences import open_frames
from tests.paths import SHARED
from tests.segmenter.formats.build import shown_values
from tests.segmenter.formats.dicom.series.test_series import opened

Case = Callable[[str], list[bytes]]


@pytest.fixture
def case() -> Case:
    def read(name: str) -> list[bytes]:
        folder = SHARED / "cases" / name
        if not folder.exists():
            pytest.skip(f"no folder {folder} (set MEDSAM3_SHARED)")
        return [path.read_bytes() for path in sorted(folder.glob("*.dcm"))]

    return read


def test_two_series_are_never_one_volume(case: Case) -> None:
    files = case("two_series_merged")
    with pytest.raises(
        InvalidPrompt,
        match=r"1: MR, 2 slices of 128 x 96 \([\d.]+ x [\d.]+ mm\), such as file \d; 2: MR, 2",
    ):
        opened(files)
    spacings = []
    for series in ("1", "2"):
        frames = opened(files, series=series)
        assert frames.geometry.spacing is not None
        spacings.append((frames.geometry.spacing.row_mm, frames.geometry.spacing.column_mm))
        assert frames.count == 2
    assert sorted(spacings) == [(0.9, 0.7), (1.8, 1.4)]


def test_a_step_of_five_eighths_in_hundredths_is_even(case: Case) -> None:
    frames = opened(case("even_series_refused_0.625_2digits"))
    assert frames.count == 10
    assert frames.geometry.slice_mm == pytest.approx(0.625, abs=1e-6)


def test_a_gantry_tilt_of_20_degrees_is_told_and_exact(case: Case) -> None:
    frames = opened(case("gantry_tilt_20"))
    assert frames.geometry.voxel_ml == pytest.approx(0.00189)
    assert frames.geometry.slice_mm == pytest.approx(3.0)
    assert "sheared by 20.0 degrees" in frames.rendering
    assert frames.source.affine is not None
    for k in range(5):
        there = (frames.source.affine @ [80, 30, k, 1])[:3] * (-1, -1, 1)
        assert np.allclose(there, (16, -3 + 1.09191 * k, 12 + 3 * k), atol=1e-3)


def test_a_single_slice_is_as_thick_as_it_says(case: Case) -> None:
    assert opened(case("single_slice_thickness5")).geometry.slice_mm == 5.0


def test_frames_of_other_slopes_show_the_same(case: Case) -> None:
    """Odd frames hold ten times the values at a tenth of the slope."""
    pixels = shown_values(open_frames(case("enhanced_per_frame_slope"), Limits())).astype(int)
    assert np.ptp(np.median(pixels, axis=(1, 2))) <= 2


def test_interleaved_frames_are_sorted(case: Case) -> None:
    frames = opened(case("enhanced_interleaved"))
    heights = [origin.position_mm[2] for origin in frames.origins if origin.position_mm]
    assert heights == [12.0 + 3 * k for k in range(12)]
    assert [origin.frame for origin in frames.origins] == [1, 7, 2, 8, 3, 9, 4, 10, 5, 11, 6, 12]

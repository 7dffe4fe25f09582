import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmenter.formats.grey_levels import (
    FULL_RANGE,
    PERCENTILES,
    Ramp,
    bands,
    exact_window,
    in_bands,
    linear_window,
    percentile_ramp,
    ramp,
    sigmoid,
)

finite = st.floats(allow_nan=False, allow_infinity=False)


def test_the_linear_window_follows_the_standards_example() -> None:
    # PS3.3, C.11.2.1.2.1: c=2048, w=4096 becomes: below 0 is black, above 4095 is white.
    assert linear_window(2048, 4096) == Ramp(0.0, 4095.0)
    assert linear_window(2048, 1) == Ramp(2047.5, 2047.5)
    assert linear_window(0, 100) == Ramp(-50.0, 49.0)


def test_the_exact_window_is_symmetric_about_its_center() -> None:
    assert exact_window(40, 400) == Ramp(-160.0, 240.0)


def test_a_ramp_goes_from_black_to_white_and_no_further() -> None:
    values = np.array([-10.0, 0.0, 50.0, 100.0, 1000.0, np.nan])
    assert ramp(values, 0.0, 100.0).tolist() == [0, 0, 128, 255, 255, 0]


def test_a_ramp_without_width_is_a_step() -> None:
    assert ramp(np.array([1.0, 2.0, 3.0]), 2.0, 2.0).tolist() == [0, 0, 255]


@given(st.lists(finite, min_size=1, max_size=20), finite, finite)
def test_a_ramp_never_turns_brighter_into_darker(
    values: list[float], low: float, high: float
) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        grey = ramp(np.sort(np.array(values)), low / 2, high / 2)
    assert (np.diff(grey.astype(int)) >= 0).all()


def test_the_sigmoid_is_half_way_at_its_center_and_saturates_without_overflow() -> None:
    grey = sigmoid(np.array([-1e9, 100.0, 1e9]), 100.0, 10.0)
    assert grey.tolist() == [0, 128, 255]


def test_percentiles_leave_outliers_out() -> None:
    values = np.concatenate([np.arange(1000), [60_000]])
    (low, high), rule = percentile_ramp(values, values)
    assert rule == PERCENTILES
    assert 0 < low < 10
    assert 990 < high < 1000


@pytest.mark.parametrize("picture", [[7, 7, 7], []])
def test_without_percentiles_the_whole_range_is_taken(picture: list[int]) -> None:
    everything = np.array([0, 7, 7, 7])
    assert percentile_ramp(np.array(picture), everything) == (Ramp(0.0, 7.0), FULL_RANGE)


def test_bands_cover_every_row_once() -> None:
    for shape in ((1, 9_000_000), (7, 1_000_000), (5, 3), (9, 500_000, 3)):
        rows = [row for band in bands(shape) for row in range(*band.indices(shape[0]))]
        assert rows == list(range(shape[0]))


def test_a_rule_in_bands_equals_the_rule_at_once() -> None:
    values = np.random.default_rng(0).normal(size=(2100, 2000))
    expected = ramp(values, -1.0, 1.0)
    assert np.array_equal(in_bands(values, lambda band: ramp(band, -1.0, 1.0)), expected)

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drawing.layout import Size
from agent.drawing.scale_bar import MAX_SHARE, round_length, scale_bar
from segmenter.contract import Spacing

CANVAS = Size(800, 600)


def spacing(row_mm: float, column_mm: float) -> Spacing:
    return Spacing(row_mm=row_mm, column_mm=column_mm, source="PixelSpacing")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(1.0, 1.0), (1.99, 1.0), (2.0, 2.0), (4.9, 2.0), (50.0, 50.0), (99.0, 50.0), (0.03, 0.02)],
)
def test_a_length_is_round(limit: float, expected: float) -> None:
    assert round_length(limit) == pytest.approx(expected)


@given(st.floats(1e-6, 1e6))
def test_the_next_round_length_would_be_too_long(limit: float) -> None:
    length = round_length(limit)
    assert length <= limit * 1.000001
    assert length * 2.5 > limit * 0.999999
    first = length / 10.0 ** math.floor(math.log10(length * 1.000001))
    assert min(abs(first - step) for step in (1, 2, 5)) < 1e-6


@pytest.mark.parametrize(
    ("image", "pixel_mm", "mm", "px"),
    [
        pytest.param(Size(800, 600), 0.5, 100.0, 200, id="drawn as it is"),
        pytest.param(Size(400, 300), 0.5, 50.0, 200, id="enlarged twice"),
        pytest.param(Size(1600, 1200), 0.3, 100.0, 167, id="reduced to half"),
        pytest.param(Size(800, 600), 0.00025, 0.05, 200, id="a microscope"),
    ],
)
def test_a_bar_is_as_long_as_its_millimetres(
    image: Size, pixel_mm: float, mm: float, px: int
) -> None:
    bar = scale_bar(spacing(pixel_mm, pixel_mm), image, CANVAS)
    assert (bar.mm, bar.across_px, bar.down_px) == (pytest.approx(mm), px, None)
    assert bar.text == f"{mm:g} mm"
    assert bar.across_px <= MAX_SHARE * CANVAS.width


def test_pixels_that_are_not_square_have_an_arm_for_each_direction() -> None:
    bar = scale_bar(spacing(2.0, 0.5), CANVAS, CANVAS)
    assert (bar.mm, bar.across_px, bar.down_px) == (100.0, 200, 50)
    bar = scale_bar(spacing(0.5, 2.0), CANVAS, CANVAS)
    assert (bar.mm, bar.across_px, bar.down_px) == (50.0, 25, 100)


def test_a_rounded_size_of_the_drawing_does_not_make_pixels_oblong() -> None:
    bar = scale_bar(spacing(0.5, 0.5), Size(4000, 120), Size(1520, 45))
    assert bar.down_px is None

"""Measures of masks: shapes worked out by hand, and every other shape the slow way."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import perimeter_crofton, regionprops

from segmenter.contract import BinaryMask, Length, PixelValues, Spacing
from segmenter.measures.mask import measure
from segmenter.measures.perimeter import crofton
from tests.segmenter.measures import brute

SQUARE = Spacing(row_mm=0.5, column_mm=0.5, source="PixelSpacing")
FLAT = Spacing(row_mm=2.0, column_mm=0.5, source="PixelSpacing")
SPACINGS = st.floats(0.1, 5.0).map(lambda side: round(side, 3))


def masks(side: int) -> st.SearchStrategy[BinaryMask]:
    shapes = st.tuples(st.integers(1, side), st.integers(1, side))
    return arrays(bool, shapes).filter(lambda mask: bool(mask.any()))


def drawn(*rows: str) -> BinaryMask:
    return np.array([[letter == "#" for letter in row] for row in rows])


def rectangle(height: int, width: int, *, shape: tuple[int, int] = (64, 64)) -> BinaryMask:
    mask = np.zeros(shape, bool)
    mask[10 : 10 + height, 20 : 20 + width] = True
    return mask


def disc(radius: float, side: int) -> BinaryMask:
    y, x = np.mgrid[:side, :side] + 0.5
    return np.asarray(np.hypot(y - side / 2, x - side / 2) <= radius)


def mm(length: Length) -> float:
    assert length.mm is not None
    return length.mm


def test_a_rectangle_is_as_long_as_its_diagonal_and_as_short_as_the_chord_across_it():
    found = measure(rectangle(30, 40))
    assert found.area_px == 1200
    assert (found.width.px, found.height.px) == (40, 30)
    # 3:4:5; across the diagonal, from a corner of it to the long side.
    assert found.longest.px == 50
    assert found.short.px == pytest.approx(50 * 30 / 40)
    assert {found.longest.start, found.longest.end} in (
        {(20, 10), (60, 40)},
        {(60, 10), (20, 40)},
    )
    assert found.centroid == (40, 25)
    assert found.equivalent_diameter.px == pytest.approx(math.sqrt(4 * 1200 / math.pi))
    assert found.picture_share == 1200 / 64**2
    assert (found.edge_distance.px, found.touches_edge) == (4, False)
    assert (found.pieces, found.image_side) == (1, "right")


def test_without_a_spacing_nothing_is_in_millimetres():
    found = measure(rectangle(3, 4))
    assert found.area_mm2 is None
    assert found.spacing_source is None
    lengths = (found.longest, found.short, found.width, found.height, found.perimeter)
    assert {each.mm for each in (*lengths, found.equivalent_diameter, found.edge_distance)} == {
        None
    }


def test_square_pixels_scale_every_length_alike():
    found = measure(rectangle(30, 40), SQUARE)
    assert (found.area_mm2, found.spacing_source) == (300, "PixelSpacing")
    lengths = (found.longest, found.short, found.width, found.height, found.perimeter)
    for length in (*lengths, found.equivalent_diameter, found.edge_distance):
        assert mm(length) == pytest.approx(length.px / 2)


def test_pixels_that_are_not_square_are_measured_where_they_lie():
    """10 x 40 pixels of 2.0 x 0.5 mm: a square of 20 mm, though four times as wide in pixels."""
    found = measure(rectangle(10, 40), FLAT)
    assert (mm(found.width), mm(found.height), found.area_mm2) == (20, 20, 400)
    assert mm(found.longest) == pytest.approx(20 * math.sqrt(2))
    # The other diagonal: across it in the body, not in the picture.
    assert mm(found.short) == pytest.approx(20 * math.sqrt(2))
    assert found.longest.px == pytest.approx(math.hypot(40, 10))
    # The upper edge is 10 rows of 2 mm away, the left one 20 columns of 0.5 mm.
    assert (found.edge_distance.px, mm(found.edge_distance)) == (4, 2)


def test_the_longest_diameter_may_be_another_one_in_millimetres_than_in_pixels():
    """A cross of 20 columns and 8 rows, each row as thick as four columns."""
    cross = np.zeros((8, 20), bool)
    cross[:, 9:11] = True
    cross[3:5] = True
    assert measure(cross).longest.px == pytest.approx(math.hypot(20, 2))
    found = measure(cross, FLAT)
    assert mm(found.longest) == pytest.approx(math.hypot(8 * 2.0, 2 * 0.5))
    assert found.longest.px == pytest.approx(math.hypot(8, 2))


def test_a_disc_is_as_wide_as_it_is_long_and_as_round_as_a_circle():
    found = measure(disc(30, 80), SQUARE)
    # Between outer corners of pixels whose middles are in the circle.
    assert found.longest.px == pytest.approx(60, abs=1.5)
    assert found.short.px == pytest.approx(60, abs=1.5)
    assert found.equivalent_diameter.px == pytest.approx(60, abs=0.5)
    assert mm(found.perimeter) == pytest.approx(math.pi * 30, rel=0.01)
    assert found.circularity == pytest.approx(1, abs=0.02)
    assert (found.centroid, found.image_side) == ((40, 40), "middle")


def test_an_ellipse_of_flat_pixels_is_a_circle_of_the_body():
    y, x = np.mgrid[:40, :160] + 0.5
    ellipse = np.hypot((y - 20) * FLAT.row_mm, (x - 80) * FLAT.column_mm) <= 30
    found = measure(ellipse, FLAT)
    assert mm(found.longest) == pytest.approx(60, abs=3)
    assert mm(found.perimeter) == pytest.approx(math.pi * 60, rel=0.03)
    assert found.circularity == pytest.approx(1, abs=0.05)


def test_one_pixel_is_one_wide_and_its_diagonal_long():
    found = measure(drawn("...", ".#.", "..."), FLAT)
    assert (found.area_px, found.width.px, found.height.px, found.pieces) == (1, 1, 1, 1)
    assert found.longest.px == pytest.approx(math.sqrt(2))
    assert mm(found.longest) == pytest.approx(math.hypot(2.0, 0.5))
    assert found.centroid == (1.5, 1.5)
    assert found.circularity == 1


def test_a_line_is_one_pixel_thick():
    found = measure(drawn("##########"))
    assert found.longest.px == pytest.approx(math.sqrt(101))
    # Across the diagonal of 1 x 10 the chord leans by one in ten.
    assert found.short.px == pytest.approx(math.sqrt(101) / 10)
    assert found.edge_distance.px == 0
    assert found.touches_edge


def test_the_short_axis_of_an_l_may_cross_the_air_between_its_arms():
    mask = drawn(
        "#.....",
        "#.....",
        "#.....",
        "######",
    )
    found = measure(mask)
    # From the tip of one arm to that of the other, and from the corner to that line's other side.
    assert found.longest.px == pytest.approx(math.hypot(6, 4))
    assert found.short.px == pytest.approx(brute.short(mask))
    assert (found.area_px, found.pieces) == (9, 1)


def test_a_hole_counts_for_area_and_outline_alone():
    full, ring = disc(20, 50), disc(20, 50) & ~disc(10, 50)
    whole, hollow = measure(full), measure(ring)
    assert hollow.area_px == whole.area_px - int(disc(10, 50).sum())
    assert (hollow.longest, hollow.short) == (whole.longest, whole.short)
    assert hollow.perimeter.px == pytest.approx(2 * math.pi * 30, rel=0.02)
    assert (hollow.pieces, hollow.centroid) == (1, whole.centroid)


def test_two_pieces_are_measured_as_one_mask():
    mask = drawn(
        "##......##",
        "##......##",
    )
    found = measure(mask)
    assert (found.pieces, found.area_px) == (2, 8)
    assert found.longest.px == pytest.approx(math.hypot(10, 2))
    assert found.centroid == (5, 1)


def test_pieces_that_share_a_corner_are_one():
    assert measure(drawn("#.", ".#")).pieces == 1


@pytest.mark.parametrize(
    ("mask", "side"),
    [
        pytest.param(drawn("#..."), "left", id="left"),
        pytest.param(drawn("..##"), "right", id="right"),
        pytest.param(drawn(".##."), "middle", id="middle"),
    ],
)
def test_the_side_is_the_half_of_the_picture_that_the_centroid_is_in(mask, side):
    assert measure(mask).image_side == side


def test_values_are_those_under_the_mask_without_padding():
    values = np.array([[10, 20, 30], [40, np.nan, 999]], np.float32)
    mask = drawn("###", "##.")
    found = measure(mask, values=PixelValues(values, "HU")).intensity
    assert found is not None
    assert (found.mean, found.unit) == (25, "HU")
    assert found.std == pytest.approx(math.sqrt(125))


def test_a_mask_of_padding_alone_has_no_values():
    nothing = PixelValues(np.full((1, 2), np.nan, np.float32), "HU")
    assert measure(drawn("##"), values=nothing).intensity is None


def test_an_empty_mask_has_no_measures():
    with pytest.raises(ValueError, match="empty"):
        measure(np.zeros((3, 3), bool))


@given(mask=masks(7), row=SPACINGS, column=SPACINGS)
@settings(max_examples=150, deadline=None)
def test_diameters_perimeter_and_pieces_equal_those_worked_out_the_slow_way(mask, row, column):
    plain = measure(mask)
    assert plain.longest.px == pytest.approx(brute.longest(mask))
    assert plain.short.px == pytest.approx(brute.short(mask), abs=1e-5)
    assert plain.perimeter.px == pytest.approx(brute.crofton(mask))
    assert plain.pieces == brute.pieces(mask)
    sized = measure(mask, Spacing(row_mm=row, column_mm=column, source="PixelSpacing"))
    assert mm(sized.longest) == pytest.approx(brute.longest(mask, column, row))
    assert mm(sized.short) == pytest.approx(brute.short(mask, column, row), abs=1e-5)
    assert mm(sized.perimeter) == pytest.approx(brute.crofton(mask, column, row))


@given(mask=masks(24), row=SPACINGS, column=SPACINGS)
@settings(max_examples=150, deadline=None)
def test_the_rest_equals_what_scikit_image_says(mask, row, column):
    values = np.random.default_rng(1).normal(size=mask.shape).astype(np.float32)
    [region] = regionprops(mask.astype(np.uint8), values, spacing=(row, column))
    spacing = Spacing(row_mm=row, column_mm=column, source="PixelSpacing")
    found = measure(mask, spacing, PixelValues(values, "HU"))
    assert found.area_mm2 == pytest.approx(region.area)
    assert mm(found.equivalent_diameter) == pytest.approx(region.equivalent_diameter_area)
    y, x = region.centroid
    assert found.centroid == pytest.approx((x / column + 0.5, y / row + 0.5))
    assert found.intensity is not None
    assert found.intensity.mean == pytest.approx(region.intensity_mean, abs=1e-6)
    assert found.intensity.std == pytest.approx(region.intensity_std, abs=1e-6)
    assert crofton(mask, 1.0) == pytest.approx(perimeter_crofton(mask, directions=4))


@given(mask=masks(12), spacing=st.sampled_from([None, SQUARE, FLAT]))
@settings(max_examples=150, deadline=None)
def test_a_mirrored_or_moved_mask_measures_the_same(mask, spacing):
    moved = np.pad(mask, ((3, 0), (5, 2)))
    first = measure(mask, spacing)
    for other in (mask[::-1], mask[:, ::-1], moved):
        found = measure(other, spacing)
        for name in ("longest", "short", "perimeter", "width", "height"):
            length, same = getattr(found, name), getattr(first, name)
            assert length.px == pytest.approx(same.px, abs=1e-5) or name in ("longest", "short")
            assert spacing is None or length.mm == pytest.approx(same.mm, abs=1e-5)


@given(mask=masks(16), spacing=st.sampled_from([None, SQUARE, FLAT]))
@settings(max_examples=150, deadline=None)
def test_the_axes_stand_at_a_right_angle_and_end_on_the_outline(mask, spacing):
    found = measure(mask, spacing)
    size = (1.0, 1.0) if spacing is None else (spacing.column_mm, spacing.row_mm)
    along, across = (
        np.subtract(line.end, line.start) * size for line in (found.longest, found.short)
    )
    assert float(along @ across) == pytest.approx(0, abs=1e-4)
    padded = np.pad(mask, 1)
    for x, y in (*ends_of(found.longest), *ends_of(found.short)):
        near = padded[math.floor(y + 1 - 1e-5) :, math.floor(x + 1 - 1e-5) :][:2, :2]
        assert near.any()


def ends_of(line) -> tuple[tuple[float, float], tuple[float, float]]:
    return line.start, line.end

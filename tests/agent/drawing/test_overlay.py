import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from agent.drawing.layout import MAX_SIDE_PX, Size, fit, place_plates, square_region
from agent.drawing.overlay import (
    COLOURS,
    MAX_PLATES,
    LabelledMask,
    Panel,
    colour_name,
    draw_crops,
    draw_overlay,
    draw_sheet,
    png_size,
    render_clean,
)
from segmenter.contract import BinaryMask, Box, RgbImage

CYAN = np.array(COLOURS[0][1])
GREY = np.full((48, 64, 3), 90, dtype=np.uint8)


def rectangle(
    top: int, bottom: int, left: int, right: int, *, shape: tuple[int, int] = (48, 64)
) -> BinaryMask:
    mask = np.zeros(shape, dtype=np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def opened(png: bytes) -> RgbImage:
    picture = Image.open(io.BytesIO(png))
    assert picture.format == "PNG"
    assert picture.mode == "RGB"
    assert picture.info == {}, "metadata travels along"
    return np.asarray(picture)


def has_colour(pixels: RgbImage, colour: np.ndarray) -> BinaryMask:
    return (np.abs(pixels.astype(int) - colour) < 3).all(axis=2)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        pytest.param(64, 48, (768, 576), id="small pictures are enlarged"),
        pytest.param(900, 450, (900, 450), id="what fits stays as it is"),
        pytest.param(4000, 1000, (1024, 256), id="large pictures are reduced"),
        pytest.param(1, 5000, (1, 1024), id="a line keeps one pixel"),
    ],
)
def test_a_canvas_fits_person_and_model(width: int, height: int, expected: tuple[int, int]) -> None:
    assert fit(width, height) == expected


def test_a_clean_picture_has_the_size_of_an_overlay_and_the_image_s_colours() -> None:
    clean = render_clean(GREY)
    assert png_size(clean) == png_size(draw_overlay(GREY, [])) == (768, 576)
    assert (opened(clean) == 90).all()


def test_drawing_is_deterministic() -> None:
    masks = [LabelledMask("M1 tumor", rectangle(10, 30, 10, 40))]
    assert draw_overlay(GREY, masks) == draw_overlay(GREY.copy(), masks)


def test_arguments_are_not_changed() -> None:
    image, mask = GREY.copy(), rectangle(10, 30, 10, 40)
    before = mask.copy()
    draw_overlay(image, [LabelledMask("M1", mask)])
    draw_crops(image, [LabelledMask("M1", mask)])
    assert (image == GREY).all()
    assert (mask == before).all()


def test_a_contour_follows_the_edge_and_leaves_the_inside_visible() -> None:
    pixels = opened(draw_overlay(GREY, [LabelledMask("M1", rectangle(20, 40, 20, 50))]))
    row = pixels[30 * 12]
    coloured = np.flatnonzero(has_colour(row[None], CYAN)[0])
    assert set(coloured) <= {239, 240, 599, 600}
    assert {239, 240} & set(coloured)
    inside = row[35 * 12].astype(int)
    assert np.abs(inside - 90).max() < 25, "the fill hides the texture"


def test_a_contour_has_a_dark_halo_on_a_white_ground() -> None:
    white = np.full((48, 64, 3), 255, dtype=np.uint8)
    pixels = opened(draw_overlay(white, [LabelledMask("M1", rectangle(20, 40, 20, 50))]))
    assert pixels[30 * 12, 236:240].max(axis=1).min() < 120


def test_a_plate_stands_off_its_mask() -> None:
    pixels = opened(draw_overlay(GREY, [LabelledMask("M1", rectangle(20, 40, 20, 50))]))
    plate = has_colour(pixels, CYAN)
    inside = plate[20 * 12 + 3 : 40 * 12 - 3, 20 * 12 + 3 : 50 * 12 - 3]
    assert not inside.any()
    assert plate.sum() > 500


def test_an_empty_list_is_drawn_as_a_plate_that_says_so() -> None:
    nothing = opened(draw_overlay(GREY, []))
    empty = opened(draw_overlay(GREY, [LabelledMask("M1", rectangle(0, 0, 0, 0))]))
    assert (nothing == empty).all()
    changed = (nothing != 90).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert changed.any()
    assert rows.max() < 60
    assert columns.max() < 200


def test_a_single_pixel_is_still_seen_in_a_reduced_picture() -> None:
    image = np.zeros((60, 3000, 3), dtype=np.uint8)
    mask = rectangle(30, 31, 1500, 1501, shape=(60, 3000))
    assert has_colour(opened(draw_overlay(image, [LabelledMask("M1", mask)])), CYAN).any()


def test_a_mask_of_the_whole_frame_is_drawn() -> None:
    full = np.ones((48, 64), dtype=np.bool_)
    assert has_colour(opened(draw_overlay(GREY, [LabelledMask("M1", full)])), CYAN).any()


def test_many_masks_are_all_outlined_but_not_all_named() -> None:
    masks = [
        LabelledMask(
            f"M{n}", rectangle(2 + 4 * (n // 10), 4 + 4 * (n // 10), 6 * (n % 10), 6 * (n % 10) + 3)
        )
        for n in range(MAX_PLATES + 8)
    ]
    pixels = opened(draw_overlay(GREY, masks))
    last = masks[-1].mask
    rows, columns = np.nonzero(last)
    part = pixels[
        rows.min() * 12 - 3 : rows.max() * 12 + 15, columns.min() * 12 - 3 : columns.max() * 12 + 15
    ]
    assert (part != 90).any()


def test_labels_of_any_letters_are_drawn() -> None:
    label = "ü\ud800\x00\n\u2028" + "x" * 300
    assert opened(draw_overlay(GREY, [LabelledMask(label, rectangle(9, 20, 9, 20))])).any()


def test_a_prompt_s_box_is_drawn_dashed() -> None:
    box = Box(x0=10, y0=10, x1=50, y1=40)
    item = LabelledMask("M1", rectangle(20, 30, 20, 30), box)
    row = has_colour(opened(draw_overlay(GREY, [item])), CYAN)[10 * 12 : 10 * 12 + 1]
    assert 0.3 < row[0, 130:590].mean() < 0.7


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 6, 9])
def test_a_sheet_and_crops_stay_within_the_limit(count: int) -> None:
    mask = rectangle(10, 30, 10, 40)
    sheet = draw_sheet(GREY, [Panel(f"M{n}", (mask,)) for n in range(count)])
    crops = draw_crops(GREY, [LabelledMask(f"M{n}", mask) for n in range(count)])
    assert max(png_size(sheet)) <= MAX_SIDE_PX
    assert max(png_size(crops)) <= MAX_SIDE_PX
    assert opened(sheet).any()
    assert opened(crops).any()


def test_every_panel_has_its_own_colour() -> None:
    mask = rectangle(10, 30, 10, 40)
    pixels = opened(draw_sheet(GREY, [Panel(f"M{n}", (mask,)) for n in range(6)]))
    for index in range(6):
        assert has_colour(pixels, np.array(COLOURS[index][1])).sum() > 300
    assert [colour_name(n) for n in range(3)] == ["cyan", "yellow", "magenta"]


def test_a_panel_shows_all_masks_of_its_answer_without_fill() -> None:
    left, right = rectangle(10, 30, 5, 20), rectangle(10, 30, 40, 60)
    one = has_colour(opened(draw_sheet(GREY, [Panel("M0", (left,))])), CYAN).sum()
    both = has_colour(opened(draw_sheet(GREY, [Panel("M0", (left, right))])), CYAN).sum()
    assert both > one
    shown = opened(draw_sheet(GREY, [Panel("M0", (left, right))]))
    assert (shown == 90).all(axis=2).sum() > 0.7 * shown.shape[0] * shown.shape[1]


def test_a_crop_shows_the_raw_pixels_beside_the_outlined_ones() -> None:
    pixels = opened(draw_crops(GREY, [LabelledMask("M1", rectangle(10, 20, 10, 20))]))
    below = pixels[60:]
    half = pixels.shape[1] // 2
    assert not has_colour(below[:, :half], CYAN).any()
    assert has_colour(below[:, half:], CYAN).any()


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param((100, 100, 200, 150), (70, 45, 230, 205), id="grown to a square"),
        pytest.param((0, 0, 10, 10), (0, 0, 48, 48), id="moved inside, not below the least"),
        pytest.param((0, 0, 400, 300), (0, 0, 400, 300), id="cut to the frame"),
        pytest.param((390, 290, 400, 300), (352, 252, 400, 300), id="at the far corner"),
    ],
)
def test_a_crop_region_is_a_square_inside_the_frame(
    box: tuple[float, float, float, float], expected: tuple[int, int, int, int]
) -> None:
    x0, y0, x1, y1 = box
    region = square_region(
        Box(x0=x0, y0=y0, x1=x1, y1=y1), factor=1.6, least_px=48, frame=Size(400, 300)
    )
    assert tuple(region) == expected


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 150), st.integers(0, 100), st.integers(10, 60), st.integers(10, 30)
        ),
        min_size=1,
        max_size=6,
    )
)
def test_plates_lie_on_the_canvas_and_apart(
    items: list[tuple[int, int, int, int]],
) -> None:
    anchors = [Box(x0=x, y0=y, x1=x + 20, y1=y + 20) for x, y, _, _ in items]
    sizes = [Size(width, height) for _, _, width, height in items]
    occupied = np.zeros((240, 320), dtype=np.bool_)
    places = place_plates(occupied, anchors, sizes)
    taken = np.zeros((240, 320), dtype=int)
    for (left, top), size in zip(places, sizes, strict=True):
        assert left >= 0
        assert top >= 0
        assert left + size.width <= 320 + 4
        assert top + size.height <= 240 + 4
        taken[top : top + size.height, left : left + size.width] += 1
    assert taken.max() == 1


def test_images_of_one_pixel_are_drawn() -> None:
    image = np.zeros((1, 1, 3), dtype=np.uint8)
    mask = np.ones((1, 1), dtype=np.bool_)
    assert opened(draw_overlay(image, [LabelledMask("M1", mask)])).any()
    assert opened(draw_sheet(image, [Panel("M1", (mask,))])).any()
    assert opened(draw_crops(image, [LabelledMask("M1", mask)])).any()

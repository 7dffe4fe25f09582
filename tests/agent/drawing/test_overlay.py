import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from agent.drawing.colours import COLOURS, PAPER, colour_name
from agent.drawing.dashes import Line
from agent.drawing.labels import BAR_PX, plain
from agent.drawing.layout import MAX_LONG_SIDE_PX, MAX_SIDE_PX, Size, fit, square_region
from agent.drawing.overlay import (
    MAX_PLATES,
    LabelledMask,
    draw_overlay,
    png_size,
    render_clean,
)
from agent.drawing.placing import place_plates
from agent.drawing.scale_bar import scale_bar
from agent.drawing.sheets import Panel, draw_crops, draw_sheet
from segmenter.contract import BinaryMask, Box, RgbImage, Spacing

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


def texture(shape: tuple[int, int] = (48, 64)) -> RgbImage:
    grey = np.random.default_rng(3).integers(60, 140, (*shape, 1)).astype(np.uint8)
    return np.repeat(grey, 3, axis=2)


def test_the_tint_leaves_nearly_all_of_the_texture() -> None:
    image = texture()
    mask = rectangle(10, 40, 10, 50)
    raw = opened(render_clean(image)).astype(float)[160:440, 160:560]
    tinted = opened(draw_overlay(image, [LabelledMask("M1", mask)])).astype(float)
    kept = tinted[160:440, 160:560].std(axis=(0, 1)) / raw.std(axis=(0, 1))
    assert (kept > 0.88).all()
    for channel in range(3):
        pair = raw[..., channel].ravel(), tinted[160:440, 160:560, channel].ravel()
        assert np.corrcoef(*pair)[0, 1] > 0.999


def top_edge(line: Line) -> BinaryMask:
    """The upper contour of a wide mask, as coloured or not."""
    mask = LabelledMask("M1", rectangle(20, 40, 4, 60), line=line)
    drawn = opened(draw_overlay(GREY, [mask], labels=False))
    return np.asarray(has_colour(drawn, CYAN)[239:241, 60:708].any(axis=0))


@pytest.mark.parametrize(
    ("line", "share", "least_gaps"),
    [("solid", (1.0, 1.0), 0), ("dashed", (0.4, 0.75), 15), ("dotted", (0.15, 0.45), 30)],
)
def test_what_is_in_doubt_has_gaps_in_its_contour(
    line: Line, share: tuple[float, float], least_gaps: int
) -> None:
    drawn = top_edge(line)
    assert share[0] <= drawn.mean() <= share[1]
    assert (np.diff(drawn.astype(int)) == -1).sum() >= least_gaps


def test_a_gap_shows_the_picture_as_it_is_outside_of_the_mask() -> None:
    mask = LabelledMask("M1", rectangle(20, 40, 4, 60), line="dashed")
    drawn = opened(draw_overlay(GREY, [mask], labels=False))
    above = (drawn[238, 60:708] == 90).all(axis=1)
    assert 0.1 < above.mean() < 0.6


def test_without_labels_nothing_is_drawn_off_the_masks() -> None:
    drawn = opened(
        draw_overlay(GREY, [LabelledMask("M1", rectangle(20, 40, 20, 50))], labels=False)
    )
    assert drawn.shape == (576, 768, 3)
    changed = (drawn != 90).any(axis=2)
    changed[20 * 12 - 4 : 40 * 12 + 4, 20 * 12 - 4 : 50 * 12 + 4] = False
    assert not changed.any()
    assert (opened(draw_overlay(GREY, [], labels=False)) == 90).all()


def test_a_detail_is_written_below_a_label() -> None:
    mask = rectangle(20, 40, 20, 50)
    plain_plate = has_colour(opened(draw_overlay(GREY, [LabelledMask("M1", mask)])), CYAN).sum()
    two_lines = LabelledMask("M1", mask, detail="uncertain, 600 px")
    assert has_colour(opened(draw_overlay(GREY, [two_lines])), CYAN).sum() > 1.5 * plain_plate


def bar_of(drawn: RgbImage) -> tuple[int, int]:
    """Width and height of what is drawn in the colour of scale bars, without the letters."""
    paper = has_colour(drawn, np.array(PAPER))
    rows = paper.sum(axis=1)
    bar = np.flatnonzero(paper[int(rows.argmax())])
    columns = paper[:, bar[0]]
    return int(bar.size), int(columns.sum())


@pytest.mark.parametrize(
    ("row_mm", "column_mm", "mm"),
    [(0.5, 0.5, 5.0), (0.1, 0.1, 1.0), (2.0, 0.5, 5.0), (0.25, 0.5, 2.0)],
)
def test_a_scale_bar_is_as_long_as_it_says(row_mm: float, column_mm: float, mm: float) -> None:
    spacing = Spacing(row_mm=row_mm, column_mm=column_mm, source="PixelSpacing")
    drawn = opened(draw_overlay(GREY, [], labels=False, spacing=spacing))
    bar = scale_bar(spacing, Size(64, 48), Size(768, 576))
    assert bar.mm == mm
    # Twelve pixels of the drawing are one of the image.
    across, down = mm / column_mm * 12, mm / row_mm * 12
    assert bar_of(drawn) == (round(across), round(down) if row_mm != column_mm else BAR_PX)


def test_no_scale_bar_is_drawn_without_a_spacing() -> None:
    assert not has_colour(opened(draw_overlay(GREY, [])), np.array(PAPER))[300:].any()


@pytest.mark.parametrize("shape", [(120, 4000), (3000, 90)], ids=["flat", "tall"])
def test_labels_of_flat_and_tall_pictures_stand_whole_beside_them(shape: tuple[int, int]) -> None:
    height, width = shape
    spots = [
        rectangle(round(height * at) + 20, round(height * at) + 50, 30, 60, shape=shape)
        if height > width
        else rectangle(30, 60, round(width * at) + 20, round(width * at) + 50, shape=shape)
        for at in (0.1, 0.4, 0.8)
    ]
    image = np.full((*shape, 3), 90, dtype=np.uint8)
    masks = [
        LabelledMask(f"m{n} right ventricle", mask, detail="uncertain, 40 px")
        for n, mask in enumerate(spots)
    ]
    bare = opened(draw_overlay(image, masks, labels=False))
    named = opened(draw_overlay(image, masks))
    assert max(bare.shape) == MAX_LONG_SIDE_PX
    assert min(bare.shape[:2]) > 60
    changed = (named[: bare.shape[0], : bare.shape[1]] != bare).any(axis=2)
    assert changed.mean() < 0.02, "more than leaders is drawn on the picture"
    for index in range(3):
        colour = np.array(COLOURS[index][1])
        beside = has_colour(named, colour)
        beside[: bare.shape[0], : bare.shape[1]] = False
        rows, columns = np.nonzero(beside)
        assert rows.max() - rows.min() > 30
        assert columns.max() - columns.min() > 150
        assert rows.max() < named.shape[0] - 2
        assert columns.max() < named.shape[1] - 2


def test_letters_that_the_font_lacks_are_told_from_those_it_has() -> None:
    assert plain("Läsion é 息肉") == "Lasion e ??"
    assert len(plain("x" * 300)) == len(plain("息" * 300)) == 32

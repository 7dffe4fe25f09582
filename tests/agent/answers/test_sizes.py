import pytest

from segmenter.contract import Intensity
from tests.agent.answers.scenes import (
    BAR,
    SPACED,
    UNKNOWN_SPACING,
    findings,
    result,
    shown,
    tell,
    thing,
)
from tests.agent.doubles import image_ref, square

POLYP = findings(result("polyp", shown("m1", BAR)))
SPACED_POLYP = findings(result("polyp", shown("m1", BAR, spacing=SPACED.spacing)), image=SPACED)


@pytest.mark.parametrize(
    ("topic", "sentence"),
    [
        (
            "size",
            "polyp (m1): area 200 px, longest diameter 22.4 px, short axis across it 11.2 px.",
        ),
        ("area", "polyp (m1): area 200 px."),
        ("diameter", "polyp (m1): longest diameter 22.4 px, short axis across it 11.2 px."),
        ("width", "polyp (m1): width 20.0 px of the upright box around the mask."),
        ("height", "polyp (m1): height 10.0 px of the upright box around the mask."),
        ("perimeter", "polyp (m1): perimeter 55.8 px along the outline."),
        (
            "volume",
            "A volume cannot be measured on one picture, it needs all slices and their distance."
            " polyp (m1): area 200 px.",
        ),
    ],
)
def test_a_size_is_told_in_pixels_where_the_spacing_is_not_known(topic: str, sentence: str) -> None:
    assert tell(POLYP, topic) == f"{sentence} {UNKNOWN_SPACING}"


@pytest.mark.parametrize("unit", ["mm", "cm"])
def test_no_millimetres_are_told_of_an_unknown_spacing(unit: str) -> None:
    answer = tell(POLYP, "diameter", unit=unit)
    said = "polyp (m1): longest diameter 22.4 px, short axis across it 11.2 px."
    assert answer == f"{said} {UNKNOWN_SPACING}"


@pytest.mark.parametrize(
    ("topic", "unit", "sentence"),
    [
        ("area", None, "area 50.0 mm² (200 px)"),
        ("area", "cm", "area 0.500 cm² (200 px)"),
        ("area", "px", "area 200 px (50.0 mm²)"),
        (
            "diameter",
            None,
            "longest diameter 11.2 mm (22.4 px), short axis across it 5.59 mm (11.2 px)",
        ),
        ("width", "cm", "width 1.00 cm (20.0 px) of the upright box around the mask"),
    ],
)
def test_a_known_spacing_gives_millimetres_with_their_source(
    topic: str, unit: str | None, sentence: str
) -> None:
    answer = tell(SPACED_POLYP, topic, unit=unit)
    assert answer == f"polyp (m1): {sentence}. Pixel spacing by PixelSpacing."


def test_the_spacing_of_a_dicom_file_is_named_as_such() -> None:
    image = image_ref(spacing=SPACED.spacing, format="dicom")
    found = findings(result("polyp", shown("m1", BAR, spacing=SPACED.spacing)), image=image)
    assert tell(found, "area").endswith("Pixel spacing by DICOM PixelSpacing.")


def test_a_size_in_percent_is_a_share_of_the_picture() -> None:
    # 200 of 64 x 64 pixels.
    assert tell(POLYP, "size", unit="percent") == "polyp (m1): 4.88 % of the picture."


def test_a_circle_is_rounder_than_a_bar() -> None:
    answer = tell(POLYP, "circularity")
    assert answer == (
        "polyp (m1): circularity 0.808, from area and perimeter (a perfect circle has one)."
    )


def test_several_masks_are_told_one_by_one_and_areas_together() -> None:
    found = findings(
        result("lungs", shown("m1", BAR, "lungs"), shown("m2", square(40, 8, 60, 20), "lungs"))
    )
    assert tell(found, "area") == (
        "lungs (2 masks): area 440 px together (sum of the masks); m1 area 200 px; m2 area 240 px."
        f" {UNKNOWN_SPACING}"
    )
    assert tell(found, "width").startswith("lungs (2 masks): m1 width 20.0 px of")


def test_many_masks_are_told_by_the_smallest_and_the_largest() -> None:
    squares = [square(8 * number, 0, 8 * number + number, number) for number in range(1, 7)]
    masks = [shown(f"m{number}", mask) for number, mask in enumerate(squares, start=1)]
    # 1 + 4 + 9 + 16 + 25 + 36.
    assert tell(findings(result("nuclei", *masks)), "area") == (
        "nuclei (6 masks): area 91 px together (sum of the masks); from area 1 px (m1) to area"
        f" 36 px (m6). {UNKNOWN_SPACING}"
    )


@pytest.mark.parametrize(
    ("intensity", "words", "said"),
    [
        (
            Intensity(mean=40.25, std=12.5, unit="HU"),
            "mean HU",
            "mean 40.2 HU, spread 12.5 (standard deviation under the mask)",
        ),
        (
            Intensity(mean=101.0, std=0.0, unit="grey level"),
            "",
            "mean grey level 101, spread 0 (standard deviation under the mask)",
        ),
        (
            Intensity(mean=-1012.0, std=3.0, unit="stored value"),
            "mean HU of it",
            "mean stored value -1010, spread 3.00 (standard deviation under the mask); these are no"
            " Hounsfield units, which only a CT file holds",
        ),
        (None, "", "the values of the picture under the mask could not be read"),
    ],
    ids=["hounsfield", "grey", "no-hounsfield", "unread"],
)
def test_values_under_a_mask_are_told_with_their_unit(
    intensity: Intensity | None, words: str, said: str
) -> None:
    found = findings(result("liver", shown("m1", BAR, intensity=intensity)))
    assert tell(found, "intensity", words=words) == f"liver (m1): {said}."


def test_what_is_not_outlined_is_named_and_not_measured() -> None:
    found = findings(result("polyp", shown("m1", BAR)), requests=("how big is the gallstone",))
    answer = tell(found, "size", things=(thing("gallstone", "gallstone"),))
    assert answer == "gallstone: not outlined here, so there is nothing to measure."


def test_nothing_outlined_is_said() -> None:
    nothing = "Nothing is outlined yet, so there is nothing to measure."
    assert tell(findings(), "size") == nothing


def test_a_mask_is_measured_by_its_id() -> None:
    found = findings(result("polyp", shown("m1", BAR), shown("m2", square(0, 0, 3, 3))))
    assert tell(found, "area", masks=("m2",)) == f"polyp (m2): area 9 px. {UNKNOWN_SPACING}"


@pytest.mark.parametrize(
    ("which", "mask_id"),
    [
        ({"rank": "largest", "limit": 1}, "m1"),
        ({"rank": "largest", "nth": 2, "limit": 1}, "m3"),
        ({"rank": "smallest"}, "m2"),
        ({"rank": "topmost"}, "m2"),
        ({"rank": "rightmost"}, "m3"),
        ({"rank": "central"}, "m3"),
        ({"place": "bottom"}, "m3"),
        ({"border": "touching"}, "m2"),
    ],
)
def test_a_question_may_mean_one_of_several(which: dict[str, object], mask_id: str) -> None:
    masks = (BAR, square(0, 0, 3, 3), square(40, 40, 50, 50))
    numbered = [shown(f"m{number}", mask) for number, mask in enumerate(masks, start=1)]
    found = findings(result("polyp", *numbered))
    answer = tell(found, "area", things=(thing("polyp", "polyp", **which),))
    assert answer.startswith("polyp")
    assert f"({mask_id}): area" in answer


def test_a_mask_in_pieces_is_measured_as_one_and_said_to_be() -> None:
    found = findings(result("polyp", shown("m1", BAR | square(0, 40, 10, 50))))
    assert tell(found, "width") == (
        "polyp (m1, 2 pieces): width 24.0 px of the upright box around the mask; over all pieces of"
        f" a mask together. {UNKNOWN_SPACING}"
    )
    assert tell(found, "area") == f"polyp (m1, 2 pieces): area 300 px. {UNKNOWN_SPACING}"


def test_values_of_many_masks_are_those_of_the_darkest_and_the_brightest() -> None:
    masks = [
        shown(f"m{at}", BAR, intensity=Intensity(mean=mean, std=1.0, unit="HU"))
        for at, mean in enumerate((50.0, 10.0, 30.0, 20.0, 40.0), start=1)
    ]
    spread = "spread 1.00 (standard deviation under the mask)"
    assert tell(findings(result("liver", *masks)), "intensity") == (
        f"liver (5 masks): the darkest and the brightest: m2 mean 10.0 HU, {spread}; m1 mean 50.0"
        f" HU, {spread}."
    )

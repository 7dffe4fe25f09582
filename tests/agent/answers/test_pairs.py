import pytest

from agent.schemas.rounds import Status
from agent.schemas.runs import EarlierResult
from tests.agent.answers.scenes import (
    BAR,
    RIGHT_BAR,
    SPACED,
    UNKNOWN_SPACING,
    findings,
    result,
    shown,
    tell,
    thing,
)
from tests.agent.doubles import square

DISC, CUP = thing("disc", "optic disc"), thing("cup", "optic cup")
# 40 high and 30 wide, and 20 x 10 within.
DISC_MASK, CUP_MASK = square(10, 10, 40, 50), square(20, 20, 30, 40)
EYE = findings(
    result("optic disc", shown("m1", DISC_MASK, "optic disc")),
    result("optic cup", shown("m2", CUP_MASK, "optic cup"), key="t2"),
)
LEFT, RIGHT = (thing("lung", "lungs", side=side) for side in ("left", "right"))
SMALLER_RIGHT = square(40, 8, 60, 16)
TWO_LUNGS = findings(
    result(
        "lungs", shown("m1", BAR, "lungs"), shown("m2", SMALLER_RIGHT, "lungs"), frame="patient"
    ),
    requests=("compare left and right lung",),
)
CUP_TO_DISC = (
    "vertical cup to disc ratio 0.50, from the heights of the two masks; area ratio 0.17;"
    " an estimate, not a diagnosis"
)


@pytest.mark.parametrize("find", [(DISC, CUP), (CUP, DISC), ()], ids=["found", "turned", "shown"])
def test_the_cup_to_disc_ratio_is_of_heights_whichever_is_named_first(
    find: tuple[object, ...],
) -> None:
    assert tell(EYE, "ratio", find=find) == f"{CUP_TO_DISC}."  # type: ignore[arg-type]


def test_a_third_thing_does_not_hide_the_pair_that_has_a_named_ratio() -> None:
    vessels = result("retinal vessels", shown("m3", BAR, "retinal vessels"), key="t3")
    more = findings(*EYE.targets, vessels)
    assert tell(more, "ratio") == f"{CUP_TO_DISC}."


def test_a_ratio_with_an_uncertain_mask_says_so() -> None:
    unsure = EYE.targets[1].model_copy(update={"status": Status.UNCERTAIN})
    found = findings(EYE.targets[0], unsure)
    assert tell(found, "ratio") == f"{CUP_TO_DISC}; optic cup is uncertain."


def test_a_ratio_of_other_things_is_of_their_areas() -> None:
    found = findings(
        result("left ventricle", shown("m1", BAR)),
        result("right ventricle", shown("m2", SMALLER_RIGHT), key="t2"),
    )
    # 200 / 160.
    assert tell(found, "ratio") == (
        "area of left ventricle (m1) to right ventricle (m2): ratio 1.25; an estimate, not a"
        " diagnosis."
    )


def test_a_ratio_needs_both_things() -> None:
    found = findings(
        EYE.targets[0], result("optic cup", key="t2", status=Status.NOT_FOUND, reason="none")
    )
    answer = tell(found, "ratio", find=(DISC, CUP))
    assert answer == "optic cup: looked for and not found, so there is nothing to measure."


def test_a_ratio_of_one_thing_says_what_is_there() -> None:
    found = findings(EYE.targets[0])
    assert tell(found, "ratio") == (
        "A ratio is of two things, and outlined here is optic disc (m1) alone."
    )


def test_left_and_right_are_compared_by_the_patients_sides() -> None:
    # The image's right, 160 px, is the patient's left.
    assert tell(TWO_LUNGS, "compare", things=(LEFT, RIGHT)) == (
        "left lung (m2, on the image's right) area 160 px and right lung (m1, on the image's left)"
        " area 200 px: the larger is right lung, by 40 px, 25.0 % of the area of left lung."
        f" {UNKNOWN_SPACING}"
    )


def test_two_pieces_of_one_mask_are_compared_too() -> None:
    both = findings(
        result("lungs", shown("m1", BAR | SMALLER_RIGHT, "lungs"), frame="patient"),
        requests=("compare left and right lung",),
    )
    assert tell(both, "compare", things=(LEFT, RIGHT)) == (
        "left lung (part of m1, on the image's right) area 160 px and right lung (part of m1, on"
        " the image's left) area 200 px: the larger is right lung, by 40 px, 25.0 % of the area of"
        f" left lung. {UNKNOWN_SPACING}"
    )
    assert tell(both, "compare").startswith(
        "lungs on the patient's right (part of m1, on the image's left) area 200 px and lungs on"
        " the patient's left (part of m1, on the image's right) area 160 px"
    )


def test_what_is_equally_large_is_said_to_be() -> None:
    found = findings(
        result("lungs", shown("m1", BAR, "lungs"), shown("m2", RIGHT_BAR, "lungs"), frame="image")
    )
    assert "on the image's left and lungs on the image's right are equally large." in tell(
        found, "compare"
    )


def test_the_largest_of_three_is_compared_with_the_next() -> None:
    third = result("myocardium", shown("m3", square(0, 40, 10, 50)), key="t3")
    answer = tell(findings(*EYE.targets, third), "compare")
    assert "the largest is optic disc, by 1000 px, 500 % of the area of optic cup;" in answer
    assert "the smallest is myocardium." in answer


def test_a_difference_in_area_is_told_in_square_millimetres_where_they_are_known() -> None:
    spacing = SPACED.spacing
    found = findings(
        result(
            "lungs", shown("m1", BAR, spacing=spacing), shown("m2", SMALLER_RIGHT, spacing=spacing)
        ),
        image=SPACED,
    )
    answer = tell(found, "compare")
    assert "by 10.0 mm² (40 px), 25.0 % of the area of" in answer
    assert answer.endswith("Pixel spacing by PixelSpacing.")


INFECTED = findings(
    result("lungs", shown("m1", BAR, "lungs")),
    result("lung infection", shown("m2", square(4, 8, 14, 23), "lung infection"), key="t2"),
    requests=("how much of the lung is affected",),
)
# 10 x 10 of the 150 pixels of the infection are within the 200 of the lungs.
SHARE = (
    "lung infection (m2): 50.0 % of lungs (m1) (pixels of lungs that are also in lung infection);"
    " an estimate, not a diagnosis."
)
LUNGS, INFECTION = thing("lung", "lungs"), thing("infection", "lung infection")


@pytest.mark.parametrize(
    ("find", "things"),
    [((LUNGS, INFECTION), ()), ((), (LUNGS,)), ((), (INFECTION,)), ((), (INFECTION, LUNGS))],
)
def test_a_share_of_a_thing_counts_what_lies_within_it(
    find: tuple[object, ...], things: tuple[object, ...]
) -> None:
    assert tell(INFECTED, "share", find=find, things=things) == SHARE  # type: ignore[arg-type]


def test_a_share_of_the_picture_is_of_all_its_pixels() -> None:
    answer = tell(INFECTED, "share", things=(LUNGS,), words="what share of the picture is lung?")
    assert answer == "lungs (m1): 4.88 % of the picture."
    answer = tell(TWO_LUNGS, "share")
    assert answer == "lungs (2 masks): 8.79 % of the picture together (sum of the masks)."


@pytest.mark.parametrize(
    ("before_px", "said"),
    [
        (250, "area 200 px now, 250 px before: 50 px (20.0 %) less"),
        (160, "area 200 px now, 160 px before: 40 px (25.0 %) more"),
        (200, "area 200 px now, 200 px before: no change"),
    ],
)
def test_a_difference_is_to_what_stood_before_the_last_change(before_px: int, said: str) -> None:
    earlier = EarlierResult(target="t1", masks=("m1",), area_px=before_px)
    found = findings(result("polyp", shown("m3", BAR)), earlier=(earlier,))
    assert tell(found, "difference") == f"polyp (m3): {said}. {UNKNOWN_SPACING}"


def test_without_an_earlier_outline_there_is_no_difference() -> None:
    found = findings(result("polyp", shown("m1", BAR)))
    answer = tell(found, "difference")
    assert (
        answer == f"polyp (m1): area 200 px; there is no earlier outline of it. {UNKNOWN_SPACING}"
    )


def test_two_masks_on_one_side_are_told_apart_by_their_ids() -> None:
    found = findings(result("polyp", shown("m1", BAR), shown("m2", square(0, 40, 10, 50))))
    assert "the larger is m1, by 100 px, 100 % of the area of m2." in tell(found, "compare")


def test_pieces_on_one_side_are_not_compared() -> None:
    found = findings(result("polyp", shown("m1", BAR | square(0, 40, 10, 50))))
    answer = tell(found, "compare")
    assert answer.startswith("polyp (m1, 2 pieces) area 300 px; there is no other to compare with.")


def test_an_affected_share_needs_what_affects_it() -> None:
    answer = tell(TWO_LUNGS, "share", things=(LUNGS,), words="how much of the lung is affected")
    assert answer.startswith("lung infection: not outlined here, so there is nothing to measure.")


def test_the_difference_of_two_things_is_that_of_their_areas() -> None:
    answer = tell(EYE, "difference", things=(DISC, CUP))
    assert "the larger is optic disc, by 1000 px" in answer

import pytest

from agent.answers.findings import Findings
from segmenter.contract import BinaryMask
from tests.agent.answers.scenes import (
    BAR,
    MIDDLE_SQUARE,
    RIGHT_BAR,
    findings,
    result,
    shown,
    tell,
    thing,
)
from tests.agent.doubles import square

TWO_BARS = BAR | RIGHT_BAR
CAVEAT = "This is the middle of the picture, not the anatomical midline."


def one(mask: BinaryMask, frame: str = "image") -> Findings:
    return findings(result("polyp", shown("m1", mask), frame=frame))


@pytest.mark.parametrize(
    ("mask", "frame", "said"),
    [
        (
            BAR,
            "image",
            "in the upper third and the image's left third of the picture, centroid at x 14.0 px,"
            " y 13.0 px from the upper left corner; on the image's left",
        ),
        (
            RIGHT_BAR,
            "patient",
            "in the upper third and the image's right third of the picture, centroid at x 50.0 px,"
            " y 13.0 px from the upper left corner; on the patient's left (the image's right)",
        ),
        (
            MIDDLE_SQUARE,
            "image",
            "in the centre of the picture, centroid at x 32.0 px, y 32.0 px from the upper left"
            " corner; its centroid is on the vertical middle of the picture",
        ),
        (
            square(20, 50, 40, 60),
            "image",
            "in the lower third and the middle third of the picture, centroid at x 30.0 px,"
            " y 55.0 px from the upper left corner; on the image's left by its centroid, and it"
            " reaches over the picture's vertical middle",
        ),
    ],
    ids=["upper-left", "patient", "centre", "over-the-middle"],
)
def test_a_place_is_told_by_thirds_centroid_and_side(
    mask: BinaryMask, frame: str, said: str
) -> None:
    assert tell(one(mask, frame), "place") == f"polyp (m1): {said}."


@pytest.mark.parametrize(
    ("mask", "frame", "words", "answer"),
    [
        (BAR, "image", "is it on the left?", "Yes, polyp (m1): on the image's left."),
        (BAR, "image", "is it on the right?", "No, polyp (m1): on the image's left."),
        (
            BAR,
            "patient",
            "is it on the left?",
            "No, polyp (m1): on the patient's right (the image's left).",
        ),
        (BAR, "image", "left or right?", "polyp (m1): on the image's left."),
        (BAR, "image", "", "polyp (m1): on the image's left."),
    ],
)
def test_a_side_is_the_patients_where_the_picture_has_a_convention(
    mask: BinaryMask, frame: str, words: str, answer: str
) -> None:
    assert tell(one(mask, frame), "side", words=words) == answer


def test_the_side_of_a_question_about_the_side_selects_nothing() -> None:
    asked = thing("polyp", "polyp", side="right")
    assert tell(one(BAR), "side", things=(asked,)) == "No, polyp (m1): on the image's left."


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (MIDDLE_SQUARE, "yes, it reaches both sides of the picture's vertical middle"),
        (TWO_BARS, "yes, it reaches both sides of the picture's vertical middle"),
        (BAR, "no, it is on one side of the picture's vertical middle, the image's left"),
        (
            square(32, 0, 40, 8),
            "no, it is on one side of the picture's vertical middle, the image's right",
        ),
    ],
    ids=["across", "two-pieces", "left", "up-to-the-middle"],
)
def test_the_midline_is_the_middle_of_the_picture(mask: BinaryMask, said: str) -> None:
    title = "polyp (m1, 2 pieces)" if mask is TWO_BARS else "polyp (m1)"
    assert tell(one(mask), "midline") == f"{title}: {said}. {CAVEAT}"


def test_a_place_of_nothing_is_not_told() -> None:
    assert tell(findings(), "place") == "Nothing is outlined yet, so there is nothing to measure."


def test_many_masks_are_counted_by_side_and_what_is_missing_is_named() -> None:
    masks = [square(x, 0, x + 4, 4) for x in (0, 8, 16, 30, 40, 50)]
    numbered = [shown(f"m{at}", mask) for at, mask in enumerate(masks, start=1)]
    found = findings(result("polyp", *numbered), requests=("polyps and gallstone",))
    asked = (thing("polyp", "polyp"), thing("gallstone", "gallstone"))
    missing = "gallstone: not outlined here, so there is nothing to measure."
    # The fourth lies on the middle.
    assert tell(found, "place", things=asked) == (
        f"polyp (6 masks): 3 on the image's left and 2 on the image's right, by their centroids."
        f" {missing}"
    )
    assert tell(found, "midline", things=asked) == (
        "polyp (6 masks): 1 of them reach both sides of the picture's vertical middle."
        f" {missing} {CAVEAT}"
    )

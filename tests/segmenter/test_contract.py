"""The border: what a request, a box, a reference may be."""

import math

import pytest
from pydantic import ValidationError

from segmenter.contract import (
    MAX_BOXES,
    MAX_PROMPTS,
    MAX_TEXT_CHARS,
    Box,
    BoxPrompt,
    ImageRef,
    Mask,
    PointPrompt,
    Prompt,
    Rle,
    SegmentRequest,
    is_finite_box,
)

REF = ImageRef(sha256="ab" * 32, width=4, height=3, format="png")
BOX = Box(x0=0, y0=0, x1=2, y1=2)


def test_the_public_id_of_an_image_names_its_digest():
    assert REF.id == "img_" + "ab" * 32


@pytest.mark.parametrize(
    "sides",
    [
        pytest.param((2, 0, 2, 1), id="no width"),
        pytest.param((0, 1, 2, 1), id="no height"),
        pytest.param((3, 0, 2, 1), id="right before left"),
        pytest.param((math.nan, 0, 1, 1), id="not a number"),
        pytest.param((0, 0, math.inf, 1), id="endless"),
    ],
)
def test_a_box_without_a_finite_area_is_refused(sides):
    with pytest.raises(ValidationError):
        Box(**dict(zip(("x0", "y0", "x1", "y1"), sides, strict=True)))
    assert not is_finite_box(sides)


def test_a_box_knows_its_area_and_sides():
    assert BOX.area == 4
    assert BOX.as_tuple() == (0, 0, 2, 2)
    assert is_finite_box(BOX.as_tuple())


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"text": ""}, id="no letters"),
        pytest.param({"text": "  "}, id="blanks"),
        pytest.param({"text": "x" * (MAX_TEXT_CHARS + 1)}, id="a long text"),
        pytest.param({"boxes": (BoxPrompt(box=BOX, label="negative"),)}, id="what not to find"),
        pytest.param({"boxes": (BoxPrompt(box=BOX),) * (MAX_BOXES + 1)}, id="many boxes"),
        pytest.param({"text": "liver", "mask": 1}, id="a foreign field"),
    ],
)
def test_a_prompt_that_asks_for_nothing_or_too_much_is_refused(fields):
    with pytest.raises(ValidationError):
        Prompt(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"text": "liver"}, id="text"),
        pytest.param({"boxes": (BoxPrompt(box=BOX),)}, id="box"),
        pytest.param(
            {"text": "liver", "boxes": (BoxPrompt(box=BOX, label="negative"),)}, id="not here"
        ),
    ],
)
def test_a_prompt_asks_by_text_or_by_box_or_by_both(fields):
    assert Prompt(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"prompts": ()}, id="no prompt"),
        pytest.param({"prompts": (Prompt(text="a"),) * (MAX_PROMPTS + 1)}, id="many prompts"),
        pytest.param({"threshold": 1.1}, id="threshold"),
        pytest.param({"threshold": math.nan}, id="threshold that is no number"),
        pytest.param({"nms_iou": -0.1}, id="overlap"),
        pytest.param({"max_masks": 0}, id="no masks"),
        pytest.param({"max_masks": 201}, id="many masks"),
    ],
)
def test_a_request_out_of_range_is_refused(fields):
    with pytest.raises(ValidationError):
        SegmentRequest(**{"image": REF, "prompts": (Prompt(text="liver"),), **fields})


def test_a_request_cannot_be_changed():
    request = SegmentRequest(image=REF, prompts=(Prompt(text="liver"),))
    with pytest.raises(ValidationError):
        request.max_masks = 3  # type: ignore[misc]


@pytest.mark.parametrize("sha256", ["", "AB" * 32, "ab" * 31, "../" + "a" * 61, "g" * 64])
def test_a_digest_is_64_lower_case_hex_digits(sha256):
    with pytest.raises(ValidationError):
        ImageRef(sha256=sha256, width=1, height=1, format="png")


def test_a_mask_that_travels_is_never_empty():
    share = {"score": 1, "presence": 1, "joint": 1, "stability": 1}
    with pytest.raises(ValidationError, match="area_px"):
        Mask(rle=Rle(size=(1, 1), counts="1"), box=BOX, area_px=0, **share)


POINT = PointPrompt(x=1, y=1)
NOT_HERE = PointPrompt(x=1, y=1, label="negative")
DRAWN = Rle(size=(3, 4), counts="<")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"points": (POINT,)}, "must be object"),
        ({"text": "mass", "mask": DRAWN}, "must be object"),
        ({"kind": "object"}, "needs a positive point"),
        ({"kind": "object", "points": (NOT_HERE,)}, "needs a positive point"),
        ({"kind": "object", "points": (POINT,), "text": "mass"}, "takes no text"),
        ({"kind": "object", "boxes": (BoxPrompt(box=BOX),) * 2}, "one positive box"),
        ({"kind": "object", "boxes": (BoxPrompt(box=BOX, label="negative"),)}, "one positive box"),
    ],
)
def test_a_prompt_asks_for_a_concept_or_for_one_object(fields, words):
    with pytest.raises(ValidationError, match=words):
        Prompt(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"points": (POINT, NOT_HERE)},
        {"boxes": (BoxPrompt(box=BOX),)},
        {"mask": DRAWN, "points": (NOT_HERE,)},
    ],
)
def test_an_object_is_shown_by_points_a_box_or_a_mask(fields):
    assert Prompt(kind="object", **fields).text is None

import base64
import json
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from segmenter.contract import Rle, Spacing
from segmenter.formats.raster.image import decode_mask_png
from segmenter.masks import rle
from tests.api.doubles import MODEL, ServiceUnderTest
from tests.api.problems_seen import fields, problem
from tests.segmenter.formats.build import dicom

SPOT_BOX = [20.0, 10.0, 30.0, 18.0]
BRIGHT = {"text": "bright spot"}


def upload(client: TestClient, png: bytes) -> str:
    response = client.post("/images", files={"image": png})
    image_id: str = response.json()["image_id"]
    return image_id


def test_a_form_with_a_concept_gives_its_masks(client: TestClient, png: bytes) -> None:
    response = client.post("/segment", files={"image": png}, data={"concept": "bright spot"})
    assert response.status_code == 200
    answer = response.json()
    mask = answer["results"][0]["masks"][0]
    assert mask["box"] == SPOT_BOX
    assert mask["area_px"] == 80
    assert (mask["id"], mask["label"], mask["concept"]) == ("m1", "bright spot", "bright spot")
    assert (mask["score"], mask["presence"], mask["joint"]) == (0.9, 1.0, 0.9)
    assert mask["rle"]["size"] == [30, 40]
    assert [
        mask[name] for name in ("area_mm2", "spacing_source", "round", "verdict", "png_url")
    ] == [None] * 5
    assert answer["provenance"]["segmenter"] == MODEL.model_dump()
    assert answer["provenance"]["planner"] is None
    assert answer["needs_review"] is False
    assert (answer["image"]["width"], answer["image"]["height"]) == (40, 30)


def test_a_mask_is_measured_in_millimetres_and_hounsfield_units(client: TestClient) -> None:
    pixels = np.full((30, 40), 100, np.uint8)
    pixels[10:18, 20:30] = 250
    rescale = {"RescaleSlope": "1", "RescaleIntercept": "-200"}
    content = dicom(pixels, PixelSpacing=["0.5", "0.25"], WindowCenter=0, WindowWidth=90, **rescale)
    response = client.post("/segment", files={"image": content}, data={"concept": "bright spot"})
    [mask] = response.json()["results"][0]["masks"]
    found = mask["measures"]
    assert (found["area_px"], found["area_mm2"], mask["area_mm2"]) == (80, 10.0, 10.0)
    assert (found["width"], found["height"]) == ({"px": 10, "mm": 2.5}, {"px": 8, "mm": 4})
    assert found["intensity"] == {"mean": 50.0, "std": 0.0, "unit": "HU"}
    assert (found["spacing_source"], found["image_side"]) == ("PixelSpacing", "right")


def test_a_picture_without_spacing_has_no_millimetres(client: TestClient, png: bytes) -> None:
    response = client.post("/segment", files={"image": png}, data={"concept": "bright spot"})
    found = response.json()["results"][0]["masks"][0]["measures"]
    assert (found["area_mm2"], found["spacing_source"]) == (None, None)
    assert {found[name]["mm"] for name in ("longest", "short", "perimeter")} == {None}
    assert found["intensity"]["unit"] == "grey level"


def test_json_with_base64_gives_the_same_as_a_form(
    client: TestClient, png: bytes, png_text: str
) -> None:
    form = client.post("/segment", files={"image": png}, data={"concept": "bright spot"})
    broken_lines = png_text[:20] + "\r\n" + png_text[20:]
    for image in (png_text, f"data:image/png;base64,{png_text}", broken_lines):
        sent = client.post("/segment", json={"image": image, "prompts": [BRIGHT]})
        assert sent.json()["results"] == form.json()["results"]


SHORTCUTS: list[tuple[str, dict[str, Any], list[dict[str, Any]]]] = [
    ("a concept", {"concept": "bright spot"}, [BRIGHT]),
    ("a null box", {"concept": "bright spot", "box": None}, [BRIGHT]),
    (
        "concepts",
        {"concept": ["bright spot", "dark background"]},
        [BRIGHT, {"text": "dark background"}],
    ),
    ("a box", {"box": [0, 0, 25, 30]}, [{"boxes": [{"box": [0, 0, 25, 30]}]}]),
    (
        "boxes of a concept",
        {"concept": "bright spot", "box": [[0, 0, 25, 30], [0, 0, 40, 15]]},
        [{**BRIGHT, "boxes": [{"box": [0, 0, 25, 30]}, {"box": [0, 0, 40, 15]}]}],
    ),
]


@pytest.mark.parametrize(
    ("short", "prompts"), [case[1:] for case in SHORTCUTS], ids=[case[0] for case in SHORTCUTS]
)
def test_json_takes_the_short_forms_of_a_form(
    client: TestClient, png_text: str, short: dict[str, Any], prompts: list[dict[str, Any]]
) -> None:
    spelt_out = client.post("/segment", json={"image": png_text, "prompts": prompts})
    response = client.post("/segment", json={"image": png_text, **short})
    assert response.status_code == 200
    assert response.json()["results"] == spelt_out.json()["results"]


def test_an_earlier_upload_is_referred_to_by_its_id(client: TestClient, png: bytes) -> None:
    image_id = upload(client, png)
    as_json = client.post("/segment", json={"image_id": image_id, "prompts": [BRIGHT]})
    # files makes it multipart although no file is sent.
    as_form = client.post(
        "/segment", files={"image_id": (None, image_id), "concept": (None, "bright spot")}
    )
    assert as_json.json()["results"] == as_form.json()["results"]
    assert as_json.json()["results"][0]["masks"][0]["box"] == SPOT_BOX


def test_several_concepts_keep_their_own_results(client: TestClient, png: bytes) -> None:
    response = client.post(
        "/segment", files={"image": png}, data={"concept": ["bright spot", "dark background"]}
    )
    first, second = response.json()["results"]
    assert (first["prompt"], first["text"]) == (0, "bright spot")
    assert (second["prompt"], second["text"]) == (1, "dark background")
    assert first["masks"][0]["area_px"] + second["masks"][0]["area_px"] == 30 * 40
    assert [first["masks"][0]["id"], second["masks"][0]["id"]] == ["m1", "m2"]


def test_prompts_travel_as_json_in_a_form(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    prompts = [{"text": "bright spot", "boxes": [{"box": [0, 0, 25, 30], "label": "positive"}]}]
    response = client.post(
        "/segment",
        files={"image": png},
        data={
            "prompts": json.dumps(prompts),
            "threshold": "0.25",
            "nms_iou": "0.75",
            "max_masks": "3",
        },
    )
    assert response.json()["results"][0]["masks"][0]["box"] == [20.0, 10.0, 25.0, 18.0]
    asked = service.segmenter.asked[0]
    assert (asked.threshold, asked.nms_iou, asked.max_masks) == (0.25, 0.75, 3)


def test_a_box_alone_is_a_prompt(client: TestClient, png: bytes) -> None:
    response = client.post("/segment", files={"image": png}, data={"box": "0,0,25,30"})
    result = response.json()["results"][0]
    assert (result["text"], result["concept"]) == (None, None)
    assert result["masks"][0]["label"] == "box"


def test_masks_come_as_png_on_request(client: TestClient, png: bytes) -> None:
    response = client.post(
        "/segment", files={"image": png}, data={"concept": "bright spot", "include_png": "true"}
    )
    mask = response.json()["results"][0]["masks"][0]
    drawn = decode_mask_png(base64.b64decode(mask["png"]))
    assert (drawn == rle.decode(Rle(size=mask["rle"]["size"], counts=mask["rle"]["counts"]))).all()


def test_an_unknown_concept_says_so_and_wants_review(client: TestClient, png: bytes) -> None:
    response = client.post("/segment", files={"image": png}, data={"concept": "left ventricle"})
    result = response.json()["results"][0]
    assert (result["known"], result["masks"], result["reason"]) == (
        False,
        [],
        "not a known concept",
    )
    assert response.json()["needs_review"] is True


def test_a_doubtful_mask_wants_review(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    service.segmenter.score = 0.4
    response = client.post("/segment", files={"image": png}, data={"concept": "bright spot"})
    assert response.json()["needs_review"] is True


def test_areas_are_physical_only_where_the_file_states_its_spacing(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    from api.render.segment import area_mm2
    from tests.api.doubles import read, to_mask

    ref, pixels = read(png).decode()
    mask = to_mask(pixels[..., 0] > 127)
    spaced = ref.model_copy(
        update={"spacing": Spacing(row_mm=0.5, column_mm=0.25, source="PixelSpacing")}
    )
    assert area_mm2(mask, ref) is None
    assert area_mm2(mask, spaced) == pytest.approx(80 * 0.125)


def test_the_same_handler_answers_under_v1(client: TestClient, png: bytes) -> None:
    response = client.post("/v1/segment", files={"image": png}, data={"concept": "bright spot"})
    assert response.json()["results"][0]["masks"][0]["box"] == SPOT_BOX


JSON_FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("no image", {"prompts": [BRIGHT]}, "image"),
    ("no image, short", {"concept": "a"}, "image"),
    ("prompts and concept", {"image": "IMAGE", "prompts": [BRIGHT], "concept": "a"}, "prompts"),
    (
        "several concepts and a box",
        {"image": "IMAGE", "concept": ["a", "b"], "box": [0, 0, 5, 5]},
        "box",
    ),
    ("no concepts", {"image": "IMAGE", "concept": []}, "prompts"),
    ("seventeen concepts", {"image": "IMAGE", "concept": ["a"] * 17}, "concept"),
    ("seventeen boxes", {"image": "IMAGE", "box": [[0, 0, 1, 1]] * 17}, "box"),
    ("concept of another type", {"image": "IMAGE", "concept": 5}, "prompts[0].text"),
    ("box of words", {"image": "IMAGE", "box": "0,0,5,5"}, "prompts[0].boxes[0].box"),
    ("box of three", {"image": "IMAGE", "box": [0, 0, 5]}, "prompts[0].boxes[0].box"),
    ("short and unknown", {"image": "IMAGE", "concept": "a", "colour": 1}, "colour"),
    ("no prompts", {"image": "IMAGE"}, "prompts"),
    ("empty prompts", {"image": "IMAGE", "prompts": []}, "prompts"),
    ("seventeen prompts", {"image": "IMAGE", "prompts": [BRIGHT] * 17}, "prompts"),
    ("empty prompt", {"image": "IMAGE", "prompts": [{}]}, "prompts[0]"),
    ("blank text", {"image": "IMAGE", "prompts": [BRIGHT, {"text": " "}]}, "prompts[1].text"),
    ("NUL", {"image": "IMAGE", "prompts": [{"text": "a\x00b"}]}, "prompts[0].text"),
    ("escape", {"image": "IMAGE", "concept": "a\x1b[31m"}, "prompts[0].text"),
    ("two lines", {"image": "IMAGE", "concept": "a\nb"}, "prompts[0].text"),
    ("long text", {"image": "IMAGE", "prompts": [{"text": "x" * 101}]}, "prompts[0].text"),
    ("text of another type", {"image": "IMAGE", "prompts": [{"text": 5}]}, "prompts[0].text"),
    ("unknown field", {"image": "IMAGE", "prompts": [BRIGHT], "colour": 1}, "colour"),
    (
        "unknown nested field",
        {"image": "IMAGE", "prompts": [{"text": "a", "colour": 1}]},
        "prompts[0].colour",
    ),
    ("threshold too high", {"image": "IMAGE", "prompts": [BRIGHT], "threshold": 1.1}, "threshold"),
    ("number as text", {"image": "IMAGE", "prompts": [BRIGHT], "max_masks": "3"}, "max_masks"),
    ("no masks wanted", {"image": "IMAGE", "prompts": [BRIGHT], "max_masks": 0}, "max_masks"),
    ("not base64", {"image": "!!!", "prompts": [BRIGHT]}, "image"),
    ("a URL", {"image": "https://example.org/a.png", "prompts": [BRIGHT]}, "image"),
    ("a data URI of text", {"image": "data:text/plain,abc", "prompts": [BRIGHT]}, "image"),
    ("a broken id", {"image_id": "img_../../x", "prompts": [BRIGHT]}, "image_id"),
    (
        "both sources",
        {"image": "IMAGE", "image_id": "img_" + "0" * 64, "prompts": [BRIGHT]},
        "image_id",
    ),
]


@pytest.mark.parametrize(
    ("body", "field"), [case[1:] for case in JSON_FAULTS], ids=[case[0] for case in JSON_FAULTS]
)
def test_a_wrong_field_is_named(
    client: TestClient, png_text: str, body: dict[str, Any], field: str
) -> None:
    if body.get("image") == "IMAGE":
        body = {**body, "image": png_text}
    response = client.post("/segment", json=body)
    problem(response, 422, "invalid-field")
    assert fields(response) == [field]


MESSAGES: list[tuple[str, dict[str, Any], str]] = [
    ("many", {"prompts": [BRIGHT] * 17}, "at most 16 items, got 17"),
    ("none", {"prompts": []}, "at least 1 items, got 0"),
    ("no list", {"prompts": {}}, "must be a list"),
    ("no object", {"prompts": ["a"]}, "must be an object"),
    ("missing", {}, "this field is needed"),
    ("long", {"prompts": [{"text": "x" * 101}]}, "at most 100 characters"),
    ("no text", {"prompts": [{"text": 5}]}, "must be a text"),
    ("no number", {"prompts": [BRIGHT], "max_masks": "3"}, "must be a whole number"),
    ("high", {"prompts": [BRIGHT], "max_masks": 201}, "must be at most 200"),
    (
        "label",
        {"prompts": [{"boxes": [{"box": [0, 0, 1, 1], "label": "x"}]}]},
        "must be 'positive' or 'negative'",
    ),
    (
        "no box",
        {"prompts": [{"boxes": [{"box": 5}]}]},
        "a box is four finite numbers: x0, y0, x1, y1",
    ),
]


@pytest.mark.parametrize(
    ("body", "message"), [case[1:] for case in MESSAGES], ids=[case[0] for case in MESSAGES]
)
def test_a_message_does_not_speak_of_python(
    client: TestClient, png_text: str, body: dict[str, Any], message: str
) -> None:
    response = client.post("/segment", json={"image": png_text, **body})
    problem(response, 422, "invalid-field")
    assert [fault["message"] for fault in response.json()["errors"]] == [message]


@pytest.mark.parametrize(
    "box",
    [[0, 0, 10], [0, 0, 0, 10], [5, 5, 1, 9], [0, 0, "1", 1], [0, 0, True, 1], [0, 0, 10**400, 1]],
)
def test_a_box_without_area_or_numbers_is_refused(
    client: TestClient, png_text: str, box: list[Any]
) -> None:
    body = {"image": png_text, "prompts": [{"boxes": [{"box": box}]}]}
    response = client.post("/segment", json=body)
    problem(response, 422, "invalid-field")
    assert fields(response)[0] == "prompts[0].boxes[0].box"


def test_a_prompt_of_negative_boxes_alone_is_refused(client: TestClient, png_text: str) -> None:
    prompt = {"boxes": [{"box": [0, 0, 5, 5], "label": "negative"}]}
    response = client.post("/segment", json={"image": png_text, "prompts": [prompt]})
    problem(response, 422, "invalid-field")
    assert fields(response) == ["prompts[0]"]


FORM_FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("unknown field", {"concept": "a", "colour": "red"}, "colour"),
    ("NUL", {"concept": "a\x00b"}, "prompts[0].text"),
    ("prompts are no JSON", {"prompts": "{"}, "prompts"),
    ("prompts and concept", {"prompts": '[{"text": "a"}]', "concept": "b"}, "prompts"),
    ("several concepts and a box", {"concept": ["a", "b"], "box": "0,0,5,5"}, "box"),
    ("box of words", {"box": "a,b,c,d"}, "box"),
    ("box of three", {"box": "1,2,3"}, "box"),
    ("box of nan", {"box": "nan,0,1,1"}, "prompts[0].boxes[0].box"),
    ("threshold of nan", {"concept": "a", "threshold": "nan"}, "threshold"),
    ("threshold of words", {"concept": "a", "threshold": "high"}, "threshold"),
    ("given twice", {"concept": "a", "threshold": ["0.1", "0.2"]}, "threshold"),
    ("no prompts at all", {}, "prompts"),
]


@pytest.mark.parametrize(
    ("data", "field"), [case[1:] for case in FORM_FAULTS], ids=[case[0] for case in FORM_FAULTS]
)
def test_a_wrong_form_field_is_named(
    client: TestClient, png: bytes, data: dict[str, Any], field: str
) -> None:
    response = client.post("/segment", files={"image": png}, data=data)
    problem(response, 422, "invalid-field")
    assert fields(response) == [field]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ({"text": "lung", "points": [{"x": 1, "y": 1}]}, "takes no text"),
        ({"kind": "concept", "text": "lung", "points": [{"x": 1, "y": 1}]}, "must be object"),
        ({"points": [{"x": 1, "y": 1, "label": "negative"}]}, "needs a positive point"),
        ({"points": [{"x": -1, "y": 1}]}, "at least 0"),
        ({"points": [{"x": 1, "y": 1}] * 33}, "32"),
    ],
)
def test_points_that_make_no_prompt_are_told(
    client: TestClient, png_text: str, prompt: dict[str, object], words: str
) -> None:
    answer = client.post("/segment", json={"image": png_text, "prompts": [prompt]})
    assert answer.status_code == 422
    assert words in answer.json()["errors"][0]["message"]

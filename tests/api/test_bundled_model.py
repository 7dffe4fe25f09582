"""The whole service in one process with the bundled model, on the shipped images."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.bootstrap.parts import open_parts
from api.bootstrap.setup import Setup
from api.http.app import create_app
from api.settings import Settings
from segmenter.backends.compact.backend import WEIGHTS
from segmenter.backends.compact.metadata import METADATA
from segmenter.contract import BinaryMask, Rle
from segmenter.formats.raster.image import decode_mask_png
from segmenter.masks import rle
from segmenter.masks.geometry import dice
from tests.api.conftest import BASE_URL
from tests.paths import SAMPLES

# Swapped axes, a wrong scale or a wrong concept all end far below it; the model card has the
# figures that tell good weights from bad ones.
RIGHT_PLACE = 0.4


@pytest.fixture(scope="module")
def service() -> Iterator[TestClient]:
    assert (WEIGHTS / METADATA).exists(), f"the bundled weights are missing: {WEIGHTS}"
    settings = Settings()
    app = create_app(settings, partial(open_parts, Setup(settings)))
    with TestClient(app, base_url=BASE_URL) as opened:
        yield opened


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def truth(name: str) -> BinaryMask:
    return decode_mask_png(sample(name))


def union(masks: list[dict[str, Any]], like: BinaryMask) -> BinaryMask:
    joined = np.zeros_like(like)
    for mask in masks:
        joined |= rle.decode(Rle(size=mask["rle"]["size"], counts=mask["rle"]["counts"]))
    return joined


def ask(service: TestClient, image: str, request: str) -> dict[str, Any]:
    response: httpx2.Response = service.post(
        "/agent/segment", files={"image": sample(image)}, data={"request": request}
    )
    assert response.status_code == 200, response.text
    run: dict[str, Any] = response.json()
    return run


def test_the_tumour_is_outlined_where_it_is(service: TestClient) -> None:
    run = ask(service, "busi_tumor.jpg", "Outline the breast tumour")
    wanted = truth("busi_tumor_mask.png")
    assert run["status"] == "found"
    assert dice(union(run["targets"][0]["masks"], wanted), wanted) > RIGHT_PLACE


def test_a_box_finds_the_tumour_too(service: TestClient) -> None:
    wanted = truth("busi_tumor_mask.png")
    response = service.post(
        "/segment",
        files={"image": sample("busi_tumor.jpg")},
        data={"concept": "breast tumor", "box": "215,145,315,220"},
    )
    masks = response.json()["results"][0]["masks"]
    assert dice(union(masks, wanted), wanted) > RIGHT_PLACE


def test_a_normal_breast_gets_no_confident_tumour(service: TestClient) -> None:
    run = ask(service, "busi_normal.jpg", "Outline the breast tumour")
    assert run["status"] in ("not_found", "uncertain")
    assert run["status"] == "not_found" or run["needs_review"]


def test_nuclei_are_found_under_the_microscope(service: TestClient) -> None:
    run = ask(service, "dsb2018_nuclei.jpg", "Segment all the nuclei")
    wanted = truth("dsb2018_nuclei_mask.png")
    assert dice(union(run["targets"][0]["masks"], wanted), wanted) > RIGHT_PLACE


def test_two_concepts_of_one_image_keep_apart(service: TestClient) -> None:
    response = service.post(
        "/segment",
        files={"image": sample("busi_tumor.jpg")},
        data={"concept": ["breast tumor", "flux capacitor"]},
    )
    tumour, unknown = response.json()["results"]
    assert (tumour["concept"], tumour["known"]) == ("breast tumor", True)
    assert (unknown["known"], unknown["masks"]) == (False, [])


def test_a_mask_keeps_its_id_for_the_life_of_its_thread(service: TestClient) -> None:
    run = ask(service, "busi_tumor.jpg", "Outline the breast tumour")
    body = {"request": "only the largest one", "thread_id": run["thread_id"]}
    again = service.post("/agent/segment", json=body).json()
    assert again["thread_id"] == run["thread_id"]
    first, second = (
        service.get(f"/agent/runs/{run_id}/masks/m1.png") for run_id in (run["id"], again["id"])
    )
    assert first.content == second.content
    thread = service.get(f"/agent/threads/{run['thread_id']}").json()
    assert thread["runs"] == [run["id"], again["id"]]


def test_a_run_is_ready_to_be_drawn(service: TestClient) -> None:
    run = ask(service, "busi_tumor.jpg", "Outline the breast tumour")
    urls = [run["overlay_url"], run["rounds"][0]["picture_url"]]
    urls += [mask["png_url"] for mask in run["targets"][0]["masks"]]
    for url in urls:
        assert service.get(url).content.startswith(b"\x89PNG")


def test_what_the_model_cannot_take_is_the_callers_fault(service: TestClient) -> None:
    body = {
        "image_id": service.post("/images", files={"image": sample("busi_tumor.jpg")}).json()[
            "image_id"
        ],
        "prompts": [
            {
                "text": "breast tumor",
                "boxes": [{"box": [0, 0, 50, 50], "label": "negative"}],
            }
        ],
    }
    response = service.post("/segment", json=body)
    assert response.status_code == 422, response.text
    assert "boxes" in response.json()["errors"][0]["field"]


def test_it_is_ready_and_says_what_it_knows(service: TestClient) -> None:
    assert service.get("/health/ready").json()["workers"] == 1
    capabilities = service.get("/capabilities").json()
    assert "breast tumor" in capabilities["concepts"]
    assert capabilities["model"]["kind"] == "compact"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"concept": "breast tumor", "adapter": "base"}, "adapter"),
        ({"concept": "breast tumor", "postprocess": "medsam3"}, "postprocess"),
        ({"prompts": '[{"points": [{"x": 3, "y": 4}]}]'}, "points"),
        ({"prompts": '[{"mask": {"size": [2, 2], "counts": "4"}}]'}, "mask"),
    ],
)
def test_what_the_model_does_not_offer_is_named(
    service: TestClient, fields: dict[str, str], field: str
) -> None:
    response = service.post("/segment", files={"image": sample("busi_tumor.jpg")}, data=fields)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == field


def test_a_box_may_be_said_to_show_one_object(service: TestClient) -> None:
    box = {"boxes": [{"box": [222, 151, 307, 212]}]}
    answers = [
        service.post(
            "/segment",
            files={"image": sample("busi_tumor.jpg")},
            data={"prompts": json.dumps([prompt])},
        ).json()["results"][0]["masks"]
        for prompt in (box, {**box, "kind": "object"})
    ]
    assert answers[0] == answers[1]
    assert len(answers[0]) == 1

import asyncio
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from segmenter.formats.raster.image import decode_mask_png
from tests.api.doubles import ServiceUnderTest
from tests.api.problems_seen import problem

NO_RUN = "run_" + "9" * 32
NO_THREAD = "thr_" + "9" * 32


@pytest.fixture
def run(client: TestClient, png: bytes) -> dict[str, Any]:
    response = client.post("/agent/segment", files={"image": png}, data={"request": "the polyp"})
    found: dict[str, Any] = response.json()
    return found


def forget_image(service: ServiceUnderTest, run: dict[str, Any]) -> None:
    async def forget() -> None:
        await service.images.delete(await service.images.ref(run["image"]["image_id"]))

    asyncio.run(forget())


def test_a_run_reads_as_it_was_answered(client: TestClient, run: dict[str, Any]) -> None:
    assert client.get(f"/agent/runs/{run['id']}").json() == run
    assert client.get(f"/v1/agent/runs/{run['id']}").json() == run


def test_a_mask_is_a_picture_at_the_size_of_the_image(
    client: TestClient, run: dict[str, Any]
) -> None:
    mask = run["targets"][0]["masks"][0]
    response = client.get(mask["png_url"])
    assert response.headers["content-type"] == "image/png"
    drawn = decode_mask_png(response.content)
    assert drawn.shape == (30, 40)
    assert int(drawn.sum()) == mask["area_px"]


def test_overlay_and_rounds_are_pictures(client: TestClient, run: dict[str, Any]) -> None:
    for url in (run["overlay_url"], run["rounds"][0]["picture_url"]):
        response = client.get(url)
        assert response.status_code == 200
        assert response.content.startswith(b"\x89PNG")


def test_labels_of_an_overlay_can_be_left_out(client: TestClient, run: dict[str, Any]) -> None:
    url = run["overlay_url"]
    usual = client.get(url).content
    assert client.get(f"{url}?labels=true&scale=true").content == usual
    bare = client.get(f"{url}?labels=false")
    assert bare.status_code == 200
    assert bare.content != usual
    # The picture has no spacing, so there is no bar to leave out.
    assert client.get(f"{url}?scale=false").content == usual
    problem(client.get(f"{url}?labels=perhaps"), 422, "invalid-field")


def test_a_run_that_never_was_is_not_found(client: TestClient) -> None:
    for path in ("", "/masks/m1.png", "/overlay.png", "/rounds/1.png"):
        problem(client.get(f"/agent/runs/{NO_RUN}{path}"), 404, "run-not-found")


def test_a_picture_that_never_was_is_not_found(client: TestClient, run: dict[str, Any]) -> None:
    for path, name in (("/masks/m99.png", "mask"), ("/rounds/3.png", "round")):
        response = client.get(f"/agent/runs/{run['id']}{path}")
        found = problem(response, 404, "picture-not-found")
        assert found["detail"] == f"the run has no such {name}"


def test_a_picture_of_an_expired_image_is_gone(
    client: TestClient, service: ServiceUnderTest, run: dict[str, Any]
) -> None:
    forget_image(service, run)
    for url in (run["overlay_url"], run["rounds"][0]["picture_url"]):
        problem(client.get(url), 410, "picture-gone")


@pytest.mark.parametrize(
    "path",
    [
        "/agent/runs/run_..%2f",
        "/agent/runs/thr_1",
        f"/agent/runs/{NO_RUN}/masks/1.png",
        f"/agent/runs/{NO_RUN}/rounds/0.png",
        "/agent/threads/run_1",
        "/images/img_12",
    ],
)
def test_ids_of_another_form_are_refused(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code in (404, 422)
    assert response.headers["content-type"] == "application/problem+json"


def test_a_thread_reads_as_a_conversation(
    client: TestClient, run: dict[str, Any], png: bytes
) -> None:
    client.post("/agent/segment", json={"request": "tighter", "thread_id": run["thread_id"]})
    thread = client.get(f"/agent/threads/{run['thread_id']}").json()
    assert thread["requests"] == ["the polyp", "tighter"]
    assert thread["runs"][0] == run["id"]
    assert len(thread["runs"]) == 2
    assert thread["targets"][0]["masks"][0]["id"] == "m2"


def test_an_erased_thread_is_gone_with_all_it_holds(
    client: TestClient, run: dict[str, Any]
) -> None:
    path = f"/agent/threads/{run['thread_id']}"
    response = client.delete(path)
    assert (response.status_code, response.content) == (204, b"")
    problem(client.get(path), 404, "thread-not-found")
    problem(client.delete(path), 404, "thread-not-found")
    problem(client.get(f"/agent/runs/{run['id']}"), 404, "run-not-found")
    image_id = run["image"]["image_id"]
    problem(client.get(f"/images/{image_id}"), 404, "image-not-found")


def test_an_upload_is_described_and_found_again(client: TestClient, png: bytes) -> None:
    response = client.post("/images", files={"image": png})
    assert response.status_code == 201
    image = response.json()
    assert image == {
        "image_id": image["image_id"],
        "width": 40,
        "height": 30,
        "format": "png",
        "modality": None,
        "spacing": None,
        "rendering": "identity",
    }
    assert response.headers["location"] == f"/images/{image['image_id']}"
    assert client.get(response.headers["location"]).json() == image


def test_an_upload_is_erased_and_another_of_the_same_bytes_stays(
    client: TestClient, png: bytes, png_text: str
) -> None:
    first: httpx2.Response = client.post("/images", files={"image": png})
    second: httpx2.Response = client.post("/images", json={"image": png_text})
    place = first.headers["location"]
    response = client.delete(place)
    assert (response.status_code, response.content) == (204, b"")
    problem(client.get(place), 404, "image-not-found")
    problem(client.delete(place), 404, "image-not-found")
    assert client.get(second.headers["location"]).json() == second.json()


def test_an_image_that_was_never_stored_is_not_found(client: TestClient) -> None:
    problem(client.get("/images/img_" + "0" * 64), 404, "image-not-found")


def test_an_upload_without_an_image_is_refused(client: TestClient) -> None:
    problem(client.post("/images", json={}), 422, "invalid-field")

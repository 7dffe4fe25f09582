"""Pictures that are asked about, erased and run out of time, all at once."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from api.http.app import create_app
from api.settings import Settings
from segmenter.contract import Hold
from segmenter.errors import NoWorker, StoreFull
from tests.api.conftest import BASE_URL
from tests.api.doubles import ServiceUnderTest, new_service
from tests.api.problems_seen import problem

CALLS = 100
Image = bytes | str
REQUEST = "outline the polyp"
PROMPT = {"concept": "bright spot"}


def agent_call(client: TestClient, image: Image, **headers: str) -> httpx2.Response:
    body = {"request": REQUEST}
    return client.post("/agent/segment", files=files(image), data=body, headers=headers)


def direct_call(client: TestClient, image: Image) -> httpx2.Response:
    return client.post("/segment", files=files(image), data=PROMPT)


def files(image: Image) -> dict[str, Any]:
    """Return a form's part: a file, or the id of one that was sent before."""
    return {"image": image} if isinstance(image, bytes) else {"image_id": (None, image)}


def test_an_erasure_never_breaks_a_request_of_another_client(
    client: TestClient, png: bytes
) -> None:
    done, erased = threading.Event(), []

    def erase_again_and_again() -> None:
        while not done.is_set():
            thread = agent_call(client, png).json()["thread_id"]
            erased.append(client.delete(f"/agent/threads/{thread}").status_code)

    def ask(call: Callable[[TestClient, bytes], httpx2.Response]) -> list[int]:
        return [call(client, png).status_code for _ in range(CALLS)]

    def ask_by_id() -> list[int]:
        image_id = direct_call(client, png).json()["image"]["image_id"]
        body = {"image_id": image_id, "prompts": [{"text": "bright spot"}]}
        return [client.post("/segment", json=body).status_code for _ in range(CALLS)]

    with ThreadPoolExecutor() as pool:
        eraser = pool.submit(erase_again_and_again)
        try:
            asked = [pool.submit(ask, direct_call), pool.submit(ask, agent_call)]
            asked.append(pool.submit(ask_by_id))
            codes = [each.result() for each in asked]
        finally:
            done.set()
        eraser.result()
    assert codes == [[200] * CALLS] * 3
    assert set(erased) == {204}
    assert len(erased) > 10


def stored(client: TestClient, service: ServiceUnderTest) -> list[str]:
    """Return the names of the pictures' bytes that are stored."""
    assert client.portal is not None
    found: list[str] = client.portal.call(service.pictures.keys, "content:")
    return found


def test_the_bytes_are_gone_with_the_last_upload(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    run = agent_call(client, png).json()
    image_id = direct_call(client, png).json()["image"]["image_id"]
    assert len(stored(client, service)) == 1
    assert client.delete(f"/agent/threads/{run['thread_id']}").status_code == 204
    assert client.get(f"/images/{image_id}").status_code == 200
    assert client.delete(f"/images/{image_id}").status_code == 204
    assert stored(client, service) == []


def test_an_upload_that_nobody_needs_is_dropped_at_once(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    headers = {"Idempotency-Key": "one-key"}
    first = agent_call(client, png, **headers).json()
    again = agent_call(client, png, **headers)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first
    fields = {"request": "only the largest", "thread_id": first["thread_id"]}
    follow_up = client.post("/agent/segment", files={"image": png}, data=fields).json()
    assert follow_up["image"] == first["image"]
    assert client.delete(f"/agent/threads/{first['thread_id']}").status_code == 204
    assert stored(client, service) == []


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/segment", PROMPT),
        ("/agent/segment", {"request": REQUEST, "box": "100,100,110,110"}),
        ("/agent/segment", {"request": REQUEST, "thread_id": "thr_" + "0" * 32}),
    ],
)
def test_an_upload_of_a_request_that_fails_is_dropped(
    client: TestClient, service: ServiceUnderTest, png: bytes, path: str, fields: dict[str, str]
) -> None:
    service.segmenter.failure = NoWorker("nobody is there")
    assert client.post(path, files={"image": png}, data=fields).status_code in (404, 422, 503)
    assert stored(client, service) == []


def test_an_upload_that_finds_no_room_beside_what_is_in_use_is_refused(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    image = client.post("/images", files={"image": png}).json()

    async def fill() -> None:
        await service.images.ref(image["image_id"], hold=Hold("run", 60.0))
        for size in (500_000, 5000, 50):
            with suppress(StoreFull):
                for number in count():
                    name = f"filler:{size}:{number}"
                    hold = Hold(name, 60.0)
                    await service.pictures.put(name, bytes(size), ttl_s=60.0, hold=hold)

    assert client.portal is not None
    client.portal.call(fill)
    refused = client.post("/images", files={"image": png})
    problem(refused, 503, "store-full")
    assert int(refused.headers["retry-after"]) > 0
    problem(direct_call(client, png), 503, "store-full")
    assert client.get(f"/images/{image['image_id']}").json() == image


@pytest.mark.parametrize("call", [direct_call, agent_call])
@pytest.mark.parametrize("by_id", [False, True])
def test_a_picture_does_not_expire_while_it_is_worked_on(
    settings: Settings, png: bytes, call: Callable[..., httpx2.Response], *, by_id: bool
) -> None:
    service = new_service(image_ttl_s=1.0)
    app = create_app(settings, service.opener())
    with (
        TestClient(app, base_url=BASE_URL) as client,
        ThreadPoolExecutor() as pool,
    ):
        assert client.portal is not None
        service.segmenter.gate = client.portal.call(asyncio.Event)
        image: Image = png
        if by_id:
            image = client.post("/images", files={"image": png}).json()["image_id"]
        asked = pool.submit(call, client, image)
        client.portal.call(service.segmenter.started.wait)
        time.sleep(1.2)
        client.portal.call(service.segmenter.gate.set)
        assert asked.result().status_code == 200

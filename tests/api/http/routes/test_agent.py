import asyncio
import json
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from agent.errors import MllmUnavailable, PlannerNotConfigured, ThreadBusy
from agent.language.lexicon import load_lexicon
from agent.language.request import read_request
from agent.schemas.rounds import Status
from agent.schemas.runs import MAX_REQUEST_CHARS
from api.http.app import create_app
from api.schemas.requests import EDITS_ALONE
from api.settings import Settings
from segmenter.contract import Box
from segmenter.errors import DeadlineExceeded, JobFailed
from tests.api.conftest import BASE_URL
from tests.api.doubles import MODEL, ServiceUnderTest
from tests.api.problems_seen import fields, problem

REQUEST = "Outline the bright spot"


def ask(client: TestClient, png: bytes, **data: Any) -> httpx2.Response:
    response: httpx2.Response = client.post(
        "/agent/segment",
        files={"image": png},
        data={"request": REQUEST, **data},
        headers=data.pop("headers", None),
    )
    return response


def test_a_request_in_a_form_gives_a_run(client: TestClient, png: bytes) -> None:
    response = ask(client, png)
    assert response.status_code == 200
    run = response.json()
    assert run["status"] == "found"
    assert run["request"] == REQUEST
    assert response.headers["content-location"] == f"/agent/runs/{run['id']}"
    assert run["thread_id"].startswith("thr_")
    assert run["created_at"] == "2026-01-02T03:04:05Z"
    target = run["targets"][0]
    assert (target["id"], target["label"], target["status"]) == ("t1", "spot", "found")
    mask = target["masks"][0]
    assert (mask["id"], mask["round"], mask["verdict"]) == ("m1", 1, "accept")
    assert mask["png_url"] == f"/agent/runs/{run['id']}/masks/m1.png"
    assert mask["box"] == [20.0, 10.0, 30.0, 18.0]
    assert run["overlay_url"] == f"/agent/runs/{run['id']}/overlay.png"


def test_a_run_tells_where_it_comes_from(client: TestClient, png: bytes) -> None:
    run = ask(client, png).json()
    assert run["provenance"] == {
        "segmenter": MODEL.model_dump(),
        "planner": {"kind": "rules", "model": None, "fallbacks": []},
        "prompts_version": "1",
        "rounds": 1,
        "usage": {"calls": 0, "input_tokens": 0, "output_tokens": 0},
        "seconds": 0.123,
        "cost": None,
    }


def test_a_run_shows_its_rounds(client: TestClient, png: bytes) -> None:
    run = ask(client, png).json()
    assert [one["number"] for one in run["rounds"]] == [1]
    first = run["rounds"][0]
    assert first["calls"][0]["concept"] == "bright spot"
    assert first["masks"][0]["verdict"] == "accept"
    assert first["picture_url"] == f"/agent/runs/{run['id']}/rounds/1.png"


def test_every_field_reaches_the_agent(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    edits = [{"action": "reject", "mask_id": "m2"}, {"action": "box", "box": [1, 2, 3, 4]}]
    response = ask(
        client, png, box="1,2,30,20", max_rounds="2", planner="rules", edits=json.dumps(edits)
    )
    assert response.status_code == 200
    asked = service.agent.requests[0]
    assert asked.box == Box(x0=1, y0=2, x1=30, y1=20)
    assert (asked.max_rounds, asked.planner) == (2, "rules")
    assert [edit.action for edit in asked.edits] == ["reject", "box"]
    assert asked.image is not None
    assert asked.image.width == 40


def test_a_thread_needs_no_image(client: TestClient, service: ServiceUnderTest, png: bytes) -> None:
    thread_id = ask(client, png).json()["thread_id"]
    body = {"request": "only the left one", "thread_id": thread_id}
    as_json = client.post("/agent/segment", json=body)
    as_form = client.post(
        "/agent/segment", files={name: (None, value) for name, value in body.items()}
    )
    for response in (as_json, as_form):
        assert response.status_code == 200
        assert response.json()["thread_id"] == thread_id
    assert [request.image for request in service.agent.requests[1:]] == [None, None]


def test_a_request_may_have_lines_and_tabs(client: TestClient, png: bytes) -> None:
    text = "Outline:\r\n\tthe bright spot\n- only"
    assert ask(client, png, request=text).json()["request"] == text


def test_edits_of_a_thread_need_no_words(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    thread_id = ask(client, png).json()["thread_id"]
    edits = [{"action": "accept", "mask_id": "m1"}]
    as_json = client.post("/agent/segment", json={"thread_id": thread_id, "edits": edits})
    as_form = client.post(
        "/agent/segment",
        files={"thread_id": (None, thread_id), "edits": (None, json.dumps(edits))},
    )
    assert (as_json.status_code, as_form.status_code) == (200, 200)
    assert [request.request for request in service.agent.requests[1:]] == [EDITS_ALONE] * 2


def test_what_stands_for_missing_words_names_and_orders_nothing() -> None:
    lexicon = load_lexicon()
    reading = read_request(EDITS_ALONE, lexicon)
    assert reading.asked == ()
    assert reading.command == read_request("", lexicon).command


FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("no request", {"image_id": "img_" + "0" * 64}, "request"),
    ("blank request", {"request": " \n"}, "request"),
    ("NUL", {"request": "a\x00b"}, "request"),
    ("C1 control", {"request": "a\x9bb"}, "request"),
    (
        "control in a label",
        {"request": "a", "edits": [{"action": "box", "box": [1, 2, 3, 4], "label": "a\x07"}]},
        "edits[0].label",
    ),
    ("edits without thread", {"edits": [{"action": "accept", "mask_id": "m1"}]}, "request"),
    ("no words in a thread", {"thread_id": "thr_1"}, "request"),
    ("broken edits alone", {"thread_id": "thr_1", "edits": 5}, "edits"),
    ("long request", {"request": "x" * (MAX_REQUEST_CHARS + 1)}, "request"),
    ("no image and no thread", {"request": "a"}, "image"),
    ("four rounds", {"request": "a", "max_rounds": 4}, "max_rounds"),
    ("no rounds", {"request": "a", "max_rounds": 0}, "max_rounds"),
    ("unknown planner", {"request": "a", "planner": "oracle"}, "planner"),
    ("unknown field", {"request": "a", "model": "x"}, "model"),
    ("path as thread", {"request": "a", "thread_id": "thr_../x"}, "thread_id"),
    ("edit of nothing", {"request": "a", "edits": [{"action": "accept"}]}, "edits[0]"),
    (
        "box edit without box",
        {"request": "a", "edits": [{"action": "box", "mask_id": "m1"}]},
        "edits[0]",
    ),
]


@pytest.mark.parametrize(
    ("body", "field"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS]
)
def test_a_wrong_field_is_named(client: TestClient, body: dict[str, Any], field: str) -> None:
    response = client.post("/agent/segment", json=body)
    problem(response, 422, "invalid-field")
    assert fields(response) == [field]


def test_a_box_that_misses_the_image_is_refused(client: TestClient, png: bytes) -> None:
    response = ask(client, png, box="100,100,120,120")
    problem(response, 422, "invalid-field")
    assert fields(response) == ["box"]


def test_a_concept_field_is_not_known_here(client: TestClient, png: bytes) -> None:
    response = ask(client, png, concept="bright spot")
    assert fields(response) == ["concept"]


@pytest.mark.parametrize(
    ("failure", "status", "slug"),
    [
        (PlannerNotConfigured("no model for 'gemini'"), 422, "planner-not-configured"),
        (ThreadBusy("thread 'thr_1' runs"), 409, "thread-busy"),
        (MllmUnavailable("secret body"), 502, "mllm-failed"),
        (JobFailed("secret body"), 502, "model-failed"),
        (DeadlineExceeded("secret body"), 504, "deadline-exceeded"),
        (RuntimeError("secret body"), 500, "internal"),
    ],
)
def test_a_failure_is_never_an_empty_result(
    client: TestClient,
    service: ServiceUnderTest,
    png: bytes,
    failure: Exception,
    status: int,
    slug: str,
) -> None:
    service.agent.failure = failure
    response = ask(client, png)
    problem(response, status, slug)
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("cause", "status", "slug"),
    [
        ("NoWorker", 503, "no-worker"),
        ("QueueFull", 503, "queue-full"),
        ("DeadlineExceeded", 504, "deadline-exceeded"),
        ("JobFailed", 502, "model-failed"),
        ("MllmRefused", 502, "mllm-failed"),
        ("cancelled", 502, "run-failed"),
        (None, 502, "run-failed"),
    ],
)
def test_a_failed_run_has_the_status_of_its_cause_and_can_be_read(
    client: TestClient,
    service: ServiceUnderTest,
    png: bytes,
    cause: str | None,
    status: int,
    slug: str,
) -> None:
    service.agent.status, service.agent.error_kind = Status.FAILED, cause
    response = ask(client, png)
    found = problem(response, status, slug)
    assert ("retry-after" in response.headers) is (status == 503)
    assert client.get(f"/agent/runs/{found['run_id']}").json()["status"] == "failed"


def test_an_image_that_was_never_stored_is_not_found(client: TestClient) -> None:
    body = {"request": REQUEST, "image_id": "img_" + "0" * 64}
    problem(client.post("/agent/segment", json=body), 404, "image-not-found")


def test_a_thread_that_never_was_is_not_found(client: TestClient) -> None:
    body = {"request": REQUEST, "thread_id": "thr_" + "0" * 32}
    problem(client.post("/agent/segment", json=body), 404, "thread-not-found")


def with_key(client: TestClient, png: bytes, key: str, **data: Any) -> httpx2.Response:
    response: httpx2.Response = client.post(
        "/agent/segment",
        files={"image": png},
        data={"request": REQUEST, **data},
        headers={"Idempotency-Key": key},
    )
    return response


def test_the_same_key_and_payload_give_the_same_run(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    first, second = with_key(client, png, "key-1"), with_key(client, png, "key-1")
    assert first.json() == second.json()
    assert len(service.agent.requests) == 1
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"


def test_form_and_json_of_the_same_payload_share_a_key(
    client: TestClient, service: ServiceUnderTest, png: bytes, png_text: str
) -> None:
    with_key(client, png, "key-1")
    client.post(
        "/agent/segment",
        json={"image": png_text, "request": REQUEST},
        headers={"Idempotency-Key": "key-1"},
    )
    assert len(service.agent.requests) == 1


def test_another_payload_under_the_same_key_is_refused(client: TestClient, png: bytes) -> None:
    with_key(client, png, "key-1")
    problem(with_key(client, png, "key-1", max_rounds="1"), 422, "idempotency-key-reused")


def test_other_keys_make_other_runs(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    with_key(client, png, "key-1")
    with_key(client, png, "key-2")
    assert len(service.agent.requests) == 2


def test_a_failed_request_frees_its_key(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    service.agent.failure = JobFailed("broken")
    problem(with_key(client, png, "key-1"), 502, "model-failed")
    service.agent.failure = None
    assert with_key(client, png, "key-1").status_code == 200


@pytest.mark.parametrize("key", ["", "a b", "x" * 201])
def test_a_key_is_short_and_printable(client: TestClient, png: bytes, key: str) -> None:
    response = with_key(client, png, key)
    problem(response, 422, "invalid-field")
    assert fields(response) == ["idempotency-key"]


def test_no_more_requests_are_answered_at_once_than_allowed(
    service: ServiceUnderTest, png: bytes
) -> None:
    async def three() -> list[httpx2.Response]:
        app = create_app(Settings(max_requests=1), service.opener())
        service.agent.gate = asyncio.Event()
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE_URL) as client,
        ):
            call: dict[str, Any] = {
                "url": "/agent/segment",
                "files": {"image": png},
                "data": {"request": REQUEST},
            }
            first = asyncio.create_task(client.post(**call))
            await service.agent.started.wait()
            second, live = await client.post(**call), await client.get("/health/live")
            service.agent.gate.set()
            return [await first, second, live, await client.post(**call)]

    first, second, live, third = asyncio.run(three())
    assert [first.status_code, live.status_code, third.status_code] == [200, 200, 200]
    problem(second, 429, "too-many-requests")
    assert int(second.headers["retry-after"]) >= 1


def test_a_key_is_refused_while_its_first_request_runs(
    service: ServiceUnderTest, settings: Settings, png: bytes
) -> None:
    async def both() -> tuple[httpx2.Response, httpx2.Response, httpx2.Response]:
        app = create_app(settings, service.opener())
        service.agent.gate = asyncio.Event()
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE_URL) as client,
        ):
            call: dict[str, Any] = {
                "url": "/agent/segment",
                "files": {"image": png},
                "data": {"request": REQUEST},
                "headers": {"Idempotency-Key": "key-1"},
            }
            first = asyncio.create_task(client.post(**call))
            await service.agent.started.wait()
            second = await client.post(**call)
            service.agent.gate.set()
            return await first, second, await client.post(**call)

    first, second, third = asyncio.run(both())
    assert first.status_code == 200
    problem(second, 409, "idempotency-key-in-use")
    assert int(second.headers["retry-after"]) >= 1
    assert third.json() == first.json()

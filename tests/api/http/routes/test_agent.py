import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from agent.errors import MllmUnavailable, PlannerNotConfigured, ThreadBusy
from agent.language.lexicon import load_lexicon
from agent.language.request import read_request
from agent.runs.events import RunJob
from agent.schemas.runs import MAX_REQUEST_CHARS, AgentRequest
from api.errors import RunFailed
from api.http.app import create_app
from api.http.problems import to_response
from api.schemas.requests import EDITS_ALONE
from api.settings import Settings
from segmenter.contract import Box
from segmenter.errors import DeadlineExceeded, JobFailed, NoWorker, QueueFull, TransportDown
from tests.api.conftest import BASE_URL
from tests.api.doubles import MODEL, ServiceUnderTest
from tests.api.problems_seen import fields, problem

REQUEST = "Outline the polyp"


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
    assert run["created_at"].endswith("Z")
    target = run["targets"][0]
    assert (target["id"], target["label"], target["status"]) == ("t1", "polyp", "found")
    mask = target["masks"][0]
    assert (mask["id"], mask["round"], mask["verdict"]) == ("m1", 1, "accept")
    assert mask["png_url"] == f"/agent/runs/{run['id']}/masks/m1.png"
    assert mask["box"] == [20.0, 10.0, 30.0, 18.0]
    assert run["overlay_url"] == f"/agent/runs/{run['id']}/overlay.png"


def test_a_run_tells_where_it_comes_from(client: TestClient, png: bytes) -> None:
    run = ask(client, png).json()
    assert run["provenance"].pop("seconds") == pytest.approx(0.0, abs=5.0)
    assert run["provenance"] == {
        "segmenter": MODEL.model_dump(),
        "planner": {"kind": "rules", "model": None, "fallbacks": []},
        "prompts_version": "1",
        "rounds": 1,
        "usage": {"calls": 0, "input_tokens": 0, "output_tokens": 0},
        "cost": None,
    }


def test_a_run_shows_its_rounds(client: TestClient, png: bytes) -> None:
    run = ask(client, png).json()
    assert [one["number"] for one in run["rounds"]] == [1]
    first = run["rounds"][0]
    assert first["calls"][0]["concept"] == "polyp"
    assert first["masks"][0]["verdict"] == "accept"
    assert first["picture_url"] == f"/agent/runs/{run['id']}/rounds/1.png"


def asked_of(client: TestClient, response: httpx2.Response) -> AgentRequest:
    """What the agent was asked, as its recording of the run says."""
    assert response.status_code == 200, response.text
    recording = client.get(f"/agent/runs/{response.json()['id']}/recording")
    return AgentRequest.model_validate(recording.json()["start"]["request"])


def test_every_field_reaches_the_agent(client: TestClient, png: bytes) -> None:
    thread_id = ask(client, png).json()["thread_id"]
    edits = [{"action": "accept", "mask_id": "m1"}, {"action": "box", "box": [1, 2, 33, 24]}]
    form = {"thread_id": thread_id, "max_rounds": "2", "planner": "rules"}
    response = ask(client, png, box="1,2,30,20", edits=json.dumps(edits), **form)
    asked = asked_of(client, response)
    assert asked.box == Box(x0=1, y0=2, x1=30, y1=20)
    assert (asked.max_rounds, asked.planner) == (2, "rules")
    assert [edit.action for edit in asked.edits] == ["accept", "box"]
    assert asked.image is not None
    assert asked.image.width == 40


def test_a_thread_needs_no_image(client: TestClient, png: bytes) -> None:
    thread_id = ask(client, png).json()["thread_id"]
    body = {"request": "only the left one", "thread_id": thread_id}
    as_json = client.post("/agent/segment", json=body)
    as_form = client.post(
        "/agent/segment", files={name: (None, value) for name, value in body.items()}
    )
    for response in (as_json, as_form):
        assert response.status_code == 200
        assert response.json()["thread_id"] == thread_id
        assert asked_of(client, response).image is None


def test_a_request_may_have_lines_and_tabs(client: TestClient, png: bytes) -> None:
    text = "Outline:\r\n\tthe polyp\n- only"
    assert ask(client, png, request=text).json()["request"] == text


def test_edits_of_a_thread_need_no_words(client: TestClient, png: bytes) -> None:
    thread_id = ask(client, png).json()["thread_id"]
    edits = [{"action": "accept", "mask_id": "m1"}]
    as_json = client.post("/agent/segment", json={"thread_id": thread_id, "edits": edits})
    as_form = client.post(
        "/agent/segment",
        files={"thread_id": (None, thread_id), "edits": (None, json.dumps(edits))},
    )
    for response in (as_json, as_form):
        assert asked_of(client, response).request == EDITS_ALONE


def test_what_stands_for_missing_words_names_and_orders_nothing() -> None:
    lexicon = load_lexicon()
    intent = read_request(EDITS_ALONE, lexicon)
    assert (intent.find, intent.operations) == ((), ())


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
        (RunFailed("run_1", "MllmRefused"), 502, "mllm-failed"),
        (RunFailed("run_1", "cancelled"), 409, "run-cancelled"),
        (RunFailed("run_1", "JobCancelled"), 409, "run-cancelled"),
        (RunFailed("run_1", "no error of ours"), 502, "run-failed"),
        (RunFailed("run_1", None), 502, "run-failed"),
    ],
)
def test_a_failure_has_the_status_of_its_cause_and_not_its_words(
    failure: Exception, status: int, slug: str
) -> None:
    response = to_response(failure)
    assert response.status_code == status
    assert json.loads(bytes(response.body))["type"] == f"urn:medsam3:problem:{slug}"
    assert b"secret" not in bytes(response.body)


def test_what_cannot_begin_is_answered_with_its_reason(client: TestClient, png: bytes) -> None:
    problem(ask(client, png, planner="gemini"), 422, "planner-not-configured")


@pytest.mark.parametrize(
    ("cause", "status", "slug"),
    [
        (DeadlineExceeded("secret body"), 504, "deadline-exceeded"),
        (JobFailed("secret body"), 502, "model-failed"),
    ],
)
def test_a_failed_run_has_the_status_of_its_cause_and_can_be_read(
    client: TestClient,
    service: ServiceUnderTest,
    png: bytes,
    cause: Exception,
    status: int,
    slug: str,
) -> None:
    service.segmenter.failure = cause
    response = ask(client, png)
    found = problem(response, status, slug)
    assert "secret" not in response.text
    run = client.get(f"/agent/runs/{found['run_id']}").json()
    assert (run["status"], run["targets"]) == ("failed", [])


@pytest.mark.parametrize(
    ("cause", "slug"),
    [
        (NoWorker("secret body"), "no-worker"),
        (QueueFull("secret body"), "queue-full"),
        (TransportDown("secret body"), "queue-unreachable"),
    ],
)
def test_what_may_pass_in_a_moment_is_never_kept_as_the_end_of_a_run(
    client: TestClient, service: ServiceUnderTest, png: bytes, cause: Exception, slug: str
) -> None:
    service.segmenter.failure = cause
    refused = with_key(client, png, "one")
    problem(refused, 503, slug)
    assert "secret" not in refused.text
    assert "retry-after" in refused.headers
    begun = client.post(
        "/agent/segment",
        files={"image": png},
        data={"request": REQUEST},
        headers={"Idempotency-Key": "two", "Prefer": "respond-async"},
    )
    assert begun.status_code == 202
    time.sleep(1.5)
    assert client.get(begun.json()["run_url"]).status_code == 202
    service.segmenter.failure = None
    for key in ("one", "two"):
        again = with_key(client, png, key)
        while again.status_code == 409:
            again = with_key(client, png, key)
        assert again.status_code == 200, again.text
        assert again.json()["status"] == "found"


def test_a_run_that_breaks_is_a_failure_without_its_words(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    service.segmenter.failure = RuntimeError("secret body")
    response = ask(client, png)
    problem(response, 502, "model-failed")
    assert "secret" not in response.text


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
    first = with_key(client, png, "key-1")
    asked = len(service.segmenter.asked)
    second = with_key(client, png, "key-1")
    assert first.json() == second.json()
    assert len(service.segmenter.asked) == asked
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"


def test_form_and_json_of_the_same_payload_share_a_key(
    client: TestClient, png: bytes, png_text: str
) -> None:
    first = with_key(client, png, "key-1")
    second = client.post(
        "/agent/segment",
        json={"image": png_text, "request": REQUEST},
        headers={"Idempotency-Key": "key-1"},
    )
    assert first.json() == second.json()


def test_another_payload_under_the_same_key_is_refused(client: TestClient, png: bytes) -> None:
    with_key(client, png, "key-1")
    problem(with_key(client, png, "key-1", max_rounds="1"), 422, "idempotency-key-reused")


def test_other_keys_make_other_runs(client: TestClient, png: bytes) -> None:
    first, second = with_key(client, png, "key-1"), with_key(client, png, "key-2")
    assert first.json()["id"] != second.json()["id"]


def test_a_failed_request_frees_its_key_and_its_run_stays(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    service.segmenter.failure = JobFailed("broken")
    failed = [problem(with_key(client, png, "key-1"), 502, "model-failed") for _ in range(2)]
    service.segmenter.failure = None
    found = with_key(client, png, "key-1", max_rounds="2")
    assert found.status_code == 200
    runs = {found.json()["id"], *(each["run_id"] for each in failed)}
    assert len(runs) == 3
    assert all(client.get(f"/agent/runs/{run_id}").status_code == 200 for run_id in runs)


def test_an_erased_run_is_not_made_again(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    run = with_key(client, png, "key-1").json()
    asked = len(service.segmenter.asked)
    assert client.delete(f"/agent/threads/{run['thread_id']}").status_code == 204
    problem(with_key(client, png, "key-1"), 404, "run-not-found")
    assert len(service.segmenter.asked) == asked


@pytest.mark.parametrize("key", ["", "a b", "x" * 201])
def test_a_key_is_short_and_printable(client: TestClient, png: bytes, key: str) -> None:
    response = with_key(client, png, key)
    problem(response, 422, "invalid-field")
    assert fields(response) == ["idempotency-key"]


Asking = Callable[[httpx2.AsyncClient], Awaitable[list[httpx2.Response]]]


def held_back(
    service: ServiceUnderTest, settings: Settings, asking: Asking
) -> list[httpx2.Response]:
    """Ask a service whose model answers only once it is let."""

    async def within() -> list[httpx2.Response]:
        app = create_app(settings, service.opener())
        service.segmenter.gate = asyncio.Event()
        transport = httpx2.ASGITransport(app)
        async with (
            asyncio.timeout(20.0),
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client,
        ):
            return await asking(client)

    return asyncio.run(within())


def call_with(png: bytes, **headers: str) -> dict[str, Any]:
    form = {"files": {"image": png}, "data": {"request": REQUEST}}
    return {"url": "/agent/segment", "headers": headers, **form}


def test_no_more_requests_are_answered_at_once_than_allowed(
    service: ServiceUnderTest, png: bytes
) -> None:
    async def three(client: httpx2.AsyncClient) -> list[httpx2.Response]:
        call = call_with(png)
        first = asyncio.create_task(client.post(**call))
        await service.segmenter.started.wait()
        second, live = await client.post(**call), await client.get("/health/live")
        assert service.segmenter.gate is not None
        service.segmenter.gate.set()
        return [await first, second, live, await client.post(**call)]

    first, second, live, third = held_back(service, Settings(max_requests=1), three)
    assert [first.status_code, live.status_code, third.status_code] == [200, 200, 200]
    problem(second, 429, "too-many-requests")
    assert int(second.headers["retry-after"]) >= 1


def test_a_key_is_refused_while_its_first_request_runs(
    service: ServiceUnderTest, settings: Settings, png: bytes
) -> None:
    async def both(client: httpx2.AsyncClient) -> list[httpx2.Response]:
        call = call_with(png, **{"Idempotency-Key": "key-1"})
        first = asyncio.create_task(client.post(**call))
        await service.segmenter.started.wait()
        second = await client.post(**call)
        assert service.segmenter.gate is not None
        service.segmenter.gate.set()
        return [await first, second, await client.post(**call)]

    first, second, third = held_back(service, settings, both)
    assert first.status_code == 200
    problem(second, 409, "idempotency-key-in-use")
    assert int(second.headers["retry-after"]) >= 1
    assert third.json() == first.json()


def test_who_waits_for_a_run_that_somebody_stops_is_told_so(
    service: ServiceUnderTest, settings: Settings, png: bytes
) -> None:
    async def stopped(client: httpx2.AsyncClient) -> list[httpx2.Response]:
        call = call_with(png, **{"Idempotency-Key": "key-1"})
        waiting = asyncio.create_task(client.post(**call))
        await service.segmenter.started.wait()
        behind = call_with(png, **{"Idempotency-Key": "key-1", "Prefer": "respond-async"})
        running = (await client.post(**behind)).json()
        assert running["status"] == "running"
        cancelled = await client.post(running["cancel_url"])
        return [await waiting, cancelled, await client.get(running["run_url"])]

    answered, cancelled, read = held_back(service, settings, stopped)
    problem(answered, 409, "run-cancelled")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    assert (read.json()["status"], read.json()["message"]) == ("failed", "The run was cancelled.")


def test_a_run_that_is_stopped_before_it_begins_leaves_its_thread_free(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    agent, portal = client.app.state.parts.agent, client.portal  # type: ignore[attr-defined]
    assert portal is not None
    thread_id = ask(client, png).json()["thread_id"]
    # Taken on and not queued, as between the two.
    asked = AgentRequest(request="the polyp", thread_id=thread_id)
    job = RunJob(id="a" * 32, created_at=datetime.now(UTC), fingerprint="", thread_id=thread_id)
    run_id, store = job.public_id, agent.jobs.store
    entries = [*store.opening(job), *portal.call(agent.carrier.begin, run_id, asked)]
    assert portal.call(store.records.put_together, entries) is None
    body = {"request": "the polyp", "thread_id": thread_id}
    problem(client.post("/agent/segment", json=body), 409, "thread-busy")
    url = f"/agent/runs/{run_id}"
    assert client.post(f"{url}/cancel").json()["status"] == "cancelled"
    problem(client.get(url), 409, "run-cancelled")
    assert client.post("/agent/segment", json=body).status_code == 200

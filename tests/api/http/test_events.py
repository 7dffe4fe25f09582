"""Runs that answer at once: their steps as events, their end, and stopping them."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from fastapi.testclient import TestClient

from agent.runs.events import RunJob
from agent.schemas.runs import AgentRequest
from api.bootstrap.parts import open_parts
from api.bootstrap.setup import Setup
from api.http.app import create_app
from api.settings import Settings
from segmenter.backends.compact.backend import CompactBackend
from tests.api.conftest import BASE_URL
from tests.paths import SAMPLES

ASYNC = {"Prefer": "respond-async, wait=5"}
PATIENCE_S = 20.0
IMAGE = (SAMPLES / "busi_tumor.jpg").read_bytes()


class Slow(CompactBackend):
    """Takes its time over every batch of prompts."""

    def predict(self, embedding, prompts, *, threshold):
        time.sleep(0.8)
        return super().predict(embedding, prompts, threshold=threshold)


def serve(load, **changes: object) -> Iterator[TestClient]:
    settings = Settings.model_validate({"max_requests": 4, **changes})
    app = create_app(settings, partial(open_parts, Setup(settings, load)))
    with TestClient(app, base_url=BASE_URL) as opened:
        yield opened


@pytest.fixture(scope="module")
def service() -> Iterator[TestClient]:
    yield from serve(lambda settings: CompactBackend())


@pytest.fixture(scope="module")
def slow() -> Iterator[TestClient]:
    yield from serve(lambda settings: Slow())


def begin(client: TestClient, **fields: str) -> dict[str, Any]:
    data = {"request": "Is there a mass? Outline it.", **fields}
    response = client.post("/agent/segment", files={"image": IMAGE}, data=data, headers=ASYNC)
    assert response.status_code == 202, response.text
    answer: dict[str, Any] = response.json()
    assert response.headers["location"] == answer["run_url"]
    assert response.headers["retry-after"] == "1"
    return answer


def events_of(client: TestClient, url: str, after: int | None = None) -> list[tuple[int, str, Any]]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    with client.stream("GET", url, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-accel-buffering"] == "no"
        text = "".join(response.iter_text())
    found = []
    for block in filter(None, text.strip().split("\n\n")):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if lines:
            found.append((int(lines["id"]), lines["event"], json.loads(lines["data"])))
    return found


def ended(client: TestClient, url: str) -> Any:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        response = client.get(url)
        if response.status_code != 202:
            return response
        time.sleep(0.05)
    raise AssertionError("the run does not end")


def test_a_run_is_begun_followed_and_read(service: TestClient) -> None:
    begun = begin(service)
    events = events_of(service, begun["events_url"])
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    names = [name for _, name, _ in events]
    assert names[0] == "run.created"
    assert names[-1] == "run.completed"
    assert [names.index(each) for each in ("run.plan", "run.segment.started", "run.inspect")] == (
        sorted(names.index(each) for each in ("run.plan", "run.segment.started", "run.inspect"))
    )
    assert all(data["run_id"] == begun["id"] for _, _, data in events)
    run = ended(service, begun["run_url"])
    assert run.status_code == 200
    assert run.json()["status"] == "found"
    assert run.json()["thread_id"] == begun["thread_id"]
    last = events.pop()[2]
    assert (last["status"], last["message"]) == ("found", run.json()["message"])
    # Neither the words nor the pictures of a patient are in those before.
    assert "mass" not in json.dumps(events)


def test_events_go_on_after_the_last_one_seen(service: TestClient) -> None:
    begun = begin(service)
    whole = events_of(service, begun["events_url"])
    assert events_of(service, begun["events_url"], after=3) == whole[3:]
    assert events_of(service, begun["events_url"], after=len(whole)) == []


def test_events_of_a_synchronous_run_are_there_too(service: TestClient) -> None:
    data = {"request": "outline the mass"}
    run = service.post("/agent/segment", files={"image": IMAGE}, data=data).json()
    assert events_of(service, f"/agent/runs/{run['id']}/events")[-1][1] == "run.completed"


def test_a_run_that_goes_on_says_so_and_can_be_stopped(slow: TestClient) -> None:
    begun = begin(slow)
    first = slow.get(begun["run_url"])
    assert first.status_code == 202
    assert first.json() == begun
    for _ in range(2):
        answer = slow.post(begun["cancel_url"])
        assert answer.status_code == 202
        assert answer.json() == {**begun, "status": "cancelled"}
    events = events_of(slow, begun["events_url"])
    assert (events[-1][1], events[-1][2]["status"]) == ("run.cancelled", "cancelled")
    assert "cancelled" in events[-1][2]["message"]
    run = ended(slow, begun["run_url"]).json()
    assert run["status"] == "failed"
    assert "cancelled" in run["message"].lower() or "cancelled" in (run["error"] or "").lower()
    # Its thread is free again.
    again = slow.post(
        "/agent/segment", json={"thread_id": run["thread_id"], "request": "outline the mass"}
    )
    assert again.status_code == 200


def test_stopping_what_has_ended_changes_nothing(service: TestClient) -> None:
    begun = begin(service)
    before = ended(service, begun["run_url"]).json()
    events_of(service, begun["events_url"])
    assert service.post(begun["cancel_url"]).json() == {**begun, "status": "done"}
    assert service.get(begun["run_url"]).json() == before


def test_a_run_that_cannot_begin_is_refused_at_once(service: TestClient) -> None:
    data = {"request": "Outline the mass.", "planner": "gemini"}
    answer = service.post("/agent/segment", files={"image": IMAGE}, data=data, headers=ASYNC)
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("planner-not-configured")


@pytest.mark.parametrize("route", ["", "/events"])
def test_a_run_of_nobody_is_not_found(service: TestClient, route: str) -> None:
    assert service.get(f"/agent/runs/run_{'0' * 32}{route}").status_code == 404
    assert service.post(f"/agent/runs/run_{'0' * 32}/cancel").status_code == 404


def test_a_key_makes_one_run_of_two_answers_at_once(service: TestClient) -> None:
    def ask(request: str) -> Any:
        return service.post(
            "/agent/segment",
            files={"image": IMAGE},
            data={"request": request},
            headers={**ASYNC, "Idempotency-Key": "k1"},
        )

    first, second, other = ask("outline the mass"), ask("outline the mass"), ask("the cyst")
    assert (first.status_code, second.status_code, other.status_code) == (202, 202, 422)
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"


def test_runs_that_wait_leave_the_slot_to_the_run_they_wait_for() -> None:
    settings = Settings(max_requests=8, run_slots=1)
    setup = Setup(settings, lambda settings: CompactBackend())
    with TestClient(create_app(settings, partial(open_parts, setup)), base_url=BASE_URL) as client:
        agent = client.app.state.parts.agent  # type: ignore[attr-defined]
        thread = until_done(client, begin(client))["thread_id"]
        # Stored first and queued last, as when its process died in between.
        asked = AgentRequest(request="only the largest", thread_id=thread)
        job = RunJob(id="a" * 32, created_at=datetime.now(UTC), fingerprint="", thread_id=thread)
        assert client.portal is not None
        beside = client.portal.call(agent.carrier.begin, job.public_id, asked)
        records = client.app.state.parts.records  # type: ignore[attr-defined]
        entries = [*agent.jobs.store.opening(job), *beside]
        assert client.portal.call(records.put_together, entries) is None
        waiting = client.post(
            "/agent/segment",
            json={"request": "only the largest", "thread_id": thread, "if_busy": "wait"},
            headers=ASYNC,
        ).json()
        time.sleep(1.0)
        client.portal.call(agent.relay)
        url = f"/agent/runs/{job.public_id}"
        assert until_done(client, {"run_url": url})["id"] == job.public_id
        assert until_done(client, waiting)["thread_id"] == thread


def until_done(client: TestClient, begun: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while (answer := client.get(begun["run_url"])).status_code in (202, 404):
        assert time.monotonic() < deadline, "the run never ended"
        time.sleep(0.1)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_more_runs_than_the_queue_holds_are_refused_and_leave_nothing() -> None:
    for client in serve(lambda settings: Slow(), queue_depth=2):
        begun = [begin(client) for _ in range(2)]
        fields = {"request": "mass"}
        key = {**ASYNC, "Idempotency-Key": "later"}
        refused = client.post("/agent/segment", files={"image": IMAGE}, data=fields, headers=key)
        assert refused.status_code == 503
        assert refused.json()["type"].endswith("queue-full")
        for each in begun:
            client.post(each["cancel_url"])
            ended(client, each["run_url"])
        again = client.post("/agent/segment", files={"image": IMAGE}, data=fields, headers=key)
        assert again.status_code == 202
        assert "idempotency-replayed" not in again.headers
        client.post(again.json()["cancel_url"])


def test_an_erased_thread_takes_its_events_along(service: TestClient) -> None:
    begun = begin(service)
    run = ended(service, begun["run_url"]).json()
    assert service.delete(f"/agent/threads/{run['thread_id']}").status_code == 204
    assert service.get(begun["events_url"]).status_code == 404

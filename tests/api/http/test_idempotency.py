"""One key, one run: whatever the store and the process do in between."""

from datetime import UTC, datetime, timedelta

from fastapi.testclient import TestClient

from agent.queued import QueuedAgent
from agent.runs.events import RunJob
from api.http.auth import ANYONE
from api.http.idempotency import job_id_of
from tests.api.doubles import ServiceUnderTest
from tests.api.http.routes.test_agent import with_key
from tests.api.problems_seen import problem

KEY = "key-1"


def agent_of(client: TestClient) -> QueuedAgent:
    agent: QueuedAgent = client.app.state.parts.agent  # type: ignore[attr-defined]
    return agent


def job_of(client: TestClient, run_id: str) -> RunJob:
    assert client.portal is not None
    return client.portal.call(agent_of(client).job, run_id)


def forget_events(client: TestClient, run_id: str) -> None:
    job, store = job_of(client, run_id), agent_of(client).jobs.store
    assert client.portal is not None
    client.portal.call(store.forget, run_id)
    client.portal.call(store.replace, job)


def test_a_run_is_replayed_although_none_of_its_events_could_be_kept(
    client: TestClient, service: ServiceUnderTest, png: bytes
) -> None:
    first = with_key(client, png, KEY).json()
    forget_events(client, first["id"])
    asked = len(service.segmenter.asked)
    second = with_key(client, png, KEY)
    assert second.json() == first
    assert second.headers["idempotency-replayed"] == "true"
    assert len(service.segmenter.asked) == asked


def test_a_key_is_taken_while_its_run_is_not_recorded_and_free_once_it_is_lost(
    client: TestClient, png: bytes
) -> None:
    """The process that took the first run on died before it was queued."""
    first = with_key(client, png, KEY).json()
    job, store = job_of(client, first["id"]), agent_of(client).jobs.store
    assert client.portal is not None
    forget_events(client, first["id"])
    client.portal.call(client.app.state.parts.records.delete, f"run:{first['id']}")  # type: ignore[attr-defined]
    problem(with_key(client, png, KEY), 409, "idempotency-key-in-use")
    long_ago = datetime.now(UTC) - timedelta(seconds=agent_of(client).lifetime_s + 1)
    client.portal.call(store.replace, job.model_copy(update={"created_at": long_ago}))
    again = with_key(client, png, KEY)
    assert again.status_code == 200
    assert again.json()["id"] != first["id"]


def test_the_id_of_a_run_comes_from_its_caller_and_key(client: TestClient, png: bytes) -> None:
    run = with_key(client, png, KEY).json()
    assert run["id"] == "run_" + job_id_of("run", ANYONE, KEY)
    assert run["thread_id"] == "thr_" + job_id_of("run", ANYONE, KEY)
    ids = {
        job_id_of("run", "a", "k"),
        job_id_of("volume", "a", "k"),
        job_id_of("run", "b", "k"),
        job_id_of("run", "a", "l"),
        job_id_of("run", "a", "k", 1),
    }
    assert len(ids) == 5

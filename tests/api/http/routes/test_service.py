from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.http.app import create_app
from api.settings import Settings
from segmenter.errors import NoWorker, TransportDown
from tests.api.conftest import BASE_URL
from tests.api.doubles import CONCEPTS, MODEL, ServiceUnderTest
from tests.api.problems_seen import problem

KEY = "a-key-of-some-length-0123"
OTHER_KEY = "another-key-of-some-length"
GUARDED = ["/capabilities", "/images/img_" + "0" * 64, "/agent/runs/run_1", "/agent/threads/thr_1"]


@pytest.fixture
def guarded(service: ServiceUnderTest) -> Iterator[TestClient]:
    settings = Settings(api_keys=(SecretStr(KEY), SecretStr(OTHER_KEY)))
    app = create_app(settings, service.opener())
    with TestClient(app, base_url=BASE_URL, raise_server_exceptions=False) as opened:
        yield opened


def test_capabilities_say_what_can_be_asked_for(client: TestClient) -> None:
    found = client.get("/capabilities").json()
    assert found["model"] == MODEL.model_dump()
    assert found["concepts"] == list(CONCEPTS)
    assert found["prompts"] == ["text", "box", "text+box"]
    assert found["planners"] == {"available": ["rules"], "default": "rules"}
    assert {"png", "jpeg", "dicom"} <= set(found["image_formats"])
    assert found["limits"]["max_upload_bytes"] == 200_000
    assert found["limits"]["max_rounds"] == 3
    assert found["limits"]["max_pixels"] == 40_000_000
    assert found["limits"]["max_side"] == 32_768
    assert (found["limits"]["max_edits"], found["limits"]["max_targets"]) == (20, 4)
    assert found["disclaimer"] == "not a medical device"
    assert found["egress"] == "off"


def test_capabilities_without_a_worker_are_unavailable(
    client: TestClient, service: ServiceUnderTest
) -> None:
    service.segmenter.failure = NoWorker("nobody")
    response = client.get("/capabilities")
    problem(response, 503, "no-worker")
    assert int(response.headers["retry-after"]) >= 1


def test_a_live_process_says_so(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "live"}


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/v1/health/ready"])
def test_head_says_what_get_says_without_a_body(
    client: TestClient, service: ServiceUnderTest, path: str
) -> None:
    assert (client.head(path).status_code, client.head(path).content) == (200, b"")
    service.workers = ()
    assert client.head(path).status_code == client.get(path).status_code


def test_ready_means_a_worker_with_a_model_and_an_agent_worker(client: TestClient) -> None:
    assert client.get("/health/ready").json() == {
        "status": "ready",
        "workers": 1,
        "agent_workers": 1,
        "model": MODEL.model_dump(),
    }


@pytest.mark.parametrize(
    ("workers", "agent_workers", "commands"),
    [(0, 1, ["medsam3 worker"]), (1, 0, ["medsam3 agent-worker", "MEDSAM3_RUN_SLOTS"])],
)
def test_readiness_counts_who_lives_and_says_what_to_start(
    client: TestClient,
    service: ServiceUnderTest,
    workers: int,
    agent_workers: int,
    commands: list[str],
) -> None:
    service.workers, service.agent_workers = service.workers[:workers], agent_workers
    response = client.get("/health/ready")
    detail = problem(response, 503, "not-ready")["detail"]
    assert f"workers alive: {workers}, agent workers alive: {agent_workers};" in detail
    for command in commands:
        assert command in detail
    assert ("medsam3 worker" in detail) == (workers == 0)
    assert "retry-after" in response.headers


def test_without_a_queue_it_is_not_ready(client: TestClient, service: ServiceUnderTest) -> None:
    service.workers_failure = TransportDown("redis://user:secret@host is out")
    response = client.get("/health/ready")
    assert "queue" in problem(response, 503, "not-ready")["detail"]
    assert "secret" not in response.text


@pytest.mark.parametrize("path", GUARDED)
def test_without_a_key_nothing_is_told(guarded: TestClient, path: str) -> None:
    for prefix in ("", "/v1"):
        response = guarded.get(prefix + path)
        problem(response, 401, "not-authenticated")
        assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/segment", "/agent/segment", "/images"])
def test_without_a_key_no_body_is_read(guarded: TestClient, path: str) -> None:
    problem(guarded.post(path, content=b"{"), 401, "not-authenticated")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"X-API-Key": KEY},
        {"X-API-Key": OTHER_KEY},
    ],
)
def test_either_header_and_every_key_let_in(guarded: TestClient, headers: dict[str, str]) -> None:
    assert guarded.get("/capabilities", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"X-API-Key": KEY + "x"},
        {"X-API-Key": "é" * 20},
        {"X-API-Key": ""},
    ],
)
def test_a_wrong_key_is_refused_and_not_repeated(
    guarded: TestClient, headers: dict[str, str]
) -> None:
    sent = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    response = guarded.get("/capabilities", headers=sent)
    problem(response, 401, "not-authenticated")
    assert KEY[:-1] not in response.text


def test_health_needs_no_key(guarded: TestClient) -> None:
    assert guarded.get("/health/live").status_code == 200
    assert guarded.get("/health/ready").status_code == 200


def test_callers_do_not_share_idempotency_keys(guarded: TestClient, png: bytes) -> None:
    def ask(key: str) -> str:
        run = guarded.post(
            "/agent/segment",
            files={"image": png},
            data={"request": "the polyp"},
            headers={"X-API-Key": key, "Idempotency-Key": "1"},
        ).json()
        return str(run["id"])

    assert ask(KEY) == ask(KEY) != ask(OTHER_KEY)


def test_every_answer_wears_the_security_headers(client: TestClient) -> None:
    for path in ("/health/live", "/nowhere", "/agent/runs/run_1"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["referrer-policy"] == "no-referrer"


def test_other_sites_pages_are_kept_out(client: TestClient, png: bytes) -> None:
    response = client.post(
        "/segment",
        files={"image": png},
        data={"concept": "bright spot"},
        headers={"Origin": "https://evil.example"},
    )
    found = problem(response, 403, "foreign-origin")
    assert "Origin and Host differ" in found["detail"]
    assert "access-control-allow-origin" not in response.headers


def test_the_services_own_pages_are_let_in(client: TestClient) -> None:
    response = client.get("/health/live", headers={"Origin": BASE_URL})
    assert response.status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[::1", ""])
def test_without_a_key_only_loopback_names_are_answered(client: TestClient, host: str) -> None:
    found = problem(client.get("/health/live", headers={"Host": host}), 403, "foreign-origin")
    assert "MEDSAM3_ALLOWED_HOSTS" in found["detail"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "127.0.0.1:8000", "[::1]:8000"])
def test_the_loopback_has_several_names(client: TestClient, host: str) -> None:
    assert client.get("/health/live", headers={"Host": host}).status_code == 200


def test_hosts_can_be_named(service: ServiceUnderTest) -> None:
    app = create_app(Settings(allowed_hosts=("seg.clinic.example",)), service.opener())
    with TestClient(app, base_url="http://seg.clinic.example") as client:
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/live", headers={"Host": "127.0.0.1"}).status_code == 403


def test_routes_and_methods_that_do_not_exist_are_problems(client: TestClient) -> None:
    problem(client.get("/nowhere"), 404, "route-not-found")
    response = client.get("/segment")
    problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        (f"/agent/threads/thr_{'a' * 32}", "DELETE, GET"),
        (f"/segment/volume/vol_{'a' * 32}", "DELETE, GET"),
        ("/v1/images", "POST"),
        ("/health/live", "GET, HEAD"),
    ],
)
def test_a_method_that_is_not_there_is_told_of_all_that_are(
    client: TestClient, path: str, methods: str
) -> None:
    response = client.patch(path)
    problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == methods


def test_the_document_needs_the_key_where_there_is_one(
    client: TestClient, guarded: TestClient
) -> None:
    assert client.get("/openapi.json").json()["openapi"].startswith("3.")
    problem(guarded.get("/openapi.json"), 401, "not-authenticated")
    assert guarded.get("/openapi.json", headers={"X-API-Key": KEY}).status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_that_loads_foreign_scripts_is_served(client: TestClient, path: str) -> None:
    problem(client.get(path), 404, "route-not-found")

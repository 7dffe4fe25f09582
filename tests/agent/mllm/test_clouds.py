"""Gemini elsewhere, Vertex AI and Azure OpenAI: the real SDKs against loopback servers."""

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from agent.errors import EgressForbidden, MllmUnavailable, PlannerNotConfigured
from agent.mllm.connections import direct_client
from agent.mllm.contract import Mllm
from agent.mllm.factory import build_mllm
from agent.mllm.servers import Azure, Vertex, address_of
from agent.planners.mllm import MllmPlanner
from agent.schemas.plan import Plan
from tests.agent.examples import plan_answer, question
from tests.agent.loopback import Loopback, Received, Step, loopback, says, sends

TOKEN = {"access_token": "ya29.token", "expires_in": 3600, "token_type": "Bearer"}
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _redirecting_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set all that the SDKs would take from the environment."""
    for name in (
        "OPENAI_BASE_URL",
        "AZURE_OPENAI_ENDPOINT",
        "GOOGLE_GEMINI_BASE_URL",
        "GOOGLE_VERTEX_BASE_URL",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
    ):
        monkeypatch.setenv(name, NOWHERE)
    for name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"):
        monkeypatch.setenv(name, "from-the-environment")
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_CLOUD_PROJECT", "OPENAI_ORG_ID"):
        monkeypatch.setenv(name, "from-the-environment")
    for name in ("GOOGLE_CLOUD_LOCATION", "OPENAI_API_VERSION", "GOOGLE_GENAI_API_VERSION"):
        monkeypatch.setenv(name, "from-the-environment")
    monkeypatch.setenv("GOOGLE_API_USE_MTLS_ENDPOINT", "always")
    monkeypatch.delenv("NO_PROXY", raising=False)


def planned(mllm: Mllm) -> Plan:
    async def ask() -> Plan:
        try:
            return (await MllmPlanner(mllm).plan(question(), timeout_s=10)).plan
        finally:
            await mllm.aclose()

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture
def tokens() -> Iterator[Loopback]:
    with loopback(sends(TOKEN)) as server:
        yield server


@pytest.fixture
def key_file(tmp_path: Path, pem: str, tokens: Loopback) -> Path:
    path = tmp_path / "key.json"
    key = {
        "type": "service_account",
        "project_id": "hospital",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": "medsam3@hospital.iam.gserviceaccount.com",
        "token_uri": f"{tokens.url}/token",
    }
    path.write_text(json.dumps(key))
    return path


def header(received: Received, name: str) -> str | None:
    return {key.lower(): value for key, value in received.headers.items()}.get(name)


def vertex(url: str, key_file: Path | None, **rest: Any) -> Mllm:
    return build_mllm(
        "gemini",
        model="gemini-3.8-flash",
        api_key=SecretStr("unused"),
        base_url=url,
        vertex=Vertex("hospital", "europe-west4", key_file),
        retries=0,
        **rest,
    )


def test_gemini_is_asked_at_another_address() -> None:
    with loopback(says(plan_answer())) as server:
        mllm = build_mllm(
            "gemini", model="gemini-x", api_key=SecretStr("our-key"), base_url=f"{server.url}/proxy"
        )
        assert planned(mllm).decision == "segment"
    (received,) = server.received
    assert received.path == "/proxy/v1beta/models/gemini-x:generateContent"
    assert header(received, "x-goog-api-key") == "our-key"
    assert "from-the-environment" not in str(received.headers)


def test_vertex_ai_is_asked_with_a_service_account(key_file: Path, tokens: Loopback) -> None:
    with loopback(says(plan_answer())) as server:
        assert planned(vertex(server.url, key_file)).decision == "segment"
    (received,) = server.received
    assert received.path == (
        "/v1beta1/projects/hospital/locations/europe-west4"
        "/publishers/google/models/gemini-3.8-flash:generateContent"
    )
    assert header(received, "authorization") == "Bearer ya29.token"
    assert header(received, "x-goog-api-key") is None
    assert received.settings["responseJsonSchema"]
    (asked,) = tokens.received
    assert asked.body["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    claims = asked.body["assertion"].split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert said["scope"] == "https://www.googleapis.com/auth/cloud-platform"


def test_vertex_ai_is_asked_with_the_credentials_of_the_machine(
    key_file: Path, tokens: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file))
    with loopback(says(plan_answer())) as server:
        assert planned(vertex(server.url, None, egress="deidentified")).decision == "segment"
    assert header(server.received[0], "authorization") == "Bearer ya29.token"
    assert len(tokens.received) == 1


def test_a_token_is_fetched_once(key_file: Path, tokens: Loopback) -> None:
    async def twice(planner: MllmPlanner) -> None:
        for _ in range(2):
            await planner.plan(question(), timeout_s=10)

    with loopback(says(plan_answer())) as server:
        asyncio.run(twice(MllmPlanner(vertex(server.url, key_file))))
    assert (len(server.received), len(tokens.received)) == (2, 1)


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(sends({"error": "invalid_grant"}, status=400), id="refused"),
        pytest.param(Step(drop=True), id="dropped"),
        pytest.param(Step(status=302, headers={"Location": NOWHERE}), id="redirected"),
        pytest.param(Step(body=b"<html>", content_type="text/html"), id="no JSON"),
    ],
)
def test_without_a_token_nothing_is_sent(
    step: Step, tmp_path: Path, pem: str, key_file: Path
) -> None:
    with loopback(step) as tokens, loopback(says(plan_answer())) as server:
        key = json.loads(key_file.read_text()) | {"token_uri": f"{tokens.url}/token"}
        key_file.write_text(json.dumps(key))
        with pytest.raises(MllmUnavailable) as caught:
            planned(vertex(server.url, key_file))
    assert caught.value.reason == "no access token"
    assert server.received == []


def test_tokens_too_are_fetched_inside_only_while_egress_is_off(key_file: Path) -> None:
    with pytest.raises(EgressForbidden, match=r"oauth2.googleapis.com"):
        vertex("http://127.0.0.1:1", None)
    key = json.loads(key_file.read_text()) | {"token_uri": "https://tokens.example.com/"}
    key_file.write_text(json.dumps(key))
    with pytest.raises(EgressForbidden, match=r"tokens.example.com"):
        vertex("http://127.0.0.1:1", key_file)
    key_file.write_text(json.dumps(key | {"token_uri": "http://tokens.example.com/"}))
    with pytest.raises(EgressForbidden, match="https only"):
        vertex("http://127.0.0.1:1", key_file, egress="deidentified")


@pytest.mark.parametrize("content", [None, "", "[]", '{"type": "authorized_user"}', "secret"])
def test_a_file_that_is_no_key_is_refused(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(PlannerNotConfigured, match="no key file of a service account"):
        vertex("http://127.0.0.1:1", path)


def test_a_key_file_without_its_key_is_refused(key_file: Path) -> None:
    key = json.loads(key_file.read_text()) | {"private_key": "-----BEGIN secret"}
    key_file.write_text(json.dumps(key))
    with pytest.raises(PlannerNotConfigured) as caught:
        vertex("http://127.0.0.1:1", key_file)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("global", "https://aiplatform.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com"),
    ],
)
def test_vertex_ai_stands_where_its_location_says_and_outside(location: str, url: str) -> None:
    project = Vertex("hospital", location)
    assert address_of("gemini", None, project) == url
    with pytest.raises(EgressForbidden, match="egress is off"):
        build_mllm("gemini", model="m", api_key=SecretStr("k"), vertex=project)


def test_azure_openai_is_asked_at_its_deployment() -> None:
    with loopback(says(plan_answer("bbox_2d"))) as server:
        mllm = build_mllm(
            "openai",
            model="gpt-5.4",
            api_key=SecretStr("azure-key"),
            base_url=f"{server.url}/",
            azure=Azure("prod-1", "2024-10-21"),
            retries=0,
        )
        assert mllm.model == "gpt-5.4"
        assert planned(mllm).decision == "segment"
    (received,) = server.received
    assert received.path == ("/openai/deployments/prod-1/chat/completions?api-version=2024-10-21")
    assert header(received, "api-key") == "azure-key"
    assert header(received, "authorization") is None
    assert "from-the-environment" not in str(received.headers)
    assert received.settings["response_format"]["type"] == "json_schema"


def test_azure_s_content_filter_is_a_refusal_and_its_errors_are_told() -> None:
    filtered = {
        "error": {
            "message": "The response was filtered",
            "code": "content_filter",
            "status": 400,
            "innererror": {"code": "ResponsibleAIPolicyViolation"},
        }
    }
    for status, body, reason in (
        (400, filtered, "refused"),
        (401, {"error": {"code": "401", "message": "wrong key"}}, "answered 401"),
        (404, {"error": {"code": "DeploymentNotFound", "message": "x"}}, "answered 404"),
    ):
        with loopback(sends(body, status=status)) as server:
            mllm = build_mllm(
                "openai",
                model="m",
                api_key=SecretStr("k"),
                base_url=server.url,
                azure=Azure("prod-1", "2024-10-21"),
                retries=0,
            )
            with pytest.raises(Exception) as caught:  # noqa: PT011 - the reason is looked at
                planned(mllm)
        assert getattr(caught.value, "reason", None) == reason


def test_azure_outside_needs_egress() -> None:
    with pytest.raises(EgressForbidden, match=r"hospital.openai.azure.com: egress is off"):
        build_mllm(
            "openai",
            model="m",
            api_key=SecretStr("k"),
            base_url="https://hospital.openai.azure.com",
            azure=Azure("prod-1", "2024-10-21"),
        )


def test_a_client_sends_to_its_host_only() -> None:
    async def ask(url: str) -> int:
        async with direct_client("127.0.0.1") as client:
            return (await client.post(url, json={})).status_code

    with loopback(Step()) as server:
        assert asyncio.run(ask(server.url)) == 200
        with pytest.raises(httpx2.ConnectError):
            asyncio.run(ask(server.url.replace("127.0.0.1", "localhost")))
    assert len(server.received) == 1

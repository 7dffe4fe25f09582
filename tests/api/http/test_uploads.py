"""Hostile and broken bodies: refused with the right status, counted while they stream."""

import asyncio
import json
import struct
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from api.http.app import create_app
from api.settings import Settings
from tests.api.conftest import BASE_URL
from tests.api.doubles import ServiceUnderTest
from tests.api.problems_seen import fields, problem

BRIGHT = [{"text": "bright spot"}]
# max_upload_bytes of 200,000 as base64, and the margin.
BODY_LIMIT = 200_000 * 4 // 3 + 2**20


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds no pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + end


def test_a_text_file_is_not_an_image(client: TestClient) -> None:
    secret = b"Patient: Jane Doe\n" * 20
    response = client.post("/images", files={"image": ("scan.png", secret, "image/png")})
    problem(response, 415, "unsupported-image")
    assert "Jane" not in response.text


def test_a_declared_giant_is_refused_before_decoding(client: TestClient) -> None:
    response = client.post("/images", files={"image": png_header(60_000, 60_000)})
    problem(response, 413, "image-too-large")


def test_a_truncated_image_is_broken(client: TestClient, png: bytes) -> None:
    response = client.post("/images", files={"image": png[:-40]})
    problem(response, 422, "broken-image")
    assert fields(response) == ["image"]


def test_an_empty_file_is_not_an_image(client: TestClient) -> None:
    problem(client.post("/images", files={"image": b""}), 415, "unsupported-image")


def test_a_file_name_leads_nowhere(client: TestClient, png: bytes) -> None:
    response = client.post("/images", files={"image": ("../../etc/passwd\x00.png", png)})
    assert response.status_code == 201
    assert "passwd" not in response.text


def test_a_body_over_the_limit_is_refused_by_its_declared_length(client: TestClient) -> None:
    response = client.post("/images", files={"image": b"\x00" * (BODY_LIMIT + 1)})
    problem(response, 413, "body-too-large")


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=frontier"]
)
def test_a_body_without_a_length_is_counted_as_it_streams(
    client: TestClient, content_type: str
) -> None:
    sent = 0

    def stream() -> Iterator[bytes]:
        nonlocal sent
        yield b'--frontier\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        for _ in range(100):
            sent += 1
            yield b"\x00" * 100_000

    response = client.post("/images", content=stream(), headers={"Content-Type": content_type})
    problem(response, 413, "body-too-large")


def test_reading_stops_at_the_limit(service: ServiceUnderTest, settings: Settings) -> None:
    sent = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b" " * 100_000

    async def post() -> httpx2.Response:
        app = create_app(settings, service.opener())
        async with app.router.lifespan_context(app):
            transport = httpx2.ASGITransport(app)
            async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client:
                headers = {"Content-Type": "application/json"}
                return await client.post("/segment", content=stream(), headers=headers)

    problem(asyncio.run(post()), 413, "body-too-large")
    assert sent <= BODY_LIMIT // 100_000 + 2


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=frontier"])
def test_a_client_that_leaves_in_the_middle_is_no_failure_of_ours(
    service: ServiceUnderTest, settings: Settings, kind: str
) -> None:
    messages: list[Any] = [
        {"type": "http.request", "body": b"--frontier\r\n", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[dict[str, object]] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def post() -> None:
        app = create_app(settings, service.opener())
        async with app.router.lifespan_context(app):
            scope = {
                "type": "http",
                "method": "POST",
                "path": "/images",
                "raw_path": b"/images",
                "query_string": b"",
                "headers": [(b"host", b"127.0.0.1"), (b"content-type", kind.encode())],
            }
            await app(scope, receive, send)

    asyncio.run(post())
    assert sent[0]["status"] == 400


def test_a_lying_content_length_changes_nothing(client: TestClient) -> None:
    response = client.post(
        "/images",
        content=iter([b"\x00" * (BODY_LIMIT + 1)]),
        headers={"Content-Type": "application/json", "Content-Length": "5"},
    )
    problem(response, 413, "body-too-large")


def test_an_image_over_its_own_limit_is_refused(client: TestClient) -> None:
    # Fits into the body's margin, not into what one image may have.
    content = b"\x89PNG\r\n\x1a\n" + b"\x00" * 1_100_000
    problem(client.post("/images", files={"image": content}), 413, "image-too-large")


def test_form_fields_are_capped_in_size_and_number(client: TestClient, png: bytes) -> None:
    long = client.post("/segment", files={"image": png}, data={"concept": "x" * 200_000})
    problem(long, 400, "malformed-body")
    many = client.post(
        "/segment", files={"image": png}, data={f"field{number}": "x" for number in range(40)}
    )
    problem(many, 400, "malformed-body")


def test_a_second_file_is_refused(client: TestClient, png: bytes) -> None:
    response = client.post("/segment", files=[("image", png)] * 3)
    problem(response, 422, "invalid-field")
    assert fields(response) == ["image"]


def test_a_file_under_another_name_is_refused(client: TestClient, png: bytes) -> None:
    response = client.post("/segment", files={"picture": png}, data={"concept": "a"})
    problem(response, 422, "invalid-field")
    assert fields(response) == ["picture"]


def test_an_image_as_text_of_a_form_is_refused(client: TestClient, png_text: str) -> None:
    response = client.post("/segment", files={"image": (None, png_text)})
    problem(response, 422, "invalid-field")
    assert fields(response) == ["image"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[" * 100_000, b'{"prompts": "\xff"}', b'{"prompts":[{"text":"\\ud800"}]}'],
    ids=["empty", "cut", "deep", "not UTF-8", "lone surrogate"],
)
def test_what_is_no_json_is_malformed(client: TestClient, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    problem(client.post("/segment", content=content, headers=headers), 400, "malformed-body")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("prompts", [{"prompts": BRIGHT}, {"concept": "bright spot"}])
def test_numbers_that_are_none_are_refused(
    client: TestClient, png_text: str, number: str, prompts: dict[str, object]
) -> None:
    body = json.dumps({"image": png_text, **prompts})
    content = f'{body[:-1]}, "threshold": {number}}}'
    response = client.post(
        "/segment", content=content, headers={"Content-Type": "application/json"}
    )
    problem(response, 422, "invalid-field")
    assert fields(response) == ["threshold"]


def test_a_json_list_is_no_body(client: TestClient) -> None:
    response = client.post("/segment", json=[1, 2])
    problem(response, 422, "invalid-field")
    assert fields(response) == ["body"]


@pytest.mark.parametrize(
    "content",
    [b"", b"no frontier at all", b"--frontier\r\nbroken\r\n\r\n--frontier--"],
    ids=["empty", "no parts", "no name"],
)
def test_what_is_no_form_is_malformed_or_lacks_its_fields(
    client: TestClient, content: bytes
) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=frontier"}
    response = client.post("/segment", content=content, headers=headers)
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


def test_a_form_without_a_boundary_is_malformed(client: TestClient) -> None:
    headers = {"Content-Type": "multipart/form-data"}
    problem(client.post("/segment", content=b"x", headers=headers), 400, "malformed-body")


@pytest.mark.parametrize("kind", ["image/png", "text/plain", "application/x-www-form-urlencoded"])
def test_other_kinds_of_bodies_are_unsupported(client: TestClient, kind: str) -> None:
    response = client.post("/segment", content=b"x", headers={"Content-Type": kind})
    problem(response, 415, "unsupported-media-type")


def test_a_field_name_is_cut_and_cleaned_before_it_is_repeated(
    client: TestClient, png_text: str
) -> None:
    name = "\x1b[31m" + "x" * 500
    response = client.post("/segment", json={"image": png_text, "prompts": BRIGHT, name: 1})
    problem(response, 422, "invalid-field")
    assert len(fields(response)[0]) <= 64
    assert "\x1b" not in response.json()["errors"][0]["field"]
    assert "\\u001b" not in response.text


ROUTES = ("/segment", "/agent/segment", "/images", "/segment/volume")
UNKNOWN = {f"field{number}": 1 for number in range(20_000)}
# Quadratic it took 15 s.
SOON_S = 5.0


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("shortcut", [{}, {"concept": "bright spot"}], ids=["plain", "short form"])
def test_thousands_of_unknown_fields_are_refused_soon(
    client: TestClient, path: str, shortcut: dict[str, object]
) -> None:
    started = time.monotonic()
    response = client.post(path, json=shortcut | UNKNOWN)
    assert time.monotonic() - started < SOON_S
    problem(response, 422, "invalid-field")
    assert "at most 64 fields" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/segment", "prompts", [UNKNOWN]),
        ("/segment", "prompts", [{"text": "a"}] * 30_000),
        ("/agent/segment", "edits", [{"unknown": 1}] * 9_000),
        ("/agent/segment", "edits", [{"action": "accept"}] * 30_000),
    ],
    ids=["fields of a prompt", "prompts", "fields of edits", "edits"],
)
@pytest.mark.parametrize("kind", ["form", "JSON"])
def test_thousands_of_items_are_refused_soon(
    client: TestClient, path: str, name: str, value: object, kind: str
) -> None:
    started = time.monotonic()
    if kind == "form":
        # A field of a form has a limit of its own.
        text = json.dumps(value)[: 2**17 - 1]
        response = client.post(path, files={name: (None, text)})
    else:
        response = client.post(path, json={name: value})
    assert time.monotonic() - started < SOON_S
    problem(response, 422, "invalid-field")
    assert len(response.json()["errors"]) <= 10


def test_the_first_faults_are_named_and_all_are_counted(client: TestClient) -> None:
    body = {"prompts": [{"text": "a", "unknown": 1}] * 16}
    found = problem(client.post("/segment", json=body), 422, "invalid-field")
    assert found["detail"] == "16 invalid fields; the first 10 are named"
    assert [item["field"] for item in found["errors"]] == [
        f"prompts[{index}].unknown" for index in range(10)
    ]


def test_base64_may_be_broken_by_blanks_anywhere(client: TestClient, png_text: str) -> None:
    response = client.post("/images", json={"image": " \r\n".join(png_text)})
    assert response.status_code == 201


@pytest.mark.parametrize(
    "text",
    ["QQ==QQ==", "QUJ", "ä", "=", "QUJD" * 262_143 + "QQ==QUJD"],
    ids=["padded twice", "cut", "no letter", "padding alone", "padded at a window's end"],
)
def test_what_is_no_base64_is_refused(client: TestClient, text: str) -> None:
    response = client.post("/images", json={"image": text})
    problem(response, 422, "invalid-field")
    assert fields(response) == ["image"]


@pytest.mark.parametrize("origin", ["http://[", "null", "http://evil@127.0.0.1:8000"])
def test_a_foreign_or_broken_origin_is_refused(client: TestClient, origin: str) -> None:
    response = client.get("/health/live", headers={"Origin": origin})
    problem(response, 403, "foreign-origin")

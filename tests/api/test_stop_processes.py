"""SIGTERM in the middle of long work: every client gets an answer, and the process ends in time."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
import yaml
from PIL import Image

from tests.api.problems_seen import problem
from tests.api.test_connection_processes import answer_of, head, until_closed
from tests.api.test_processes import HEADERS, KEY, free_port, process, until_ready
from tests.paths import ROOT, SAMPLES
from tests.redis_server import RedisServer

SAMPLE = (SAMPLES / "busi_tumor.jpg").read_bytes()
# So many, of sixteen prompts each, take the model far longer than a stop lets them.
REQUESTS = 60
PROMPTS = [{"text": "breast tumor"}, {"text": "polyp"}] * 8
# Of the machine, which does other things too.
SLACK_S = 5.0
WAIT_S = 120.0


def grace_s() -> float:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    return float(yaml.safe_load(text)["services"]["api"]["stop_grace_period"].removesuffix("s"))


def segment(client: httpx2.Client, number: int) -> httpx2.Response:
    # Bytes behind the end of a JPEG make it another picture.
    return client.post(
        "/segment",
        files={"image": SAMPLE + str(number).encode()},
        data={"prompts": json.dumps(PROMPTS)},
    )


def ask(client: httpx2.Client, **headers: str) -> httpx2.Response:
    return client.post(
        "/agent/segment",
        files={"image": SAMPLE},
        data={"request": "Outline the breast tumour"},
        headers=headers,
    )


def volume(url: str, folder: Path) -> str:
    page = Image.open(SAMPLES / "busi_tumor.jpg").convert("L")
    page.save(folder / "stack.tif", save_all=True, append_images=[page] * 200)
    answer = httpx2.post(
        f"{url}/segment/volume",
        files={"files": (folder / "stack.tif").read_bytes()},
        data={"prompt": "breast tumor"},
        headers=HEADERS,
        timeout=WAIT_S,
    )
    assert answer.status_code == 202, answer.text
    found: str = answer.json()["id"]
    return found


def stream(url: str, path: str) -> tuple[str, float]:
    """Read events until their end; return them and when that was."""
    with httpx2.stream("GET", url + path, headers=HEADERS, timeout=WAIT_S) as answer:
        return "".join(answer.iter_text()), time.monotonic()


@pytest.fixture(params=["alone", "redis"])
def environ(request: pytest.FixtureRequest, redis_server: RedisServer) -> dict[str, str]:
    own = {
        "PATH": os.environ["PATH"],
        "MEDSAM3_API_KEYS": KEY,
        "MEDSAM3_CLIENT_SHARE": "1",
        # On a busy machine a stop takes longer than an upload may by default.
        "MEDSAM3_UPLOAD_GRACE_S": "60",
    }
    if request.param == "redis":
        own["MEDSAM3_REDIS_URL"] = redis_server.url
        own["MEDSAM3_REDIS_PREFIX"] = f"stop-{os.getpid()}"
    return own


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def served(environ: dict[str, str], stack: ExitStack, folder: Path, name: str):
    port, log = free_port(), folder / f"{name}.log"
    child = stack.enter_context(process("serve", "--port", str(port), environ=environ, log=log))
    until_ready(f"http://127.0.0.1:{port}", 1, log)
    return child, port


def slow_upload(port: int) -> socket.socket:
    upload = socket.create_connection(("127.0.0.1", port), WAIT_S)
    key = f"X-API-Key: {KEY}\r\n\r\n".encode()
    upload.sendall(head(port, "/segment/volume", 10_000_000)[:-2] + key + b"--frontier\r\n")
    return upload


def check_refused(answers: list[httpx2.Response]) -> None:
    assert answers
    for answer in answers:
        problem(answer, 503, "stopping")
        assert int(answer.headers["retry-after"]) >= 1


def test_a_stop_answers_everyone_and_ends_in_time(
    environ: dict[str, str], stack: ExitStack, tmp_path: Path
) -> None:
    is_shared = "MEDSAM3_REDIS_URL" in environ
    if is_shared:
        stack.enter_context(process("worker", environ=environ, log=tmp_path / "worker.log"))
    child, port = served(environ, stack, tmp_path, "first")
    url = f"http://127.0.0.1:{port}"
    pool = stack.enter_context(ThreadPoolExecutor(REQUESTS + 4))
    # One for all: each of its own would take time before it connects.
    client = stack.enter_context(httpx2.Client(base_url=url, headers=HEADERS, timeout=WAIT_S))
    volume_id = volume(url, tmp_path)
    events = pool.submit(stream, url, f"/segment/volume/{volume_id}/events")
    run = ask(client, Prefer="respond-async").json()
    steps = pool.submit(stream, url, f"/agent/runs/{run['id']}/events")
    answers: list[Future[httpx2.Response]] = [
        pool.submit(segment, client, number) for number in range(REQUESTS)
    ]
    answers += [pool.submit(ask, client) for _ in range(2)]
    upload = stack.enter_context(slow_upload(port))
    time.sleep(2.0)

    stopped = time.monotonic()
    child.send_signal(signal.SIGTERM)
    for each in (events, steps):
        _, ended = each.result()
        assert ended - stopped < SLACK_S
    status = child.wait(grace_s())
    assert time.monotonic() - stopped < grace_s() - SLACK_S
    assert status == 0
    check_refused([each.result() for each in answers if each.result().status_code != 200])
    answer = answer_of(upload)
    assert answer.startswith(b"HTTP/1.1 503"), answer
    assert until_closed(upload) == b""

    if is_shared:
        _, other = served(environ, stack, tmp_path, "second")
        until_found(f"http://127.0.0.1:{other}", run["run_url"])


def until_found(url: str, path: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while (answer := httpx2.get(url + path, headers=HEADERS, timeout=WAIT_S)).status_code == 202:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert answer.json()["status"] == "found", answer.text

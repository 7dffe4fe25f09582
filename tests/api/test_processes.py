"""Two API processes and two workers on one Redis, with the bundled model: nothing is doubled."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from segmenter.backends.compact.backend import WEIGHTS
from segmenter.backends.compact.metadata import METADATA
from tests.api.problems_seen import problem
from tests.paths import ROOT, SAMPLES
from tests.redis_server import RedisServer

START_S = 60.0
STOP_S = 30.0
KEY = "a-key-of-some-length"
HEADERS = {"X-API-Key": KEY}
REQUEST = "Outline the breast tumour"


@dataclass
class Deployment:
    """Two API processes and the workers behind them."""

    urls: list[str]
    workers: list[subprocess.Popen[bytes]]

    def client(self, number: int) -> httpx2.Client:
        return httpx2.Client(base_url=self.urls[number], headers=HEADERS, timeout=60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def process(
    *argv: str, environ: dict[str, str], log: Path, killable: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command; unless a test may kill it, it must end well on SIGTERM."""
    command = [sys.executable, "-m", "api", *argv]
    with log.open("wb") as lines:
        child = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdout=lines, stderr=subprocess.STDOUT
        )
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(STOP_S)
            finally:
                child.kill()
    text = log.read_text(encoding="utf-8", errors="replace")
    assert child.returncode in ((0, -signal.SIGKILL) if killable else (0,)), text[-2000:]
    assert "Traceback" not in text, text[-2000:]
    assert '"exception"' not in text, text[-2000:]


def until_ready(url: str, workers: int, log: Path) -> None:
    def is_ready(answer: httpx2.Response) -> bool:
        return answer.status_code == 200 and answer.json()["workers"] == workers

    until_health(url, is_ready, log)


def until_health(url: str, is_so: Callable[[httpx2.Response], bool], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            if is_so(httpx2.get(f"{url}/health/ready", timeout=5)):
                return
        except httpx2.TransportError:
            pass
        assert time.monotonic() < deadline, log.read_text(encoding="utf-8")[-2000:]
        time.sleep(0.1)


@pytest.fixture(scope="module")
def weights() -> None:
    assert (WEIGHTS / METADATA).exists(), f"the bundled weights are missing: {WEIGHTS}"


@pytest.fixture(scope="module")
def deployment(
    weights: None, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("processes")
    environ = {
        "PATH": os.environ["PATH"],
        "MEDSAM3_REDIS_URL": redis_server.url,
        "MEDSAM3_REDIS_PREFIX": f"processes-{os.getpid()}",
        "MEDSAM3_API_KEYS": KEY,
    }
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                process(
                    "worker",
                    environ=environ,
                    log=folder / f"worker{number}.log",
                    killable=number == 1,
                )
            )
            for number in range(2)
        ]
        for port in ports:
            log = folder / f"{port}.log"
            stack.enter_context(process("serve", "--port", str(port), environ=environ, log=log))
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        for port, url in zip(ports, urls, strict=True):
            until_ready(url, 2, folder / f"{port}.log")
        yield Deployment(urls, workers)


def ask(client: httpx2.Client, **headers: str) -> httpx2.Response:
    return client.post(
        "/agent/segment",
        files={"image": (SAMPLES / "busi_tumor.jpg").read_bytes()},
        data={"request": REQUEST},
        headers=headers,
    )


def test_what_one_process_stores_the_other_finds(deployment: Deployment) -> None:
    with deployment.client(0) as first, deployment.client(1) as second:
        image = (SAMPLES / "dsb2018_nuclei.jpg").read_bytes()
        image_id = first.post("/images", files={"image": image}).json()["image_id"]
        response = second.post(
            "/segment", json={"image_id": image_id, "prompts": [{"text": "nuclei"}]}
        )
        assert response.status_code == 200, response.text
        result = response.json()["results"][0]
        assert result["masks"], result["reason"]


def test_an_erasure_in_one_process_breaks_no_request_in_another(deployment: Deployment) -> None:
    picture = (SAMPLES / "busi_tumor.jpg").read_bytes()
    done = threading.Event()

    def erase_again_and_again() -> list[int]:
        codes = []
        with deployment.client(0) as client:
            while not done.is_set():
                thread = ask(client).json()["thread_id"]
                codes.append(client.delete(f"/agent/threads/{thread}").status_code)
        return codes

    with ThreadPoolExecutor() as pool, deployment.client(1) as client:
        eraser = pool.submit(erase_again_and_again)
        try:
            codes = [ask(client).status_code for _ in range(10)]
            for _ in range(40):
                files, fields = {"image": picture}, {"concept": "breast tumor"}
                codes.append(client.post("/segment", files=files, data=fields).status_code)
        finally:
            done.set()
        assert set(eraser.result()) == {204}
    assert set(codes) == {200}


def test_a_run_goes_on_in_another_process_and_can_be_erased(deployment: Deployment) -> None:
    with deployment.client(0) as first, deployment.client(1) as second:
        run = ask(first).json()
        assert run["status"] == "found", run
        assert second.get(f"/agent/runs/{run['id']}").json() == run
        assert second.get(run["overlay_url"]).content.startswith(b"\x89PNG")
        follow_up = second.post(
            "/agent/segment", json={"request": "only the largest", "thread_id": run["thread_id"]}
        )
        assert follow_up.status_code == 200, follow_up.text
        assert first.delete(f"/agent/threads/{run['thread_id']}").status_code == 204
        problem(second.get(f"/agent/runs/{run['id']}"), 404, "run-not-found")


def test_a_key_runs_once_across_processes(deployment: Deployment) -> None:
    def send(number: int) -> httpx2.Response:
        with deployment.client(number) as client:
            return ask(client, **{"Idempotency-Key": "across"})

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(send, (0, 1)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes in ([200, 200], [200, 409])
    ids = {answer.json()["id"] for answer in (*answers, send(0), send(1)) if answer.is_success}
    assert len(ids) == 1


def test_a_client_that_goes_away_does_not_stop_its_run(deployment: Deployment) -> None:
    headers = {"Idempotency-Key": "gone"}
    with deployment.client(0) as client, pytest.raises(httpx2.ReadTimeout):
        client.post(
            "/agent/segment",
            files={"image": (SAMPLES / "busi_normal.jpg").read_bytes()},
            data={"request": REQUEST},
            headers=headers,
            timeout=httpx2.Timeout(60, read=0.02),
        )
    deadline = time.monotonic() + START_S
    with deployment.client(1) as client:
        while True:
            answer = client.post(
                "/agent/segment",
                files={"image": (SAMPLES / "busi_normal.jpg").read_bytes()},
                data={"request": REQUEST},
                headers=headers,
            )
            if answer.status_code != 409:
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert answer.headers["idempotency-replayed"] == "true"


def test_the_command_line_sees_the_workers(
    deployment: Deployment, redis_server: RedisServer
) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "MEDSAM3_REDIS_URL": redis_server.url,
        "MEDSAM3_REDIS_PREFIX": f"processes-{os.getpid()}",
    }
    command = [sys.executable, "-m", "api", "doctor", "--worker", "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    diagnosis: dict[str, Any] = json.loads(done.stdout)
    assert (
        diagnosis["checks"][0]["found"] == "Redis answers, workers alive: 2, agent workers alive: 2"
    )


def test_a_killed_worker_is_missed_by_nobody(deployment: Deployment) -> None:
    deployment.workers[1].kill()
    with deployment.client(0) as client:
        for _ in range(4):
            response = ask(client)
            assert response.status_code == 200, response.text

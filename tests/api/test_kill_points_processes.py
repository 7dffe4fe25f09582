"""A job that was accepted is carried out, wherever its process is killed while it is accepted."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2
import nibabel
import numpy as np
import pytest

from api.http.auth import ANYONE
from api.http.idempotency import job_id_of
from tests.api.test_processes import free_port, process, until_ready
from tests.paths import ROOT, SAMPLES
from tests.redis_server import RedisServer

IMAGE = (SAMPLES / "busi_tumor.jpg").read_bytes()
SCAN = nibabel.Nifti1Image(np.eye(64, dtype=np.uint8)[..., None].repeat(2, 2), np.eye(4)).to_bytes()
# A relay comes round every five seconds.
PATIENCE_S = 60.0
# No store takes more steps to accept a job; a loop that found more would never end.
MOST_STEPS = 60


class Deployment(NamedTuple):
    """How the service is set up; `shared` tells whether several processes of it can be up."""

    environ: dict[str, str]
    shared: bool


@pytest.fixture
def deployment(request: pytest.FixtureRequest, stores: str, tmp_path: Path) -> Deployment:
    environ = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
    if "redis" in stores:
        server: RedisServer = request.getfixturevalue("redis_server")
        environ["MEDSAM3_REDIS_URL"] = server.url
        environ["MEDSAM3_REDIS_PREFIX"] = f"kills-{uuid4().hex[:8]}"
    if stores == "sqlite":
        environ["MEDSAM3_STATE_URL"] = f"sqlite:///{tmp_path}/state.db"
    elif "postgres" in stores:
        environ["MEDSAM3_STATE_URL"] = request.getfixturevalue("postgres")
    return Deployment(environ, shared="redis" in stores)


@contextmanager
def whole(on: Deployment, log: Path) -> Iterator[httpx2.Client]:
    """Run the service as it should be."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        if on.shared:
            stack.enter_context(
                process("worker", environ=on.environ, log=log.with_name("worker.log"))
            )
        stack.enter_context(process("serve", "--port", str(port), environ=on.environ, log=log))
        until_ready(url, 1, log)
        yield stack.enter_context(httpx2.Client(base_url=url, timeout=60))


def send(url: str, kind: str, key: str) -> httpx2.Response:
    if kind == "run":
        return httpx2.post(
            f"{url}/agent/segment",
            files={"image": IMAGE},
            data={"request": "Outline the breast tumour"},
            headers={"Prefer": "respond-async", "Idempotency-Key": key},
            timeout=60,
        )
    return httpx2.post(
        f"{url}/segment/volume",
        files={"files": SCAN},
        data={"prompt": "left ventricle"},
        headers={"Idempotency-Key": key},
        timeout=60,
    )


def send_and_kill(
    on: Deployment, kind: str, key: str, step: int, log: Path
) -> httpx2.Response | None:
    """Have a job accepted by a process that dies at a step; None if it died before it answered."""
    port = free_port()
    job_id = job_id_of(kind, ANYONE, key)  # type: ignore[arg-type]
    # It accepts; what it accepted it does not carry out.
    environ = {**on.environ, "MEDSAM3_RUN_SLOTS": "0"}
    command = [sys.executable, "-m", "tests.api.dying_serve", job_id, str(step)]
    with log.open("wb") as lines:
        child = subprocess.Popen(
            [*command, "serve", "--port", str(port)],
            cwd=ROOT,
            env=environ,
            stdout=lines,
            stderr=subprocess.STDOUT,
        )
    try:
        until_alive(f"http://127.0.0.1:{port}", log)
        try:
            return send(f"http://127.0.0.1:{port}", kind, key)
        except httpx2.TransportError:
            return None
    finally:
        child.kill()
        assert child.wait(10) == -signal.SIGKILL, log.read_text(encoding="utf-8")[-2000:]


def until_alive(url: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            httpx2.get(f"{url}/health/live", timeout=5)
        except httpx2.TransportError:
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")[-2000:]
            time.sleep(0.05)
        else:
            return


def ended(client: httpx2.Client, url: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = client.get(url)
        found: dict[str, Any] = answer.json()
        if answer.status_code == 200 and found["status"] not in ("queued", "running"):
            return found
        assert answer.status_code in (200, 202), answer.text
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)


def check_done(client: httpx2.Client, kind: str, job: dict[str, Any]) -> None:
    """A job ended well, once; the stream of its events ends too."""
    url = job["run_url"] if kind == "run" else f"/segment/volume/{job['id']}"
    found = ended(client, url)
    assert found["status"] == ("found" if kind == "run" else "done"), found
    told = client.get(f"{url}/events").text
    assert told.count(f"event: {kind}.created") == 1
    assert told.count(f"event: {kind}.completed") == 1
    if kind == "run":
        thread = client.get(f"/agent/threads/{job['thread_id']}").json()
        assert thread["runs"] == [job["id"]]


@pytest.mark.parametrize(
    ("stores", "kind"),
    [
        ("redis", "run"),
        pytest.param("redis", "volume", marks=pytest.mark.slow),
        pytest.param("sqlite", "run", marks=pytest.mark.slow),
        pytest.param("postgres and redis", "run", marks=pytest.mark.slow),
    ],
)
def test_a_job_is_accepted_whole_or_not_at_all(
    deployment: Deployment, kind: str, tmp_path: Path
) -> None:
    """Killed at every step of accepting, and at the answer; nothing is lost and nothing doubled."""
    with ExitStack() as stack:
        if deployment.shared:
            client = stack.enter_context(whole(deployment, tmp_path / "serve.log"))
        for step in count(1):
            assert step < MOST_STEPS
            key = f"key-{step}"
            answer = send_and_kill(deployment, kind, key, step, tmp_path / f"{step}.log")
            with ExitStack() as again:
                if not deployment.shared:
                    log = tmp_path / f"{step}-again.log"
                    client = again.enter_context(whole(deployment, log))
                if answer is not None:
                    # Accepted: nobody asks again, and it runs.
                    assert answer.status_code == 202, answer.text
                    check_done(client, kind, answer.json())
                    break
                repeated = send(str(client.base_url).rstrip("/"), kind, key)
                assert repeated.status_code == 202, repeated.text
                check_done(client, kind, repeated.json())
        assert step > 4, "the job was accepted in fewer steps than a store takes"

"""Runs carried out by processes of their own, which come and go; the bundled model for a tool."""

import asyncio
import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from agent.schemas.runs import AgentRequest
from api.bootstrap.parts import open_parts
from api.bootstrap.setup import Setup
from api.settings import Settings
from segmenter.backends.compact.backend import CompactBackend
from tests.api.problems_seen import problem
from tests.api.test_processes import (
    HEADERS,
    KEY,
    ask,
    free_port,
    process,
    until_health,
    until_ready,
)
from tests.paths import SAMPLES
from tests.redis_server import RedisServer


def until(log: Path, words: str) -> None:
    deadline = time.monotonic() + 60.0
    while words not in log.read_text(encoding="utf-8", errors="replace"):
        assert time.monotonic() < deadline, log.read_text(encoding="utf-8")[-2000:]
        time.sleep(0.1)


def test_runs_go_to_agent_workers_and_outlive_them(
    redis_server: RedisServer, postgres: str, tmp_path: Path
) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "MEDSAM3_REDIS_URL": redis_server.url,
        "MEDSAM3_REDIS_PREFIX": f"agents-{os.getpid()}",
        "MEDSAM3_API_KEYS": KEY,
        "MEDSAM3_STATE_URL": postgres,
    }
    port, log = free_port(), tmp_path / "serve.log"
    with ExitStack() as stack:
        stack.enter_context(process("worker", environ=environ, log=tmp_path / "worker.log"))
        idle = {**environ, "MEDSAM3_RUN_SLOTS": "0"}
        stack.enter_context(process("serve", "--port", str(port), environ=idle, log=log))
        url = f"http://127.0.0.1:{port}"
        missing = "workers alive: 1, agent workers alive: 0; start medsam3 agent-worker"
        until_health(url, lambda answer: missing in answer.text, log)
        client = stack.enter_context(httpx2.Client(base_url=url, headers=HEADERS, timeout=60))
        problem(ask(client), 503, "no-worker")

        first = tmp_path / "first.log"
        with process("agent-worker", environ=environ, log=first, killable=True) as worker:
            until(first, "carrying runs out")
            assert ask(client).json()["status"] == "found"
            worker.send_signal(signal.SIGKILL)
            worker.wait(10)
            begun = ask(client, Prefer="respond-async").json()
        # Nobody carries it out now; the next one does.
        second = tmp_path / "second.log"
        stack.enter_context(process("agent-worker", environ=environ, log=second))
        deadline = time.monotonic() + 60.0
        while (answer := client.get(begun["run_url"])).status_code == 202:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert answer.json()["status"] == "found"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_service_alone_goes_on_with_what_it_had_begun(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    on_server = kind == "postgres"
    state = request.getfixturevalue(kind) if on_server else f"sqlite:///{tmp_path}/state.db"
    port, environ = free_port(), {"PATH": os.environ["PATH"], "MEDSAM3_STATE_URL": state}
    url, first, second = f"http://127.0.0.1:{port}", tmp_path / "1.log", tmp_path / "2.log"
    with (
        process("serve", "--port", str(port), environ=environ, log=first, killable=True) as service,
        httpx2.Client(base_url=url, timeout=60) as client,
    ):
        until_ready(url, 1, first)
        before = ask(client).json()
        service.send_signal(signal.SIGKILL)
        service.wait(10)
    begun = begin_and_die(state)
    with (
        process("serve", "--port", str(port), environ=environ, log=second),
        httpx2.Client(base_url=url, timeout=60) as client,
    ):
        until_ready(url, 1, second)
        assert client.get(f"/agent/runs/{before['id']}").json() == before
        deadline = time.monotonic() + 60.0
        while client.get(f"/agent/runs/{begun}").status_code in (202, 404):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        run = client.get(f"/agent/runs/{begun}").json()
        assert run["status"] == "found"
        again = ask_more(client, run["thread_id"])
        assert again.status_code == 200, again.text


def begin_and_die(state: str) -> str:
    """Take a run on and carry nothing out, as a process that is killed right then."""

    async def begin() -> str:
        settings = Settings.model_validate({"state_url": state, "run_slots": 0})
        async with open_parts(Setup(settings, lambda settings: CompactBackend())) as parts:
            image = await parts.images.put((SAMPLES / "busi_tumor.jpg").read_bytes())
            asked = AgentRequest(request="Outline the breast tumour", image=image)
            return (await parts.agent.accept(asked)).job.public_id

    return asyncio.run(begin())


def ask_more(client: httpx2.Client, thread_id: str) -> httpx2.Response:
    return client.post(
        "/agent/segment", json={"request": "only the largest", "thread_id": thread_id}
    )


@pytest.mark.parametrize("command", ["worker", "agent-worker"])
def test_a_worker_without_a_queue_says_what_it_needs(command: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(AssertionError), process(command, environ={}, log=log) as child:
        assert child.wait(60) == 2
    assert "MEDSAM3_REDIS_URL" in log.read_text(encoding="utf-8")

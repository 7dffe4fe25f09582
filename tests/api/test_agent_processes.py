"""Runs carried out by processes of their own, which come and go; the bundled model for a tool."""

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.api.problems_seen import problem
from tests.api.test_processes import HEADERS, KEY, ask, free_port, process, until_ready
from tests.redis_server import RedisServer


def until(log: Path, words: str) -> None:
    deadline = time.monotonic() + 60.0
    while words not in log.read_text(encoding="utf-8", errors="replace"):
        assert time.monotonic() < deadline, log.read_text(encoding="utf-8")[-2000:]
        time.sleep(0.1)


def test_runs_go_to_agent_workers_and_outlive_them(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "MEDSAM3_REDIS_URL": redis_server.url,
        "MEDSAM3_REDIS_PREFIX": f"agents-{os.getpid()}",
        "MEDSAM3_API_KEYS": KEY,
        "MEDSAM3_STATE_URL": f"sqlite:///{tmp_path}/state.db",
    }
    port, log = free_port(), tmp_path / "serve.log"
    with ExitStack() as stack:
        stack.enter_context(process("worker", environ=environ, log=tmp_path / "worker.log"))
        idle = {**environ, "MEDSAM3_RUN_SLOTS": "0"}
        stack.enter_context(process("serve", "--port", str(port), environ=idle, log=log))
        url = f"http://127.0.0.1:{port}"
        until_ready(url, 1, log)
        client = stack.enter_context(httpx.Client(base_url=url, headers=HEADERS, timeout=60))
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


@pytest.mark.parametrize("command", ["worker", "agent-worker"])
def test_a_worker_without_a_queue_says_what_it_needs(command: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(AssertionError), process(command, environ={}, log=log) as child:
        assert child.wait(60) == 2
    assert "MEDSAM3_REDIS_URL" in log.read_text(encoding="utf-8")

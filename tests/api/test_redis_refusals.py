"""A Redis that answers and refuses, as clients and whoever starts a process see it."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import redis
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.bootstrap.parts import open_parts
from api.bootstrap.setup import Setup
from api.cli.main import main
from api.http.app import create_app
from api.settings import Settings
from segmenter.backends.compact.backend import CompactBackend
from tests.api.conftest import BASE_URL
from tests.api.problems_seen import problem
from tests.api.test_processes import free_port, process, until_health
from tests.paths import SAMPLES
from tests.redis_server import RedisServer

SECRET = "a-secret-of-redis"
WRONG = "not-the-secret"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    opened = RedisServer(tmp_path, password=SECRET)
    yield opened
    opened.stop()


def denied(server: RedisServer) -> str:
    return server.stranger_url.replace("://", f"://:{WRONG}@")


def configured(server: RedisServer, *command: str) -> str:
    with redis.Redis.from_url(server.url) as client:
        client.execute_command(*command)
    return server.url


def read_only(server: RedisServer) -> str:
    return configured(server, "REPLICAOF", "127.0.0.1", "1")


def full(server: RedisServer) -> str:
    return configured(server, "CONFIG", "SET", "maxmemory", "1")


REFUSALS = [
    pytest.param(denied, "queue-login-refused", "refuses the login", id="login"),
    pytest.param(read_only, "queue-read-only", "takes no writes", id="read-only"),
    pytest.param(full, "queue-out-of-memory", "is full", id="full"),
]


@pytest.mark.parametrize(("fault", "slug", "words"), REFUSALS)
def test_clients_are_told_what_redis_refuses(
    server: RedisServer, fault: Callable[[RedisServer], str], slug: str, words: str
) -> None:
    settings = Settings(redis_url=SecretStr(fault(server)), run_slots=0)
    app = create_app(settings, partial(open_parts, Setup(settings, lambda _: CompactBackend())))
    with TestClient(app, base_url=BASE_URL) as client:
        ready = client.get("/health/ready")
        assert words in problem(ready, 503, "not-ready")["detail"]
        image = (SAMPLES / "busi_tumor.jpg").read_bytes()
        answer = client.post("/segment", files={"image": image}, data={"concept": "breast tumor"})
        assert words in problem(answer, 503, slug)["title"]
        assert ("retry-after" in answer.headers) == (fault is not denied)
    for text in (ready.text, answer.text):
        assert WRONG not in text
        assert SECRET not in text


@pytest.mark.parametrize("command", [["doctor", "--worker"], ["worker"], ["agent-worker"]])
@pytest.mark.parametrize(("fault", "slug", "words"), REFUSALS)
def test_commands_say_what_redis_refuses_and_what_to_do(
    server: RedisServer,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    fault: Callable[[RedisServer], str],
    slug: str,
    words: str,
) -> None:
    assert main(command, {"MEDSAM3_REDIS_URL": fault(server)}) == 1
    said = "".join(capsys.readouterr())
    assert f"Redis {words}" in said
    assert server.stranger_url.split("/")[2] in said
    assert WRONG not in said
    assert SECRET not in said


def test_a_service_does_not_start_where_redis_refuses_its_login(
    server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["serve", "--port", str(free_port())]
    assert main(command, {"MEDSAM3_REDIS_URL": denied(server)}) == 1
    said = capsys.readouterr().err
    assert "error: Redis refuses the login" in said
    assert WRONG not in said


def test_a_service_starts_beside_a_full_redis_and_says_so(
    server: RedisServer, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "serve.log"
    environ = {"MEDSAM3_REDIS_URL": full(server), "MEDSAM3_RUN_SLOTS": "0"}
    with process("serve", "--port", str(port), environ=environ, log=log):
        until_health(f"http://127.0.0.1:{port}", lambda answer: "Redis is full" in answer.text, log)
    said = log.read_text(encoding="utf-8")
    assert said.startswith("warning: Redis is full")
    assert "serving on" in said
    assert SECRET not in said

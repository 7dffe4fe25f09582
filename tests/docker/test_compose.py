"""The compose file: parsed, checked, and each service's command run as a process.

No Docker engine is needed: what a container would run is started here with the same command and
environment; only host names and ports are replaced by free ones on the loopback.
"""

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.settings import load_settings
from tests.paths import ROOT

KEY = "compose-test-key-0123456789abcdef"
START_S = 60.0
STOP_S = 30.0


def substitute(value: Any, given: dict[str, str]) -> Any:
    """Resolve ``${A:-default}``, ``${A-default}`` and ``${A:?message}`` as compose does."""
    if isinstance(value, dict):
        return {key: substitute(part, given) for key, part in value.items()}
    if isinstance(value, list):
        return [substitute(part, given) for part in value]
    if not isinstance(value, str):
        return value

    def resolve(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if given.get(name) or (name in given and kind == "-"):
            return given[name]
        assert kind in (":-", "-"), f"{name} is required: {rest}"
        return rest

    return re.sub(r"\$\{(\w+)(:-|:\?|-)([^}]*)\}", resolve, value)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = substitute(yaml.safe_load(text), {"MEDSAM3_API_KEYS": KEY})["services"]
    return found


def test_the_profiles_offer_a_cpu_a_gpu_and_a_local_mllm(services: dict[str, Any]) -> None:
    assert {name: service.get("profiles") for name, service in services.items()} == {
        "redis": None,
        "api": None,
        "worker": ["cpu"],
        "worker-gpu": ["gpu"],
        "mllm": ["local-mllm"],
    }


def test_every_service_has_a_health_check_and_a_bounded_stop(services: dict[str, Any]) -> None:
    assert all(service["healthcheck"]["test"] for service in services.values())


def test_ports_are_published_on_the_loopback_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:8000:8000"]


def test_nothing_leaves_and_no_key_is_set_by_default(services: dict[str, Any]) -> None:
    environment = services["api"]["environment"]
    assert environment["MEDSAM3_EGRESS"] == "off"
    assert environment["MEDSAM3_PLANNER"] == "rules"
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert "MEDSAM3_API_KEYS: ${MEDSAM3_API_KEYS:?" in text


@pytest.mark.parametrize(
    "name",
    [
        "MEDSAM3_GEMINI_MODEL",
        "MEDSAM3_GEMINI_API_KEY",
        "MEDSAM3_GEMINI_BASE_URL",
        "MEDSAM3_VERTEX_PROJECT",
        "MEDSAM3_VERTEX_LOCATION",
        "MEDSAM3_VERTEX_CREDENTIALS",
        "MEDSAM3_OPENAI_API_KEY",
        "MEDSAM3_AZURE_ENDPOINT",
        "MEDSAM3_AZURE_DEPLOYMENT",
        "MEDSAM3_AZURE_API_VERSION",
        "MEDSAM3_AZURE_API_KEY",
    ],
)
def test_what_an_mllm_needs_is_handed_on_and_not_set_by_default(
    services: dict[str, Any], name: str
) -> None:
    environment = services["api"]["environment"]
    assert environment[name] == ""
    without = {key: value for key, value in environment.items() if key != name}
    assert load_settings(environment) == load_settings(without)
    raw = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    given = {"MEDSAM3_API_KEYS": KEY, name: "given"}
    assert substitute(raw, given)["services"]["api"]["environment"][name] == "given"


def test_the_queue_forgets_nothing(services: dict[str, Any]) -> None:
    command = services["redis"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert command[command.index("--appendonly") + 1] == "yes"


@pytest.mark.parametrize("name", ["api", "worker", "worker-gpu"])
def test_an_image_runs_without_root_and_says_how_it_is(services: dict[str, Any], name: str) -> None:
    dockerfile = ROOT / services[name]["build"]["dockerfile"]
    lines = dockerfile.read_text(encoding="utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["10001"]
    assert any(line.startswith("HEALTHCHECK ") for line in lines)
    copied = [
        line.split()[1] for line in lines if line.startswith("COPY ") and "--from" not in line
    ]
    assert all((ROOT / part).exists() for part in copied)
    command = next(line.removeprefix("CMD ") for line in lines if line.startswith("CMD "))
    assert json.loads(command) == services[name]["command"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    command: list[str], environment: dict[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command; at the end it must go on SIGTERM within the grace time."""
    log = folder / f"{Path(command[0]).name}-{command[1]}.log"
    with log.open("wb") as lines:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=lines, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            finally:
                process.kill()
    assert process.returncode == 0, log.read_text(encoding="utf-8", errors="replace")[-2000:]


def environment_of(service: dict[str, Any], redis_port: int, home: Path) -> dict[str, str]:
    """The service's environment and nothing of ours but the path."""
    given = {key: str(value) for key, value in service["environment"].items()}
    given["MEDSAM3_REDIS_URL"] = given["MEDSAM3_REDIS_URL"].replace(
        "redis:6379", f"127.0.0.1:{redis_port}"
    )
    scripts = Path(sys.executable).parent
    return {"PATH": f"{scripts}:{os.environ['PATH']}", "HOME": str(home), **given}


def until_ready(url: str) -> dict[str, Any]:
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                ready: dict[str, Any] = json.load(answer)
                return ready
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert time.monotonic() < deadline, f"{url} is not ready after {START_S} s"
            time.sleep(0.2)


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        url,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def test_the_services_commands_work_together_as_processes(
    services: dict[str, Any], tmp_path: Path
) -> None:
    assert shutil.which("redis-server"), "redis-server is missing: make tools"
    redis_port, api_port = free_port(), free_port()
    sample = sorted((ROOT / "api" / "samples").glob("*tumor*.jpg"))[0]
    with ExitStack() as stack:
        redis = [*services["redis"]["command"], "--port", str(redis_port), "--bind", "127.0.0.1"]
        stack.enter_context(running(redis, {"PATH": os.environ["PATH"]}, tmp_path))
        worker = environment_of(services["worker"], redis_port, tmp_path)
        stack.enter_context(running(services["worker"]["command"], worker, tmp_path))
        api = environment_of(services["api"], redis_port, tmp_path)
        command = [part.replace("8000", str(api_port)) for part in services["api"]["command"]]
        stack.enter_context(running(command, api, tmp_path))

        url = f"http://127.0.0.1:{api_port}"
        until_ready(f"{url}/health/ready")
        answer = post(
            f"{url}/agent/segment",
            {
                "request": "outline the mass",
                "image": base64.b64encode(sample.read_bytes()).decode(),
            },
        )
        assert answer["status"] == "found"
        for name, environment in (("worker", worker), ("api", api)):
            test = [
                part.replace("8000", str(api_port))
                for part in services[name]["healthcheck"]["test"][1:]
            ]
            test[0] = sys.executable if test[0] == "python" else test[0]
            done = subprocess.run(
                test, env=environment, cwd=tmp_path, capture_output=True, timeout=30, check=False
            )
            assert done.returncode == 0, done.stderr.decode()

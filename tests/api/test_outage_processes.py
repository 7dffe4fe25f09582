"""What becomes of a run when Redis is out of reach while it is accepted, or while it runs."""

import os
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx2
import pytest

from api.http.auth import ANYONE
from api.http.idempotency import job_id_of
from tests.api.test_kill_points_processes import check_done, send
from tests.api.test_processes import free_port, process, until_ready
from tests.redis_server import RedisServer
from tests.wire import BreakingWire

# Longer than anybody waits for the store.
OUTAGE_S = 12.0


@pytest.mark.parametrize("swallow", [True, False], ids=["its answer is lost", "it is lost"])
@pytest.mark.parametrize("silent_s", [0.0, OUTAGE_S])
def test_a_key_is_not_used_up_by_an_outage(
    silent_s: float, swallow: bool, redis_server: RedisServer, tmp_path: Path
) -> None:
    """The first request may be refused; the same one again is a run that ends well."""
    key, log = uuid4().hex, tmp_path / "serve.log"
    word = job_id_of("run", ANYONE, key).encode()
    environ = {"PATH": os.environ["PATH"], "MEDSAM3_REDIS_PREFIX": f"outage-{key[:8]}"}
    straight = {**environ, "MEDSAM3_REDIS_URL": redis_server.url}
    port, redis_port = free_port(), urlsplit(redis_server.url).port
    assert redis_port is not None
    with ExitStack() as stack:
        stack.enter_context(process("worker", environ=straight, log=tmp_path / "worker.log"))
        wire = BreakingWire(redis_port, b"tumour", silent_s=silent_s, swallow=swallow)
        stack.enter_context(wire)
        through = {**environ, "MEDSAM3_REDIS_URL": f"redis://127.0.0.1:{wire.port}/0"}
        stack.enter_context(process("serve", "--port", str(port), environ=through, log=log))
        url = f"http://127.0.0.1:{port}"
        until_ready(url, 1, log)
        client = stack.enter_context(httpx2.Client(base_url=url, timeout=60))
        first = send(url, "run", key)
        assert wire.breaks == 1
        assert first.status_code == (503 if silent_s else 202), first.text
        again = send(url, "run", key)
        while again.status_code == 503:
            time.sleep(1.0)
            again = send(url, "run", key)
        assert again.status_code == 202, again.text
        assert again.json()["id"] == "run_" + word.decode()
        check_done(client, "run", again.json())


def test_a_run_outlives_an_outage_of_redis(durable_redis: RedisServer, tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "MEDSAM3_REDIS_URL": durable_redis.url}
    port, log = free_port(), tmp_path / "serve.log"
    with ExitStack() as stack:
        stack.enter_context(process("worker", environ=environ, log=tmp_path / "worker.log"))
        stack.enter_context(process("serve", "--port", str(port), environ=environ, log=log))
        url = f"http://127.0.0.1:{port}"
        until_ready(url, 1, log)
        client = stack.enter_context(httpx2.Client(base_url=url, timeout=60))
        begun = send(url, "run", "key").json()
        durable_redis.kill()
        time.sleep(OUTAGE_S)
        durable_redis.start()
        deadline = time.monotonic() + 30.0
        while client.get(begun["run_url"]).status_code == 503:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        check_done(client, "run", begun)

"""A deployment on the loopback that is killed: Redis, and the processes around it.

Shared: one `Fleet` by the tasks of one event loop. A process that has ended, killed or not, is
started again by `supervise`; what it wrote is in the folder of logs.
"""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# A supervisor such as docker starts again at once, then ever later; this one within a second.
RESTART_S = (0.1, 1.0)
LOOK_S = 0.05
STOP_S = 10.0
# For how long Redis stays away.
OUTAGE_S = (0.5, 3.0)


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Child:
    """A process that is started again when it has ended.

    Attributes:
        port: that it serves HTTP on, 0 for none.
        due_at: when it may be started again, on the loop's clock.
    """

    name: str
    command: list[str]
    port: int = 0
    running: "subprocess.Popen[bytes] | None" = None
    due_at: float = 0.0


class Fleet:
    """Redis, two API processes, two workers, two agent workers.

    Attributes:
        kills: by name of the process.
        own_ends: how often a process ended that nobody killed.
    """

    def __init__(self, logs: Path, rng: random.Random, settings: Mapping[str, str]) -> None:
        """Describe the processes; nothing is started yet."""
        self.kills: Counter[str] = Counter()
        self.own_ends: Counter[str] = Counter()
        self._logs, self._rng = logs, rng
        port = free_port()
        self.redis_url = f"redis://127.0.0.1:{port}/0"
        self._redis = Child("redis", _redis_command(port, logs))
        self._environ = {
            "PATH": os.environ["PATH"],
            "OMP_NUM_THREADS": "1",
            **settings,
            "MEDSAM3_REDIS_URL": self.redis_url,
        }
        self.children = [_serve("serve-1"), _serve("serve-2")]
        for name in ("worker-1", "worker-2", "agent-worker-1", "agent-worker-2"):
            self.children.append(Child(name, _medsam3(name.rpartition("-")[0])))

    @property
    def urls(self) -> list[str]:
        """Addresses of the API processes."""
        return [f"http://127.0.0.1:{child.port}" for child in self.children if child.port]

    def start(self) -> None:
        """Start Redis and all others."""
        self._start(self._redis)
        for child in self.children:
            self._start(child)

    def kill(self, child: Child) -> None:
        """Kill a process, if it runs."""
        if child.running is not None and child.running.poll() is None:
            child.running.kill()
            self.kills[child.name] += 1
            self._plan_restart(child)

    def kill_at(self, url: str) -> None:
        """Kill the API process that has an address."""
        self.kill(next(child for child in self.children if url.endswith(f":{child.port}")))

    async def supervise(self) -> None:
        """Start again whoever has ended, until cancelled."""
        while True:
            for child in self.children:
                self._look_after(child)
            await asyncio.sleep(LOOK_S)

    async def restart_redis(self, sign: signal.Signals) -> None:
        """Stop or kill Redis and start it again a little later."""
        assert self._redis.running is not None
        self._redis.running.send_signal(sign)
        await asyncio.to_thread(self._redis.running.wait, STOP_S)
        self.kills["redis"] += 1
        await asyncio.sleep(self._rng.uniform(*OUTAGE_S))
        self._start(self._redis)

    def stop(self) -> None:
        """End everything that runs."""
        for child in (*self.children, self._redis):
            if child.running is not None:
                child.running.kill()
                child.running.wait(STOP_S)

    def _look_after(self, child: Child) -> None:
        assert child.running is not None
        if child.running.poll() is None:
            return
        now = asyncio.get_running_loop().time()
        if not child.due_at:
            self.own_ends[child.name] += 1
            self._plan_restart(child)
        elif now >= child.due_at:
            self._start(child)

    def _plan_restart(self, child: Child) -> None:
        child.due_at = asyncio.get_running_loop().time() + self._rng.uniform(*RESTART_S)

    def _start(self, child: Child) -> None:
        child.due_at = 0.0
        with (self._logs / f"{child.name}.log").open("ab") as log:
            child.running = subprocess.Popen(
                child.command, cwd=ROOT, env=self._environ, stdout=log, stderr=subprocess.STDOUT
            )


def _medsam3(*argv: str) -> list[str]:
    return [sys.executable, "-m", "api", *argv]


def _serve(name: str) -> Child:
    port = free_port()
    return Child(name, _medsam3("serve", "--port", str(port)), port)


def _redis_command(port: int, folder: Path) -> list[str]:
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    # What Redis has confirmed is on the disk.
    command += ["--appendonly", "yes", "--appendfsync", "always"]
    return [*command, "--dir", str(folder)]

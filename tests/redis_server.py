"""A real redis-server for tests: own port, own folder, no files left behind."""

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import redis

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0
MISSING = "redis-server is not installed: apt-get install redis-server (or brew install redis)"


class RedisServer:
    """Starts on construction; `durable` keeps the data over `kill` and `start`.

    With a `password` `url` holds it, and `stranger_url` does not.
    """

    def __init__(self, folder: Path, *, durable: bool = False, password: str = "") -> None:
        self._folder = folder
        self._durable = durable
        self._password = password
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        login = f":{password}@" if password else ""
        self.stranger_url = f"redis://127.0.0.1:{self._port}/0"
        self.url = f"redis://{login}127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError(MISSING)
        command = [program, "--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(self._folder), "--logfile", "redis.log"]
        if self._password:
            command += ["--requirepass", self._password]
        if self._durable:
            command += ["--appendonly", "yes", "--appendfsync", "always"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait_until_up()

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, sign: signal.Signals) -> None:
        self._process.send_signal(sign)
        self._process.wait(STOP_TIMEOUT_S)

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        with redis.Redis.from_url(self.url, socket_timeout=1.0) as client:
            while True:
                try:
                    client.ping()
                except redis.exceptions.ConnectionError:
                    if time.monotonic() > deadline or self._process.poll() is not None:
                        raise
                    time.sleep(0.05)
                else:
                    return

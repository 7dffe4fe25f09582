"""What the service costs above the model: ``POST /segment`` beside a plain handler, in one run.

    python -m benchmarks.service [--data ../shared/data] [--rounds N] [--requests N]

Starts `medsam3 serve` and `benchmarks.plain_service` on the loopback, each with the bundled model,
and asks both in turns, so that whatever else the machine does meets both. Pictures are fresh (no
two requests send the same bytes) or repeated (one picture; ours then keeps what it saw in it). The
exit status is 0 when the goals for fresh pictures are met. Linux only: it reads /proc.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from segmenter.training.dataset import read_rows

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = (ROOT / "api" / "samples" / "busi_tumor.jpg",)
SET, CONCEPT, PICTURES = "busi", "breast tumor", 40
OURS, PLAIN = "medsam3 serve", "plain handler"
COMMANDS = {OURS: ("api", "serve"), PLAIN: ("benchmarks.plain_service",)}
CLIENTS = (1, 32)
START_S, ANSWER_S, STOP_S = 60.0, 120.0, 30.0
# Goals: one client waits so much longer at most; many get so large a part of the throughput.
MAX_MORE_MS, MAX_MORE, MIN_PART = 5.0, 0.05, 0.95


@dataclass
class Measured:
    """Answers of one server under one load."""

    latencies_ms: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu_s: float = 0.0

    @property
    def p50_ms(self) -> float:
        """Half of the answers took no longer."""
        return median(self.latencies_ms)

    @property
    def p95_ms(self) -> float:
        """So did nineteen of twenty."""
        return quantiles(self.latencies_ms, n=20)[-1]

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return len(self.latencies_ms) / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Of all cores together, for one answer; other work on the machine hardly moves it."""
        return self.cpu_s * 1000 / len(self.latencies_ms)


class Server(NamedTuple):
    """A process that is asked."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Return the processor time it took so far."""
        facts = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(facts[11]) + int(facts[12])) / os.sysconf("SC_CLK_TCK")


class Load(NamedTuple):
    """How many ask at once, and whether each picture is another one."""

    clients: int
    fresh: bool


@contextmanager
def served(name: str) -> Iterator[Server]:
    """Start a server on a free port and wait until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *COMMANDS[name], "--port", str(port)]
    child = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL, cwd=ROOT)
    try:
        _await_listener(port)
        yield Server(port, child.pid)
    finally:
        child.terminate()
        child.wait(STOP_S)


def _await_listener(port: int) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def request_of(port: int, picture: bytes) -> bytes:
    """Write a form that asks for one concept in a picture."""
    frontier = "5f0c6d0e"
    before = (
        f'--{frontier}\r\nContent-Disposition: form-data; name="concept"\r\n\r\n{CONCEPT}\r\n'
        f'--{frontier}\r\nContent-Disposition: form-data; name="image"; filename="p"\r\n\r\n'
    ).encode()
    body = before + picture + f"\r\n--{frontier}--\r\n".encode()
    head = (
        f"POST /segment HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={frontier}\r\n\r\n"
    )
    return head.encode() + body


async def ask(port: int, requests: Iterable[bytes], spent_ms: list[float]) -> None:
    """Send requests one after the other on a connection that is kept, and time the answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for request in requests:
            started = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"not answered: {head[:200]!r}")
            await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))
            spent_ms.append((time.perf_counter() - started) * 1000)
    finally:
        writer.close()


async def measure(server: Server, load: Load, pictures: Iterator[bytes], each: int) -> Measured:
    """Let clients ask `each` times at once."""
    measured, started, port = Measured(), time.perf_counter(), server.port
    cpu_s = server.cpu_s()
    asking = [
        ask(port, [request_of(port, next(pictures)) for _ in range(each)], measured.latencies_ms)
        for _ in range(load.clients)
    ]
    async with asyncio.timeout(ANSWER_S * each):
        await asyncio.gather(*asking)
    measured.seconds = time.perf_counter() - started
    measured.cpu_s = server.cpu_s() - cpu_s
    return measured


def fresh(contents: Sequence[bytes]) -> Iterator[bytes]:
    """Yield pictures whose bytes never repeat: readers skip what is behind the end of a file."""
    for number in count():
        yield contents[number % len(contents)] + number.to_bytes(8, "big")


def repeated(contents: Sequence[bytes]) -> Iterator[bytes]:
    """Yield one picture for ever."""
    while True:
        yield contents[0]


def contents_of(data: Path | None) -> list[bytes]:
    """Read pictures of a train split, or the one that comes along."""
    if data is None:
        return [path.read_bytes() for path in SAMPLES]
    rows = [row for row in read_rows(data, "train", [SET]) if row.concept == CONCEPT]
    return [row.image.read_bytes() for row in rows[:PICTURES]]


def run(contents: Sequence[bytes], rounds: int, requests: int) -> dict[tuple[str, Load], Measured]:
    """Measure both servers under every load, in turns; the first round warms up."""
    found: dict[tuple[str, Load], Measured] = {}
    loads = [Load(clients, is_fresh) for clients in CLIENTS for is_fresh in (True, False)]
    streams = {True: fresh(contents), False: repeated(contents)}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(served(name)) for name in COMMANDS}
        for number, load in ((number, load) for number in range(rounds + 1) for load in loads):
            each = max(1, requests // load.clients)
            # Each goes first in every other round.
            for name in sorted(servers, reverse=number % 2 == 0):
                one = asyncio.run(measure(servers[name], load, streams[load.fresh], each))
                if number:
                    kept = found.setdefault((name, load), Measured())
                    kept.latencies_ms += one.latencies_ms
                    kept.seconds += one.seconds
                    kept.cpu_s += one.cpu_s
    return found


def table(found: dict[tuple[str, Load], Measured]) -> Iterator[str]:
    """Yield the lines of the table in the docs."""
    yield "| clients | pictures | | p50 ms | p95 ms | answers a second | CPU ms each |"
    yield "| --: | --- | --- | --: | --: | --: | --: |"
    for load in dict.fromkeys(load for _, load in found):
        for name in COMMANDS:
            one = found[name, load]
            kind = "fresh" if load.fresh else "repeated"
            figures = f"{one.p50_ms:.1f} | {one.p95_ms:.1f} | {one.per_s:.1f} | {one.cpu_ms:.0f}"
            yield f"| {load.clients} | {kind} | {name} | {figures} |"


def missed(found: dict[tuple[str, Load], Measured]) -> Iterator[str]:
    """Yield the goals that were not met, in words."""
    one, many = (Load(clients, True) for clients in CLIENTS)
    ours, plain = found[OURS, one].p50_ms, found[PLAIN, one].p50_ms
    limit = plain * (1 + MAX_MORE) + MAX_MORE_MS
    if ours > limit:
        yield f"one client waits {ours:.1f} ms, the goal is {limit:.1f}"
    part = found[OURS, many].per_s / found[PLAIN, many].per_s
    if part < MIN_PART:
        yield f"{many.clients} clients get {part:.2f} of the throughput, the goal is {MIN_PART}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service")
    parser.add_argument("--data", type=Path, help="take pictures of the train split in this folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=64, help="of each server, load and round")
    asked = parser.parse_args(argv)
    found = run(contents_of(asked.data), asked.rounds, asked.requests)
    print("\n".join(table(found)))
    faults = list(missed(found))
    print("\n".join(faults) or "the goals are met")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""A served process and clients that are slow, broken, many or hostile, over real sockets."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx2
import pytest

from tests.api.problems_seen import problem
from tests.api.test_processes import free_port, process, until_ready
from tests.paths import SAMPLES

HEADER_S = 2.0
GRACE_S = 3.0
# Generous: a machine that does other things too.
SOON_S = 20.0
BOUNDARY = "frontier"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
# A packet whose receiver delays its acknowledgement waits 40 ms.
DELAYED_ACK_S = 0.040
SAMPLE = SAMPLES / "busi_tumor.jpg"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    found, log = free_port(), tmp_path_factory.mktemp("served") / "serve.log"
    environ = {
        "PATH": os.environ["PATH"],
        "MEDSAM3_HEADER_TIMEOUT_S": str(HEADER_S),
        "MEDSAM3_UPLOAD_GRACE_S": str(GRACE_S),
        "MEDSAM3_MAX_CONNECTIONS": "240",
    }
    with process("serve", "--port", str(found), environ=environ, log=log):
        until_ready(f"http://127.0.0.1:{found}", 1, log)
        yield found


def connected(port: int, source: str = "127.0.0.1") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), SOON_S, source_address=(source, 0))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


@contextmanager
def many(port: int, number: int, first: bytes) -> Iterator[list[socket.socket]]:
    """Open connections and send the same bytes on each."""
    with ExitStack() as stack:
        opened = [stack.enter_context(connected(port)) for _ in range(number)]
        for each in opened:
            each.sendall(first)
        yield opened


def head(port: int, path: str, length: int, kind: str = FORM) -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Content-Type: {kind}",
        f"Content-Length: {length}",
    )
    return "\r\n".join((*lines, "", "")).encode()


def until_closed(connection: socket.socket) -> bytes:
    found = b""
    while piece := connection.recv(65536):
        found += piece
    return found


def answer_of(connection: socket.socket) -> bytes:
    """Read one answer with a length."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += connection.recv(65536)
    start, _, body = found.partition(b"\r\n\r\n")
    length = int(start.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return start + b"\r\n\r\n" + body


def segment(port: int) -> httpx2.Response:
    return httpx2.post(
        f"http://127.0.0.1:{port}/segment",
        files={"image": SAMPLE.read_bytes()},
        data={"concept": "breast tumor"},
        timeout=SOON_S,
    )


def test_answers_on_a_connection_that_is_kept_do_not_wait_for_acknowledgements(port: int) -> None:
    request = f"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    times = []
    with connected(port) as kept:
        for _ in range(30):
            started = time.monotonic()
            kept.sendall(request)
            assert answer_of(kept).startswith(b"HTTP/1.1 200")
            times.append(time.monotonic() - started)
    # Without TCP_NODELAY all but the first few take a delayed acknowledgement.
    assert sorted(times)[15] < DELAYED_ACK_S / 2


def test_heads_that_do_not_come_are_closed_within_their_deadline(port: int) -> None:
    with many(port, 50, b"POST /segment HTTP/1.1\r\nHost: 127") as slow:
        started = time.monotonic()
        while time.monotonic() - started < HEADER_S / 2:
            time.sleep(HEADER_S / 4)
            for each in slow:
                each.sendall(b".")
        answers = [until_closed(each) for each in slow]
        assert time.monotonic() - started < HEADER_S + SOON_S
    assert all(answer.startswith(b"HTTP/1.1 408") for answer in answers)
    body = json.loads(answers[0].partition(b"\r\n\r\n")[2])
    assert f"within {HEADER_S:g} s" in body["detail"]


def test_the_head_of_a_later_request_has_the_same_deadline(port: int) -> None:
    request = f"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    with connected(port) as kept:
        kept.sendall(request)
        answer_of(kept)
        kept.sendall(request[:20])
        assert until_closed(kept).startswith(b"HTTP/1.1 408")


def test_a_connection_on_which_nothing_comes_is_closed(port: int) -> None:
    with connected(port) as silent:
        assert until_closed(silent).startswith(b"HTTP/1.1 408")


def test_what_is_no_http_is_a_problem(port: int) -> None:
    with connected(port) as broken:
        broken.sendall(b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n")
        answer = until_closed(broken)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in answer


def test_slow_uploads_are_cut_and_keep_nobody_from_asking(port: int) -> None:
    """As many as requests are worked on at once, on every route that takes a body."""
    paths = ("/segment", "/agent/segment", "/images", "/segment/volume")
    with ExitStack() as stack:
        slow = []
        for path in paths:
            first = head(port, path, 100_000) + f"--{BOUNDARY}\r\n".encode()
            slow += stack.enter_context(many(port, 20, first))
        answers = [segment(port) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200] * 3, answers[0].text
        for each in slow:
            answer = answer_of(each)
            assert answer.startswith(b"HTTP/1.1 408"), answer
            assert b"bytes a second" in answer


def test_what_comes_of_a_body_that_nobody_reads_has_a_deadline(port: int) -> None:
    started = time.monotonic()
    with connected(port) as slow:
        slow.sendall(head(port, "/segment", 100_000, "text/plain"))
        assert answer_of(slow).startswith(b"HTTP/1.1 415")
        with suppress(ConnectionError):
            while time.monotonic() - started < SOON_S:
                slow.sendall(b"x")
                time.sleep(0.2)
    assert HEADER_S / 2 < time.monotonic() - started < SOON_S


def test_one_address_has_its_share_of_the_connections(port: int) -> None:
    request = f"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    with many(port, 120, b""):
        with connected(port) as refused:
            assert until_closed(refused).startswith(b"HTTP/1.1 429")
        with connected(port, source="127.0.0.2") as other:
            other.sendall(request)
            assert answer_of(other).startswith(b"HTTP/1.1 200")


def test_abandoned_bodies_keep_nobody_from_asking(port: int) -> None:
    """Nothing is done for clients that left, and what a body takes is not paid on the loop."""
    body = json.dumps({f"field{number}": 1 for number in range(600_000)}).encode()
    for path in ("/segment", "/agent/segment", "/images", "/segment/volume"):
        for _ in range(3):
            with connected(port) as left:
                left.sendall(head(port, path, len(body), "application/json") + body)
    started = time.monotonic()
    live = httpx2.get(f"http://127.0.0.1:{port}/health/live", timeout=SOON_S)
    assert live.status_code == 200
    assert segment(port).status_code == 200
    assert time.monotonic() - started < SOON_S


@pytest.mark.parametrize("host", ["evil@127.0.0.1", "127.0.0.1:80:80", "127.0.0.1/x", "a b"])
def test_a_host_that_is_none_is_refused(port: int, host: str) -> None:
    answer = httpx2.get(f"http://127.0.0.1:{port}/health/live", headers={"Host": host})
    problem(answer, 403, "foreign-origin")


@pytest.mark.slow
def test_an_answer_that_nobody_takes_ends_its_connection(port: int) -> None:
    request = f"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    with socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.connect(("127.0.0.1", port))
        # Far more than lies between the two.
        greedy.sendall(request * 200)
        started = time.monotonic()
        # A closed connection is seen by what is written to it.
        with suppress(ConnectionError):
            while time.monotonic() - started < 3 * SOON_S:
                time.sleep(1.0)
                greedy.send(b"x", socket.MSG_DONTWAIT)
        assert time.monotonic() - started < 3 * SOON_S

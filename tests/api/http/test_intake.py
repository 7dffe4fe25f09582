"""What bodies take of what all clients share, and that it is given back."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.requests import Request

from api.errors import ApiError, BodyTooSlow, ClientLeft, TooManyRequests
from api.http.intake import PARSERS, Intake, Pace, unless_gone

Receive = Callable[[], Awaitable[Any]]
FAST = Pace(grace_s=5.0, bytes_per_s=1)


def intake(pace: Pace = FAST, max_requests: int = 4) -> Intake:
    return Intake(max_requests=max_requests, largest=100, client_share=0.5, pace=pace)


def request(receive: Receive, client: str = "one") -> Request:
    made = Request({"type": "http", "headers": [], "state": {}}, receive)
    made.state.client = client
    return made


def sending(*pieces: bytes, rest_s: float = 0.0) -> Receive:
    left = list(pieces)

    async def receive() -> Any:
        if not left:
            await asyncio.sleep(3600)
        await asyncio.sleep(rest_s)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return receive


async def read(taken: Intake, receive: Receive, held: ExitStack, client: str = "one") -> bytes:
    body = await taken.read(request(receive, client), held, timeout_s=60.0)
    return bytes(body.buffer())


def test_what_a_request_took_is_given_back_when_it_ends() -> None:
    async def run() -> None:
        taken = intake()
        with ExitStack() as held:
            assert await read(taken, sending(b"a" * 60, b"b" * 30), held) == b"a" * 60 + b"b" * 30
            assert (taken.bytes.taken, taken.requests.taken, taken.uploads.taken) == (90, 1, 0)
        assert (taken.bytes.taken, taken.requests.taken) == (0, 0)
        assert taken.bytes.by_client == {}

    asyncio.run(run())


def test_one_client_has_its_share_and_all_have_the_total() -> None:
    async def run() -> list[str]:
        taken, refused = intake(), []
        with ExitStack() as held:
            for client in ("one", "one", "one", "two", "two", "three"):
                try:
                    await read(taken, sending(b"x"), held, client)
                except TooManyRequests as error:
                    refused.append(f"{client}: {error}")
        return refused

    assert asyncio.run(run()) == [
        "one: one client may have 2 requests worked on at once",
        "three: all clients together may have 4 requests worked on at once",
    ]


def test_bytes_of_all_bodies_together_are_bounded() -> None:
    async def run() -> None:
        taken = intake()
        with ExitStack() as held:
            await read(taken, sending(b"x" * 60), held)
            with pytest.raises(TooManyRequests, match="one client may have 100 bytes"):
                await read(taken, sending(b"x" * 30, b"x" * 30), held)
            await read(taken, sending(b"x" * 90), held, "two")
            with pytest.raises(TooManyRequests, match="all clients together may have 200 bytes"):
                await read(taken, sending(b"x" * 60), held, "three")
        assert taken.bytes.taken == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("rest_s", "pace"),
    [(3600.0, Pace(0.05, 10)), (0.02, Pace(0.05, 1000))],
    ids=["nothing comes", "it comes slowly"],
)
def test_a_body_that_comes_too_slowly_is_cut(rest_s: float, pace: Pace) -> None:
    async def run() -> None:
        taken = intake(pace)
        with ExitStack() as held, pytest.raises(BodyTooSlow, match="bytes a second"):
            await read(taken, sending(*[b"x"] * 100, rest_s=rest_s), held)
        assert taken.uploads.taken == 0

    asyncio.run(run())


def test_a_slow_upload_takes_no_place_of_those_that_are_worked_on() -> None:
    async def run() -> None:
        taken = intake(max_requests=2)
        with ExitStack() as held:
            slow = [
                asyncio.create_task(read(taken, sending(b"x", b"y", rest_s=0.2), held))
                for _ in range(4)
            ]
            await asyncio.sleep(0.05)
            assert taken.uploads.taken == 4
            await asyncio.wait_for(read(taken, sending(b"x"), held, "two"), 5.0)
            await asyncio.wait(slow)
            assert all(isinstance(task.exception(), ApiError | None) for task in slow)

    asyncio.run(run())


def test_what_waits_for_a_thread_is_dropped_when_its_client_leaves() -> None:
    ran = []

    async def gone_at_once() -> Any:
        return {"type": "http.disconnect"}

    def work(name: str, seconds: float) -> None:
        ran.append(name)
        time.sleep(seconds)

    async def run() -> None:
        taken = intake()
        stays = request(sending())
        busy = [
            asyncio.create_task(taken.parse(stays, lambda: work("busy", 0.3)))
            for _ in range(PARSERS)
        ]
        await asyncio.sleep(0.1)
        with pytest.raises(ClientLeft):
            await taken.parse(request(gone_at_once), lambda: work("dropped", 0.0))
        await asyncio.gather(*busy)
        await taken.parse(stays, lambda: work("last", 0.0))
        taken.close()

    asyncio.run(run())
    assert ran == ["busy"] * PARSERS + ["last"]


def test_work_for_a_client_that_leaves_is_cancelled() -> None:
    async def run() -> bool:
        ended = asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                ended.set()

        async def leaving() -> Any:
            await asyncio.sleep(0.05)
            return {"type": "http.disconnect"}

        with pytest.raises(ClientLeft):
            await unless_gone(request(leaving), work())
        return ended.is_set()

    assert asyncio.run(run())

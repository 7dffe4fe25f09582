"""What becomes of requests when the process stops."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from api.http.stopping import StopGuard, StopSignal

Send = Callable[[Any], Awaitable[None]]
START = {"type": "http.response.start", "status": 200, "headers": []}
STREAM = {**START, "headers": [(b"content-type", b"text/event-stream; charset=utf-8")]}
NEVER_S = 3600.0


async def nothing() -> Any:
    await asyncio.sleep(NEVER_S)


def answers(app: Any, method: str = "POST", *, stop_first: bool = False) -> list[Any]:
    """Run one request, stop in its middle, and return what was sent."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        signal = StopSignal()
        guard = StopGuard(app, signal=signal)
        if stop_first:
            signal.stop(0.2)
        scope = {"type": "http", "method": method, "path": "/", "headers": []}
        task = asyncio.create_task(guard(scope, nothing, send))
        await asyncio.sleep(0.05)
        signal.stop(0.2)
        await asyncio.wait_for(task, 5.0)

    asyncio.run(run())
    return sent


def test_a_request_that_ends_in_time_is_answered() -> None:
    async def app(scope: Any, receive: Any, send: Send) -> None:
        await asyncio.sleep(0.1)
        await send(START)
        await send({"type": "http.response.body", "body": b"done"})

    assert answers(app) == [START, {"type": "http.response.body", "body": b"done"}]


def test_one_that_does_not_is_told_to_come_again() -> None:
    ended = []

    async def app(scope: Any, receive: Any, send: Send) -> None:
        try:
            await asyncio.sleep(NEVER_S)
        finally:
            ended.append(True)

    start, body = answers(app)
    assert start["status"] == 503
    assert (b"retry-after", b"5") in start["headers"]
    assert json.loads(body["body"])["type"] == "urn:medsam3:problem:stopping"
    assert ended == [True]


def test_a_new_request_is_refused_at_once_and_a_look_is_not() -> None:
    async def app(scope: Any, receive: Any, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b""})

    refused = answers(app, stop_first=True)[0]
    assert refused["status"] == 503
    assert (b"connection", b"close") in refused["headers"]
    assert answers(app, "GET", stop_first=True)[0]["status"] == 200


def test_a_stream_of_events_ends_at_once_and_whole() -> None:
    async def app(scope: Any, receive: Any, send: Send) -> None:
        await send(STREAM)
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await asyncio.sleep(NEVER_S)

    assert answers(app, "GET")[-1] == {
        "type": "http.response.body",
        "body": b"",
        "more_body": False,
    }
    assert answers(app, "GET", stop_first=True)[-1]["more_body"] is False

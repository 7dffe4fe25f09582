"""Ends requests when the process stops: answered in time, or told to come again.

Shared: one `Stopping` by the server and all requests of one app, on its event loop. Guaranteed: a
request that was not answered by the deadline gets 503 with `Retry-After`, if its answer has not
begun; streams of events end at once, their readers go on elsewhere with the last id they saw.
"""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import Stopping
from api.http.problems import to_response

EVENT_STREAM = "text/event-stream"


class StopSignal:
    """Says when requests have to have ended."""

    def __init__(self) -> None:
        self._deadline: float | None = None
        self._open: set[_Exchange] = set()

    @property
    def is_set(self) -> bool:
        """Whether the process is about to end."""
        return self._deadline is not None

    def stop(self, within_s: float) -> None:
        """Let requests go on for so long, and streams of events no longer; once is enough."""
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + within_s
            for exchange in self._open:
                exchange.end_by(self._deadline)

    def enter(self, exchange: "_Exchange") -> None:
        """Count a request in."""
        self._open.add(exchange)
        if self._deadline is not None:
            exchange.end_by(self._deadline)

    def leave(self, exchange: "_Exchange") -> None:
        """Count a request out."""
        self._open.discard(exchange)


class StopGuard:
    """Cut off what has not ended by the deadline of the signal."""

    def __init__(self, app: ASGIApp, *, signal: StopSignal) -> None:
        self._app = app
        self._signal = signal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 503."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._signal.is_set and scope["method"] == "POST":
            answer = to_response(Stopping("new requests are not taken any more"))
            answer.headers["Connection"] = "close"
            await answer(scope, receive, send)
            return
        exchange = _Exchange(send)
        with suppress(TimeoutError):
            async with exchange.limit:
                self._signal.enter(exchange)
                try:
                    await self._app(scope, receive, exchange.send)
                finally:
                    self._signal.leave(exchange)
        if exchange.limit.expired():
            await exchange.cut_off(scope, receive)


class _Exchange:
    """A request, how far its answer is, and until when it may go on."""

    def __init__(self, send: Send) -> None:
        self.limit = asyncio.timeout(None)
        self._send = send
        self._has_begun = False
        self._has_ended = False
        self._is_stream = False

    def end_by(self, deadline: float) -> None:
        """Go on until a time of the loop's clock at most; a stream of events ends now."""
        self.limit.reschedule(0.0 if self._is_stream else deadline)

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if message["type"] == "http.response.start":
            self._has_begun = True
            kind = Headers(raw=message["headers"]).get("content-type", "")
            self._is_stream = kind.startswith(EVENT_STREAM)
            if self._is_stream and self.limit.when() is not None:
                self.end_by(0.0)
        await self._send(message)
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        self._has_ended = self._has_ended or is_last

    async def cut_off(self, scope: Scope, receive: Receive) -> None:
        """End the answer, or say that there will be none."""
        if not self._has_begun:
            answer = to_response(Stopping("the process ended before the answer"))
            await answer(scope, receive, self._send)
        elif self._is_stream and not self._has_ended:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

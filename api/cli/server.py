"""The HTTP server of ``medsam3 serve``: connections that are slow or too many, and its end.

uvicorn carries requests to the app and answers back; what it leaves open is done here. The head of
a request has a deadline, and so has what comes of a body that nobody reads; an answer has to be
taken. Connections are counted, all of them and those of an address. On a stop the app hears first.
"""

import asyncio
import json
import logging
import math
import os
import threading
from collections.abc import Callable
from http import HTTPStatus
from socket import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.problem_kinds import TYPE_PREFIX

logger = logging.getLogger(__name__)

# So long after a stop connections are taken still: who asks now is told to ask elsewhere, where a
# closed port would break off what is on its way.
LINGER_S = 1.0
# How long a stop lets requests go on; then they are answered 503.
DRAIN_S = 8.0
# The answers 503 are written, and connections closed, within this.
CLOSE_S = 2.0
# After a stop the process ends by then, whatever still hangs: compose kills it after 30.
END_S = 20.0
RETRY_AFTER_S = 5
# Of an answer a client takes so much in so many seconds, or the connection ends: 6 KiB a second.
LEAST_READ_BYTES = 64 * 1024
READ_CHECK_S = 10.0


class BoundedProtocol(H11Protocol):
    """One connection.

    Attributes:
        header_timeout_s: from its opening, or from the first byte of a later request, to the end of
            the request's head.
        max_connections: open at once.
        max_address_connections: of one address.
    """

    header_timeout_s: float
    max_connections: int
    max_address_connections: int
    _deadline: asyncio.TimerHandle | None = None
    _reader: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it."""
        super().connection_made(transport)
        mine = [each for each in self.connections if _address(each) == _address(self)]
        if len(self.connections) > self.max_connections:
            self._refuse(503, f"all clients together may have {self.max_connections} connections")
        elif len(mine) > self.max_address_connections:
            self._refuse(429, f"one address may have {self.max_address_connections} connections")
        else:
            self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Hand data on; what belongs to no request that is being answered has a deadline."""
        super().data_received(data)
        if self._is_answering():
            self._forget_deadline()
        else:
            self._expect_head()

    def pause_writing(self) -> None:
        """Note that the client does not take an answer as fast as it is written."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """Note that it has taken what waited."""
        super().resume_writing()
        self._forget_reader()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, and soon, if the rest of an answer is not taken."""
        super().timeout_keep_alive_handler()
        if self._reader is None:
            self._reader = self.loop.call_later(READ_CHECK_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._forget_deadline()
        self._forget_reader()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(400, "this is no valid HTTP request")

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_head(self) -> None:
        if self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.header_timeout_s, self._on_deadline)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_deadline(self) -> None:
        self._deadline = None
        if not self._is_answering():
            self._refuse(408, f"a request's head has to arrive within {self.header_timeout_s:g} s")

    def _refuse(self, status: int, detail: str) -> None:
        """Answer a problem in place of the app, and close."""
        if self.transport.is_closing():
            return
        if not (self._is_answering() and self.cycle.response_started):
            self.transport.write(problem_bytes(status, detail))
        self.transport.close()

    def _watch_reader(self, before: int | None = None) -> None:
        """End a connection whose client takes too little of an answer; nothing is added to it."""
        left = self.transport.get_write_buffer_size()
        if before is not None and left > max(0, before - LEAST_READ_BYTES):
            self.transport.abort()
        else:
            self._reader = self.loop.call_later(READ_CHECK_S, self._watch_reader, left)

    def _forget_reader(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None


def _address(connection: object) -> str | None:
    client: tuple[str, int] | None = getattr(connection, "client", None)
    return None if client is None else client[0]


def problem_bytes(status: int, detail: str) -> bytes:
    """Write a whole answer: a problem, and that the connection closes."""
    phrase = HTTPStatus(status).phrase
    problem = {
        "type": TYPE_PREFIX + phrase.lower().replace(" ", "-"),
        "title": phrase,
        "status": status,
        "detail": detail,
        "errors": [],
    }
    body = json.dumps(problem).encode()
    head = (
        f"HTTP/1.1 {status} {phrase}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        f"Retry-After: {RETRY_AFTER_S}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + body


def protocol(
    *, header_timeout_s: float, max_connections: int, client_share: float
) -> type[BoundedProtocol]:
    """Return the protocol with these bounds."""
    bounds = {
        "header_timeout_s": header_timeout_s,
        "max_connections": max_connections,
        "max_address_connections": max(1, math.ceil(max_connections * client_share)),
    }
    return type("Protocol", (BoundedProtocol,), bounds)


class Server(uvicorn.Server):
    """uvicorn's server, which tells the app of a stop before it waits for answers.

    Args:
        on_stop: is called on the event loop.
    """

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop; ends the process where parts of it hang."""
        last = threading.Timer(END_S, _end_process)
        last.daemon = True
        last.start()
        self._on_stop()
        await asyncio.sleep(LINGER_S)
        await super().shutdown(sockets)


def _end_process() -> None:
    # A thread inside the model cannot be stopped; clients have their answers.
    logger.warning("process ends with work undone", extra={"seconds": END_S})
    os._exit(0)

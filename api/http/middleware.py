"""What every request passes first: host, origin, size; and the headers of every answer."""

import re
from collections.abc import Collection, Mapping
from contextlib import ExitStack

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import BodyTooLarge, ForeignOrigin
from api.http.problems import to_response

ANY_HOST = "*"
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
FOREIGN_HOST = "this Host is not a name of the service; MEDSAM3_ALLOWED_HOSTS lists its names"
FOREIGN_PAGE = (
    "Origin and Host differ; pages of other sites stay out, whatever MEDSAM3_ALLOWED_HOSTS lists"
)
# RFC 9110 7.2: a name or an address, and a port; nothing about users.
HOST = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._~-]+))(?::[0-9]{0,5})?")
MALFORMED_HOST = "the Host header is not a host and a port"
# Answers hold patient data: nothing may keep, frame, sniff or run them.
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class SecurityHeaders:
    """Put the headers on every answer, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and dress the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, dressed)


class OriginGuard:
    """Refuse foreign names (DNS rebinding) and pages of other sites (forms need no CORS)."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        fault = self._fault(Headers(scope=scope)) if scope["type"] == "http" else None
        if fault is not None:
            await to_response(ForeignOrigin(fault))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _fault(self, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if ANY_HOST not in self._hosts and host_name(host) not in self._hosts:
            return FOREIGN_HOST
        # HTTP/1.0 comes without one.
        if len(headers.getlist("host")) > 1 or (host and not host_name(host)):
            return MALFORMED_HOST
        origin = headers.get("origin")
        if origin is None or origin.partition("://")[2].lower() == host.lower():
            return None
        return FOREIGN_PAGE


class BodyLimit:
    """Count a body's bytes as they come; Content-Length is only believed when it is too big.

    Args:
        app: what is guarded.
        max_bytes: of any body.
        others: limits of paths that have one of their own.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, others: Mapping[str, int]) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        max_bytes = self._others.get(scope["path"], self._max_bytes)
        too_large = BodyTooLarge(f"the body is over the limit of {max_bytes} bytes")
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared) > max_bytes:
            await to_response(too_large)(scope, receive, send)
            return
        count = 0

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > max_bytes:
                raise too_large
            return message

        await self._app(scope, counted, send)


class Holding:
    """Give back what a request took when it ends: its body, and its part of what all share."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a stack that is unwound after its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with ExitStack() as held:
            scope.setdefault("state", {})["held"] = held
            await self._app(scope, receive, send)


def host_name(host: str) -> str:
    """Take the port and the brackets of an IPv6 address off a Host header; empty for no host."""
    found = HOST.fullmatch(host)
    return (found["address"] or found["name"]).lower() if found is not None else ""

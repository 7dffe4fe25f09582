"""HTTP connections that go to one host and nowhere else, whatever the environment says."""

import json
from collections.abc import Callable, Mapping

import httpx2

Join = Callable[[str], Mapping[str, object]]


class _WholeAnswers(httpx2.AsyncBaseTransport):
    """Makes one JSON answer of a stream of events, for an SDK that reads no other."""

    def __init__(self, join: Join) -> None:
        self._join = join
        self._inner = httpx2.AsyncHTTPTransport(trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if "event-stream" not in response.headers.get("content-type", ""):
            return response
        await response.aread()
        await response.aclose()
        whole = json.dumps(self._join(response.text)).encode()
        kind = {"content-type": "application/json"}
        return httpx2.Response(response.status_code, headers=kind, content=whole)

    async def aclose(self) -> None:
        await self._inner.aclose()


def direct_client(host: str, join: Join | None = None) -> httpx2.AsyncClient:
    """Return a client without proxies and redirects that sends to one host only.

    SDKs take addresses from the environment too, and some exchange hosts for others; a request to
    another one fails before anything of it is sent. `join` makes one answer of a stream of events.
    """

    async def stay(request: httpx2.Request) -> None:
        if request.url.host.strip("[]") != host:
            raise httpx2.ConnectError("a request to another host than the one that is set")

    return httpx2.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        event_hooks={"request": [stay]},
        transport=None if join is None else _WholeAnswers(join),
    )

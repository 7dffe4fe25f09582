"""HTTP connections that go to one host and nowhere else, whatever the environment says."""

import httpx2


def direct_client(host: str) -> httpx2.AsyncClient:
    """Return a client without proxies and redirects that sends to one host only.

    SDKs take addresses from the environment too, and some exchange hosts for others; a request to
    another one fails before anything of it is sent.
    """

    async def stay(request: httpx2.Request) -> None:
        if request.url.host.strip("[]") != host:
            raise httpx2.ConnectError("a request to another host than the one that is set")

    return httpx2.AsyncClient(
        trust_env=False, follow_redirects=False, event_hooks={"request": [stay]}
    )

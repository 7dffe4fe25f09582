"""Who we are on Vertex AI. Owner of google-auth.

Tokens are fetched by google-auth with our own transport: no proxy and no redirect of the
environment's, and a deadline. Application Default Credentials are looked for when a token is first
needed, in the places that Google documents; a service account's file is read at once.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import google.auth
import httpx2
from google.auth import credentials, exceptions, transport
from google.oauth2 import service_account

from agent.errors import PlannerNotConfigured

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
# Where Application Default Credentials get tokens, unless they say otherwise.
TOKEN_URL = "https://oauth2.googleapis.com/token"
# Token endpoints answer within a second; a step's deadline is a minute.
TOKEN_TIMEOUT_S = 10.0
# A key file has 2.4 kB.
MAX_KEY_FILE_BYTES = 64 * 1024


def read_key_file(path: Path) -> dict[str, Any]:
    """Return what a service account's key file holds.

    Raises:
        PlannerNotConfigured: it cannot be read, or is no such file. Nothing of it is repeated.
    """
    try:
        with path.open("rb") as file:
            key = json.loads(file.read(MAX_KEY_FILE_BYTES))
    except (OSError, ValueError):
        key = None
    if not isinstance(key, dict) or key.get("type") != "service_account":
        raise PlannerNotConfigured(f"{path} is no key file of a service account (JSON)")
    return key


def token_url(key: Mapping[str, object] | None) -> str:
    """Return where tokens come from: as a key file says, else Google's own address."""
    url = None if key is None else key.get("token_uri")
    return url if isinstance(url, str) else TOKEN_URL


class VertexCredentials(credentials.Credentials):
    """Credentials that fetch tokens by our own transport."""

    def __init__(self, key: Mapping[str, Any] | None) -> None:
        """Use a service account's key; None for Application Default Credentials.

        Raises:
            PlannerNotConfigured: the key is none.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._transport = _Transport()
        self._inner = None if key is None else _of_key(key)

    def refresh(self, request: object) -> None:
        """Fetch a token; `request`, the SDK's own transport, is not used.

        Raises:
            google.auth.exceptions.GoogleAuthError: there is none.
        """
        try:
            if self._inner is None:
                find: Callable[..., Any] = google.auth.default
                self._inner, _ = find(scopes=SCOPES, request=self._transport)
            self._inner.refresh(self._transport)
        except (TypeError, ValueError, LookupError):
            # google-auth trusts what a token endpoint answers.
            failed: Callable[..., Exception] = exceptions.RefreshError
            raise failed("the token endpoint's answer is none") from None
        self.token, self.expiry = self._inner.token, self._inner.expiry


def _of_key(key: Mapping[str, Any]) -> Any:
    make: Callable[..., Any] = service_account.Credentials.from_service_account_info
    try:
        return make(key, scopes=SCOPES)
    except (ValueError, TypeError, exceptions.GoogleAuthError):
        # The cause may repeat the key.
        raise PlannerNotConfigured("the key file of the service account lacks its key") from None


class _Answer(transport.Response):
    def __init__(self, response: httpx2.Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def data(self) -> bytes:
        return self._response.content


class _Transport(transport.Request):
    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> _Answer:
        limit = min(timeout or TOKEN_TIMEOUT_S, TOKEN_TIMEOUT_S)
        try:
            with httpx2.Client(trust_env=False, follow_redirects=False, timeout=limit) as client:
                return _Answer(client.request(method, url, content=body, headers=headers))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            failed: Callable[..., Exception] = exceptions.TransportError
            raise failed(type(error).__name__) from None

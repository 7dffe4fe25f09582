"""API keys: who may use the service."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from api.errors import NotAuthenticated

ANYONE = "anyone"

_bearer = HTTPBearer(auto_error=False, description="An API key")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key")


class Keyring:
    """The keys that open the service; with none, everyone who reaches it may use it."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        self._digests = [_digest(key.get_secret_value()) for key in keys]

    def caller(self, given: str | None) -> str:
        """Return a name for whoever shows this key, which does not reveal it.

        Raises:
            NotAuthenticated: no key, or not one of ours.
        """
        if not self._digests:
            return ANYONE
        if given is None:
            raise NotAuthenticated("send Authorization: Bearer KEY, or X-API-Key: KEY")
        digest = _digest(given)
        # All are compared, each in constant time: how long it takes says nothing.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if not any(matches):
            raise NotAuthenticated("this key is not known")
        return digest.hex()[:16]


def authenticated(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    header: Annotated[str | None, Depends(_header)],
) -> str:
    """Let a request in and name its caller.

    Raises:
        NotAuthenticated: no key, or not one of ours.
    """
    keyring: Keyring = request.app.state.keyring
    caller = keyring.caller(bearer.credentials if bearer is not None else header)
    # Who shares the service: keys, or the addresses of those who need none.
    address = request.client.host if request.client is not None else ""
    request.state.client = address if caller == ANYONE else caller
    return caller


Caller = Annotated[str, Depends(authenticated)]


def _digest(key: str) -> bytes:
    # Equal lengths for compare_digest; keys are random, so no slow hash is needed.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()

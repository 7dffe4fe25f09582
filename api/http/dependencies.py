"""What the routes work with: built once by `api.bootstrap.parts`, or by a test."""

from typing import Annotated

from fastapi import Depends, Request

from api.bootstrap.parts import AppServices
from api.http.background import Background
from api.http.idempotency import GRACE_S, IdempotencyStore
from api.settings import Settings


def parts_of(request: Request) -> AppServices:
    """Return what this app was opened with."""
    parts: AppServices = request.app.state.parts
    return parts


def settings_of(request: Request) -> Settings:
    """Return what this app was made with."""
    settings: Settings = request.app.state.settings
    return settings


def background_of(request: Request) -> Background:
    """Return where this app's longer work runs."""
    background: Background = request.app.state.background
    return background


def once_of(request: Request) -> IdempotencyStore:
    """Return the idempotency of this app."""
    settings = settings_of(request)
    return IdempotencyStore(
        parts_of(request).records,
        running_ttl_s=settings.run_timeout_s + GRACE_S,
        done_ttl_s=settings.record_ttl_s,
    )


UsedParts = Annotated[AppServices, Depends(parts_of)]

"""What the routes work with: built once by `api.bootstrap.parts`, or by a test."""

from typing import Annotated

from fastapi import Depends, Request

from api.bootstrap.parts import AppServices
from api.settings import Settings


def parts_of(request: Request) -> AppServices:
    """Return what this app was opened with."""
    parts: AppServices = request.app.state.parts
    return parts


def settings_of(request: Request) -> Settings:
    """Return what this app was made with."""
    settings: Settings = request.app.state.settings
    return settings


UsedParts = Annotated[AppServices, Depends(parts_of)]

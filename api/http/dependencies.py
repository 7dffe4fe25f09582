"""What the routes work with: built once by `api.bootstrap.parts`, or by a test."""

from typing import Annotated

from fastapi import Depends, Request

from api.bootstrap.parts import AppServices
from api.http.background import Background
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


UsedParts = Annotated[AppServices, Depends(parts_of)]

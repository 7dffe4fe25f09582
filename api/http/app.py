"""Builds the FastAPI app: guards, routes, errors, document. Nothing is opened before it starts."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.types import Lifespan

from api import VERSION
from api.bootstrap.parts import AppServices
from api.http.auth import Keyring
from api.http.intake import Intake, Pace
from api.http.middleware import (
    ANY_HOST,
    LOOPBACK_HOSTS,
    BodyLimit,
    Holding,
    OriginGuard,
    SecurityHeaders,
)
from api.http.openapi.document import TITLE, describe
from api.http.problems import install
from api.http.routes import agent, capabilities, health, images, runs, segment, threads, volumes
from api.http.stopping import StopGuard, StopSignal
from api.render.volumes import PATH as VOLUME_PATH
from api.settings import Settings
from segmenter.settings import MEBIBYTE

ROUTERS = (
    segment.router,
    volumes.router,
    agent.router,
    images.router,
    runs.router,
    threads.router,
    capabilities.router,
    health.router,
)
VERSION_PREFIX = "/v1"
# Beside the image: form fields and JSON around it.
BODY_MARGIN_BYTES = MEBIBYTE
# Beside the files of a volume: the header of each, some 200 bytes.
VOLUME_MARGIN_BYTES = 2 * MEBIBYTE

PartsOpener = Callable[[], AbstractAsyncContextManager[AppServices]]


def create_app(settings: Settings, open_parts: PartsOpener) -> FastAPI:
    """Build the app; the parts are opened when it starts and closed when it stops."""
    app = FastAPI(
        title=TITLE,
        version=VERSION,
        lifespan=_lifespan(open_parts, settings),
        # FastAPI's own pages load foreign scripts; the document has a route of its own.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.settings = settings
    app.state.stop = StopSignal()
    app.state.keyring = Keyring(settings.api_keys)
    for router in ROUTERS:
        app.include_router(router)
        app.include_router(router, prefix=VERSION_PREFIX, include_in_schema=False)
    install(app)
    _guard(app, settings)
    _document(app)
    return app


def _lifespan(open_parts: PartsOpener, settings: Settings) -> Lifespan[FastAPI]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_parts() as parts:
            app.state.parts = parts
            app.state.intake = _intake(settings)
            yield
            app.state.intake.close()

    return lifespan


def _guard(app: FastAPI, settings: Settings) -> None:
    """Wrap the app; what is added last sees a request first."""
    max_bytes, volume_bytes = _body_limits(settings)
    others = {prefix + VOLUME_PATH: volume_bytes for prefix in ("", VERSION_PREFIX)}
    app.add_middleware(BodyLimit, max_bytes=max_bytes, others=others)
    app.add_middleware(Holding)
    app.add_middleware(OriginGuard, hosts=allowed_hosts(settings))
    app.add_middleware(StopGuard, signal=app.state.stop)
    app.add_middleware(SecurityHeaders)


def _body_limits(settings: Settings) -> tuple[int, int]:
    """Return the bytes of the largest body, and of that of a volume."""
    # Base64 takes four bytes for three.
    image = settings.max_upload_bytes * 4 // 3 + BODY_MARGIN_BYTES
    return image, settings.max_volume_bytes + VOLUME_MARGIN_BYTES


def _intake(settings: Settings) -> Intake:
    return Intake(
        max_requests=settings.max_requests,
        largest=max(_body_limits(settings)),
        client_share=settings.client_share,
        pace=Pace(settings.upload_grace_s, settings.min_upload_rate),
    )


def allowed_hosts(settings: Settings) -> tuple[str, ...]:
    """Return the names this service answers to; without a key only the loopback's."""
    if settings.allowed_hosts:
        return settings.allowed_hosts
    return (ANY_HOST,) if settings.api_keys else LOOPBACK_HOSTS


def _document(app: FastAPI) -> None:
    document = None

    def cached() -> dict[str, object]:
        nonlocal document
        document = document or describe(app)
        return document

    app.openapi = cached  # type: ignore[method-assign]  # FastAPI's documented way

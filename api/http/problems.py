"""Answers errors as RFC 9457 problems: stable types, field paths, never contents or traces."""

import logging
from collections.abc import Iterable, Mapping
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.errors import FieldFault, NotAuthenticated, RunFailed
from api.problem_kinds import (
    FRAMEWORK_KINDS,
    INTERNAL,
    KINDS,
    TYPE_PREFIX,
    Kind,
    faults_of,
    kind_of,
    retry_after_s,
)
from api.schemas.faults import MAX_FAULTS, MAX_MESSAGE_CHARS, cut, to_faults

MEDIA_TYPE = "application/problem+json"
METHOD_NOT_ALLOWED = 405
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


logger = logging.getLogger(__name__)


class ProblemField(BaseModel):
    """One offending field."""

    field: Annotated[str, Field(examples=["prompts[0].boxes[0].box"])]
    message: Annotated[str, Field(examples=["a box needs x1 > x0 and y1 > y0"])]


class Problem(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(title="Problem")

    type: Annotated[str, Field(examples=[TYPE_PREFIX + "image-too-large"])]
    title: str
    status: int
    detail: str
    errors: list[ProblemField] = []
    run_id: Annotated[str | None, Field(description="of a run that failed")] = None


def respond(
    kind: Kind,
    detail: str,
    *,
    faults: Iterable[FieldFault] = (),
    headers: Mapping[str, str] | None = None,
    run_id: str | None = None,
) -> JSONResponse:
    """Write a problem down."""
    problem = Problem(
        type=TYPE_PREFIX + kind.slug,
        title=kind.title,
        status=kind.status,
        detail=cut(kind.detail or detail, MAX_MESSAGE_CHARS),
        errors=[
            ProblemField(
                field=cut(fault.field, MAX_MESSAGE_CHARS),
                message=cut(fault.message, MAX_MESSAGE_CHARS),
            )
            for fault in list(faults)[:MAX_FAULTS]
        ],
        run_id=run_id,
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        kind.status,
        headers=dict(headers or {}),
        media_type=MEDIA_TYPE,
    )


def to_response(error: Exception) -> JSONResponse:
    """Translate a domain error by the table."""
    kind = kind_of(error)
    headers = {}
    wait_s = retry_after_s(error, kind)
    if wait_s is not None:
        headers["Retry-After"] = str(wait_s)
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="medsam3"'
    run_id = error.run_id if isinstance(error, RunFailed) else None
    return respond(kind, str(error), faults=faults_of(error), headers=headers, run_id=run_id)


def install(app: FastAPI) -> None:
    """Answer every error of this app as a problem."""
    for error in KINDS:
        app.add_exception_handler(error, _on_domain_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_framework_error)
    app.add_exception_handler(Exception, _on_unexpected_error)


async def _on_domain_error(request: Request, error: Exception) -> JSONResponse:
    kind = kind_of(error)
    if kind.status >= 500:
        # The class only: messages of failures may hold what a model or a file said.
        logger.warning(
            "request failed", extra={"problem": kind.slug, "error": type(error).__name__}
        )
    return to_response(error)


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    details = [{**item, "loc": item["loc"][1:]} for item in error.errors()]
    return to_response(to_faults(details))


async def _on_framework_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    kind = FRAMEWORK_KINDS.get(error.status_code, INTERNAL)
    headers = dict(error.headers or {})
    if error.status_code == METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods_of(request))
    return respond(kind, str(error.detail), headers=headers)


def _methods_of(request: Request) -> list[str]:
    """Return every method that some route takes for this path; the router tells of one route's."""
    return [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


async def _on_unexpected_error(request: Request, error: Exception) -> JSONResponse:
    return respond(INTERNAL, "")

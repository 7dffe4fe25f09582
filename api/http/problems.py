"""Answers errors as RFC 9457 problems: stable types, field paths, never contents or traces."""

import logging
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException

from api.errors import (
    FRAMEWORK_KINDS,
    INTERNAL,
    KINDS,
    FieldFault,
    InvalidFields,
    Kind,
    NotAuthenticated,
    RunFailed,
    faults_of,
    kind_of,
    retry_after_s,
)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:medsam3:problem:"
# What a client sent as a name or got told about a value is cut here.
MAX_NAME_CHARS = 64
MAX_MESSAGE_CHARS = 300
MAX_FAULTS = 20

# pydantic's findings in words that do not speak of Python; the numbers are limits of ours.
REASONS: Mapping[str, str] = {
    "extra_forbidden": "this field is not known",
    "missing": "this field is needed",
    "too_long": "at most {max_length} items, got {actual_length}",
    "too_short": "at least {min_length} items, got {actual_length}",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "string_type": "must be a text",
    "tuple_type": "must be a list",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}

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
        detail=_cut(kind.detail or detail, MAX_MESSAGE_CHARS),
        errors=[
            ProblemField(
                field=_cut(fault.field, MAX_MESSAGE_CHARS),
                message=_cut(fault.message, MAX_MESSAGE_CHARS),
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


def faults_in(error: ValidationError) -> list[Mapping[str, Any]]:
    """Return pydantic's findings without the values, which may be anything."""
    return [dict(item) for item in error.errors(include_url=False, include_input=False)]


def to_faults(details: Iterable[Mapping[str, Any]]) -> InvalidFields:
    """Translate pydantic's findings; paths and reasons stay, values go."""
    found = [(tuple(item["loc"]), _reason(item)) for item in details]
    # A list with a broken item is also called too short: only the innermost finding helps.
    inner = [
        (place, reason)
        for place, reason in found
        if not any(len(other) > len(place) and other[: len(place)] == place for other, _ in found)
    ]
    return InvalidFields(*(FieldFault(path(place), reason) for place, reason in inner))


def path(parts: Iterable[int | str]) -> str:
    """Write a location as ``prompts[0].text``."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = _cut(part, MAX_NAME_CHARS)
            text += f".{name}" if text else name
    return text or "body"


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
    return respond(kind, str(error.detail), headers=error.headers)


async def _on_unexpected_error(request: Request, error: Exception) -> JSONResponse:
    return respond(INTERNAL, "")


def _reason(item: Mapping[str, Any]) -> str:
    known = REASONS.get(item["type"])
    if known is not None:
        return known.format_map(item.get("ctx", {}))
    return str(item["msg"]).removeprefix("Value error, ")


def _cut(text: str, limit: int) -> str:
    """Cap a text and drop what cannot be encoded or would break a terminal."""
    kept = "".join(letter if letter.isprintable() else "?" for letter in text[: limit + 1])
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"

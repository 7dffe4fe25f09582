"""Reads a request's body: JSON or multipart, bounded, into a checked model and an image's bytes."""

import base64
import binascii
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Generic

from fastapi import Request
from pydantic import ValidationError
from pydantic_core import from_json

from api.errors import FieldFault, InvalidFields, MalformedBody, UnsupportedMediaType
from api.http.forms import Form, parse_form
from api.http.intake import Body, Intake
from api.schemas.faults import BodyT, checked, faults_in, to_faults
from api.schemas.json_bounds import check_bounds
from api.schemas.shortcuts import (
    BOX,
    CONCEPT,
    box_of_text,
    spell_out,
    uses_shortcuts,
    with_box,
    with_prompts,
)

JSON, FORM, IMAGE = "application/json", "multipart/form-data", "image"
# 64 MiB in two minutes is 4 Mbit/s; slower senders would hold a connection for ever.
READ_TIMEOUT_S = 120.0
# More than one are refused by name.
MAX_IMAGES = 32
# Fields of a form that hold JSON.
JSON_FIELDS = frozenset({"prompts", "edits"})
# Tools break base64 into lines.
LINE_BYTES = b" \t\r\n"
# Characters of base64 decoded at once, so that other threads have their turn in between.
BASE64_WINDOW = 1024 * 1024


@dataclass(frozen=True)
class Received(Generic[BodyT]):
    """A checked body and the image that came with it.

    Attributes:
        content: the image's bytes, or None when it came without.
    """

    body: BodyT
    content: bytes | None


async def read_body(request: Request, model: type[BodyT]) -> Received[BodyT]:
    """Read and check a body with at most one image.

    Raises:
        UnsupportedMediaType, MalformedBody, InvalidFields, BodyTooLarge, BodyTooSlow,
        TooManyRequests: see `api.errors`.
    """
    kind = media_type_of(request)
    body = await receive_body(request, timeout_s=READ_TIMEOUT_S)
    read = json_body if kind == JSON else partial(form_body, request.headers["content-type"])
    return await intake_of(request).parse(request, partial(read, body, model))


def media_type_of(request: Request) -> str:
    """Return which of the two kinds of bodies comes.

    Raises:
        UnsupportedMediaType: neither.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in (JSON, FORM):
        raise UnsupportedMediaType(f"send {FORM} or {JSON}")
    return media_type


async def receive_body(request: Request, *, timeout_s: float) -> Body:
    """Receive a body, which is there until the request ends; see `Intake.read`."""
    return await intake_of(request).read(request, request.state.held, timeout_s=timeout_s)


def intake_of(request: Request) -> Intake:
    """Return what this app takes bodies in by."""
    intake: Intake = request.app.state.intake
    return intake


def json_body(body: Body, model: type[BodyT]) -> Received[BodyT]:
    """Check a body that came as JSON; not for the event loop."""
    checked_body = parse_json(body.buffer()[:], model)
    text = getattr(checked_body, "image", None)
    return Received(checked_body, None if text is None else decode_image_text(text))


def form_body(content_type: str, body: Body, model: type[BodyT]) -> Received[BodyT]:
    """Check a body that came as a form; not for the event loop."""
    form = parse_form(body.buffer(), content_type, max_files=MAX_IMAGES)
    content = _image_of(form)
    fields = fields_of(form, _value, but=(CONCEPT, BOX))
    concepts = [text for name, text in form.fields if name == CONCEPT]
    boxes = [box_of_text(text) for name, text in form.fields if name == BOX]
    add = with_prompts if "prompts" in model.model_fields else with_box
    return Received(checked(model, add(fields, concepts, boxes)), content)


def parse_json(raw: bytes, model: type[BodyT]) -> BodyT:
    """Check a body that came as JSON.

    Raises:
        MalformedBody, InvalidFields: see `api.errors`.
    """
    check_bounds(raw)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        details = faults_in(error)
    if details[0]["type"] == "json_invalid":
        raise MalformedBody("the body is not JSON")
    if "prompts" in model.model_fields and uses_shortcuts(details):
        return parse_json(spell_out(raw), model)
    raise to_faults(details)


def decode_image_text(text: str) -> bytes:
    """Decode base64, plain or as a data URI.

    Raises:
        InvalidFields: it is neither.
    """
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise InvalidFields(FieldFault("image", "a data URI must be base64"))
    try:
        raw = text.encode("ascii").translate(None, LINE_BYTES)
        if raw.find(b"=", 0, max(0, len(raw) - 2)) >= 0:
            raise ValueError("padding stands at the end alone")
        windows = range(0, len(raw), BASE64_WINDOW)
        pieces = (raw[start : start + BASE64_WINDOW] for start in windows)
        return b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
    except (binascii.Error, ValueError) as error:
        raise InvalidFields(FieldFault("image", "not base64")) from error


def _image_of(form: Form) -> bytes | None:
    for file in form.files:
        if file.name != IMAGE:
            raise InvalidFields(FieldFault(file.name, "only image may be a file"))
    if any(name == IMAGE for name, _ in form.fields):
        raise InvalidFields(FieldFault(IMAGE, "must be a file in a form"))
    if len(form.files) > 1:
        raise InvalidFields(FieldFault(IMAGE, "one file only"))
    return form.files[0].take() if form.files else None


def fields_of(
    form: Form, read: Callable[[str, str], object], *, but: Collection[str] = ()
) -> dict[str, object]:
    """Gather a form's texts under their names, but for some; `read` makes values of both.

    Raises:
        InvalidFields: a name came twice, or a text is not what its name asks for.
    """
    fields: dict[str, object] = {}
    for name, value in form.fields:
        if name in but:
            continue
        if name in fields:
            raise InvalidFields(FieldFault(name, "given more than once"))
        fields[name] = read(name, value)
    return fields


def _value(name: str, text: str) -> object:
    if name not in JSON_FIELDS:
        return text
    check_bounds(text.encode(), name)
    try:
        value: object = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidFields(FieldFault(name, "not JSON")) from error
    return value

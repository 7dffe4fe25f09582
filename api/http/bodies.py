"""Reads a request's body: JSON or multipart, bounded, into a checked model and an image's bytes."""

import asyncio
import base64
import binascii
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect

from api.errors import BodyTooSlow, FieldFault, InvalidFields, MalformedBody, UnsupportedMediaType
from api.schemas.faults import faults_in, to_faults
from api.schemas.shortcuts import (
    BOX,
    CONCEPT,
    box_of_text,
    spell_out,
    uses_shortcuts,
    with_box,
    with_prompts,
)

# The longest field is a request of 2000 characters or 16 prompts of 16 boxes: some 30 KiB.
MAX_FIELD_BYTES = 128 * 1024
MAX_FIELDS = 32
# 64 MiB in two minutes is 4 Mbit/s; slower senders would hold a connection for ever.
READ_TIMEOUT_S = 120.0
# Fields of a form that hold JSON.
JSON_FIELDS = frozenset({"prompts", "edits"})
# Fields of a form that may be given several times; a box is written as x0,y0,x1,y1.
REPEATABLE = frozenset({CONCEPT, BOX})

BodyT = TypeVar("BodyT", bound=BaseModel)


@dataclass(frozen=True)
class Received(Generic[BodyT]):
    """A checked body and the image that came with it.

    Attributes:
        content: the image's bytes, or None when it came without.
    """

    body: BodyT
    content: bytes | None


async def read_body(request: Request, model: type[BodyT]) -> Received[BodyT]:
    """Read and check a body of either kind.

    Raises:
        UnsupportedMediaType, MalformedBody, InvalidFields, BodyTooLarge, BodyTooSlow: see
            `api.errors`.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            if media_type == "application/json":
                return await _read_json(request, model)
            if media_type == "multipart/form-data":
                return await _read_form(request, model)
    except ClientDisconnect as error:
        # Nobody reads the answer; without it the log would tell of a failure of ours.
        raise MalformedBody("the body ended early") from error
    except TimeoutError as error:
        raise BodyTooSlow(f"the body did not arrive within {READ_TIMEOUT_S:.0f} s") from error
    raise UnsupportedMediaType("send multipart/form-data or application/json")


async def _read_json(request: Request, model: type[BodyT]) -> Received[BodyT]:
    raw = await request.body()
    body = await asyncio.to_thread(_parse_json, raw, model)
    text = getattr(body, "image", None)
    content = None if text is None else await asyncio.to_thread(decode_image_text, text)
    return Received(body, content)


def _parse_json(raw: bytes, model: type[BodyT]) -> BodyT:
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        details = faults_in(error)
    if details[0]["type"] == "json_invalid":
        raise MalformedBody("the body is not JSON")
    if "prompts" in model.model_fields and uses_shortcuts(details):
        return _parse_json(spell_out(raw), model)
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
        # Tools break base64 into lines.
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidFields(FieldFault("image", "not base64")) from error


async def _read_form(request: Request, model: type[BodyT]) -> Received[BodyT]:
    async with request.form(
        max_files=MAX_FIELDS, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
    ) as form:
        content = await _image_of(form)
        fields = _fields_of(form)
    body = _check_fields(fields, model)
    return Received(body, content)


async def _image_of(form: FormData) -> bytes | None:
    for name, value in form.multi_items():
        if isinstance(value, UploadFile) and name != "image":
            raise InvalidFields(FieldFault(name, "only image may be a file"))
        if isinstance(value, str) and name == "image":
            raise InvalidFields(FieldFault(name, "must be a file in a form"))
    if len(form.getlist("image")) > 1:
        raise InvalidFields(FieldFault("image", "one file only"))
    upload = form.get("image")
    return await upload.read() if isinstance(upload, UploadFile) else None


def _fields_of(form: FormData) -> dict[str, object]:
    """Gather the form's texts under their names; the convenience fields become prompts."""
    fields: dict[str, object] = {}
    repeated: dict[str, list[str]] = {name: [] for name in REPEATABLE}
    for name, value in form.multi_items():
        if not isinstance(value, str):
            continue
        if name in REPEATABLE:
            repeated[name].append(value)
        elif name in fields:
            raise InvalidFields(FieldFault(name, "given more than once"))
        else:
            fields[name] = _from_json_text(name, value) if name in JSON_FIELDS else value
    boxes = [box_of_text(text) for text in repeated[BOX]]
    return {**fields, CONCEPT: repeated[CONCEPT], BOX: boxes}


def _check_fields(fields: dict[str, object], model: type[BodyT]) -> BodyT:
    """Check a form's fields; texts become numbers and truth values here."""
    concepts, boxes = fields.pop(CONCEPT), fields.pop(BOX)
    assert isinstance(concepts, list)
    assert isinstance(boxes, list)
    if "prompts" in model.model_fields:
        fields = with_prompts(fields, concepts, boxes)
    else:
        fields = with_box(fields, concepts, boxes)
    try:
        return model.model_validate(fields, strict=False)
    except ValidationError as error:
        # The cause repeats the values.
        raise to_faults(faults_in(error)) from None


def _from_json_text(name: str, text: str) -> object:
    try:
        value: object = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidFields(FieldFault(name, "not JSON")) from error
    return value

"""Reads a request's body: JSON or multipart, bounded, into a checked model and an image's bytes."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic

from fastapi import Request
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect

from api.errors import BodyTooSlow, FieldFault, InvalidFields, MalformedBody, UnsupportedMediaType
from api.schemas.faults import BodyT, checked, faults_in, to_faults
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


@dataclass(frozen=True)
class Received(Generic[BodyT]):
    """A checked body and the image that came with it.

    Attributes:
        content: the image's bytes, or None when it came without.
    """

    body: BodyT
    content: bytes | None


@asynccontextmanager
async def open_body(
    request: Request, *, timeout_s: float, max_files: int
) -> AsyncIterator[bytes | FormData]:
    """Read a body of either kind: JSON as it came, or a form, whose files the context keeps open.

    Raises:
        UnsupportedMediaType, MalformedBody, BodyTooLarge, BodyTooSlow: see `api.errors`.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in ("application/json", "multipart/form-data"):
        raise UnsupportedMediaType("send multipart/form-data or application/json")
    try:
        async with asyncio.timeout(timeout_s):
            if media_type == "application/json":
                body: bytes | FormData = await request.body()
            else:
                body = await request.form(
                    max_files=max_files, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
                )
    except ClientDisconnect as error:
        # Nobody reads the answer; without it the log would tell of a failure of ours.
        raise MalformedBody("the body ended early") from error
    except TimeoutError as error:
        raise BodyTooSlow(f"the body did not arrive within {timeout_s:.0f} s") from error
    try:
        yield body
    finally:
        await request.close()


async def read_body(request: Request, model: type[BodyT]) -> Received[BodyT]:
    """Read and check a body with at most one image.

    Raises:
        InvalidFields: see `api.errors`; and what `open_body` raises.
    """
    async with open_body(request, timeout_s=READ_TIMEOUT_S, max_files=MAX_FIELDS) as sent:
        if isinstance(sent, bytes):
            return await asyncio.to_thread(_from_json, sent, model)
        content = await _image_of(sent)
        fields = fields_of(sent, _value, but=(CONCEPT, BOX))
        concepts = [str(text) for text in sent.getlist(CONCEPT)]
        boxes = [box_of_text(str(text)) for text in sent.getlist(BOX)]
    add = with_prompts if "prompts" in model.model_fields else with_box
    return Received(checked(model, add(fields, concepts, boxes)), content)


def _from_json(raw: bytes, model: type[BodyT]) -> Received[BodyT]:
    body = parse_json(raw, model)
    text = getattr(body, "image", None)
    return Received(body, None if text is None else decode_image_text(text))


def parse_json(raw: bytes, model: type[BodyT]) -> BodyT:
    """Check a body that came as JSON.

    Raises:
        MalformedBody, InvalidFields: see `api.errors`.
    """
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
        # Tools break base64 into lines.
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidFields(FieldFault("image", "not base64")) from error


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


def fields_of(
    form: FormData, read: Callable[[str, str], object], *, but: Collection[str] = ()
) -> dict[str, object]:
    """Gather a form's texts under their names, but for some; `read` makes values of both.

    Raises:
        InvalidFields: a name came twice, or a text is not what its name asks for.
    """
    fields: dict[str, object] = {}
    for name, value in form.multi_items():
        if not isinstance(value, str) or name in but:
            continue
        if name in fields:
            raise InvalidFields(FieldFault(name, "given more than once"))
        fields[name] = read(name, value)
    return fields


def _value(name: str, text: str) -> object:
    if name not in JSON_FIELDS:
        return text
    try:
        value: object = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidFields(FieldFault(name, "not JSON")) from error
    return value

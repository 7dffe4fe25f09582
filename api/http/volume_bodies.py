"""Reads the body of POST /segment/volume: a form with files, or JSON that names earlier ones.

Files stay on disk (the form's spool) and are handed on piece by piece, so that a series of hundreds
of files takes no more memory than a small one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect

from api.errors import BodyTooSlow, FieldFault, InvalidFields, MalformedBody, UnsupportedMediaType
from api.http.bodies import MAX_FIELD_BYTES, MAX_FIELDS
from api.schemas.faults import faults_in, to_faults
from api.schemas.shortcuts import BOX, box_of_text
from api.schemas.volume_requests import VolumeBody, window_of_text
from segmenter.volumes.contract import MAX_FILES
from segmenter.volumes.store import ReadSome

FILES, WINDOW = "files", "window"
# The rate that one image may come at (`api.http.bodies`): 256 MiB in eight minutes are 4 Mbit/s.
READ_TIMEOUT_S = 480.0


@dataclass(frozen=True)
class ReceivedVolume:
    """A checked body, and readers of the files that came with it, in the order they came."""

    body: VolumeBody
    files: list[ReadSome]


@asynccontextmanager
async def volume_body(request: Request) -> AsyncIterator[ReceivedVolume]:
    """Read and check a body; its files can be read inside the context.

    Raises:
        UnsupportedMediaType, MalformedBody, InvalidFields, BodyTooLarge, BodyTooSlow: see
            `api.errors`.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type == "application/json":
        async with _in_time():
            raw = await request.body()
        yield _checked(ReceivedVolume(_parse_json(raw), []))
        return
    if media_type != "multipart/form-data":
        raise UnsupportedMediaType("send multipart/form-data or application/json")
    async with _in_time():
        form = await request.form(
            max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
        )
    try:
        yield _checked(ReceivedVolume(_parse_form(form), _files_of(form)))
    finally:
        await form.close()


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            yield
    except ClientDisconnect as error:
        # Nobody reads the answer; without it the log would tell of a failure of ours.
        raise MalformedBody("the body ended early") from error
    except TimeoutError as error:
        raise BodyTooSlow(f"the body did not arrive within {READ_TIMEOUT_S:.0f} s") from error


def _checked(received: ReceivedVolume) -> ReceivedVolume:
    """Refuse a body with two sources of frames, and one without."""
    named = received.body.volume_id is not None
    if named and received.files:
        raise InvalidFields(FieldFault("volume_id", "give files or volume_id, not both"))
    if not named and not received.files:
        raise InvalidFields(FieldFault(FILES, "files (in a form) or a volume_id are needed"))
    return received


def _parse_json(raw: bytes) -> VolumeBody:
    try:
        return VolumeBody.model_validate_json(raw)
    except ValidationError as error:
        details = faults_in(error)
    if details[0]["type"] == "json_invalid":
        raise MalformedBody("the body is not JSON")
    raise to_faults(details)


def _parse_form(form: FormData) -> VolumeBody:
    fields: dict[str, object] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            continue
        if name in fields:
            raise InvalidFields(FieldFault(name, "given more than once"))
        fields[name] = _value(name, value)
    try:
        return VolumeBody.model_validate(fields, strict=False)
    except ValidationError as error:
        # The cause repeats the values.
        raise to_faults(faults_in(error)) from None


def _value(name: str, text: str) -> object:
    if name == FILES:
        raise InvalidFields(FieldFault(name, "must be files in a form"))
    if name == BOX:
        return box_of_text(text)
    return window_of_text(text) if name == WINDOW else text


def _files_of(form: FormData) -> list[ReadSome]:
    files: list[ReadSome] = []
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            continue
        if name != FILES:
            raise InvalidFields(FieldFault(name, f"only {FILES} may be files"))
        files.append(value.read)
    return files

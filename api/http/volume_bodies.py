"""Reads the body of POST /segment/volume: a form with files, or JSON that names earlier ones.

Files stay on disk (the form's spool) and are handed on piece by piece, so that a series of hundreds
of files takes no more memory than a small one.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from api.errors import FieldFault, InvalidFields
from api.http.bodies import fields_of, open_body, parse_json
from api.schemas.faults import checked
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
    async with open_body(request, timeout_s=READ_TIMEOUT_S, max_files=MAX_FILES) as sent:
        if isinstance(sent, bytes):
            yield _checked(ReceivedVolume(parse_json(sent, VolumeBody), []))
        else:
            body = checked(VolumeBody, fields_of(sent, _value))
            yield _checked(ReceivedVolume(body, _files_of(sent)))


def _checked(received: ReceivedVolume) -> ReceivedVolume:
    """Refuse a body with two sources of frames, and one without."""
    named = received.body.volume_id is not None
    if named and received.files:
        raise InvalidFields(FieldFault("volume_id", "give files or volume_id, not both"))
    if not named and not received.files:
        raise InvalidFields(FieldFault(FILES, "files (in a form) or a volume_id are needed"))
    return received


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

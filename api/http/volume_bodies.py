"""Reads the body of POST /segment/volume: a form with files, or JSON that names earlier ones.

Files stay where the body lies, on disk if it is long, and are handed on piece by piece, so that a
series of hundreds of files takes no more memory than a small one.
"""

from dataclasses import dataclass
from functools import partial

from fastapi import Request

from api.errors import FieldFault, InvalidFields
from api.http.bodies import JSON, fields_of, intake_of, media_type_of, parse_json, receive_body
from api.http.forms import Form, parse_form
from api.http.intake import Body
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
    """A checked body, and readers and names of the files that came with it, in their order."""

    body: VolumeBody
    files: list[ReadSome]
    names: list[str | None]


async def read_volume(request: Request) -> ReceivedVolume:
    """Read and check a body; its files can be read until the request ends.

    Raises:
        UnsupportedMediaType, MalformedBody, InvalidFields, BodyTooLarge, BodyTooSlow,
        TooManyRequests: see `api.errors`.
    """
    kind = media_type_of(request)
    body = await receive_body(request, timeout_s=READ_TIMEOUT_S)
    read = _from_json if kind == JSON else partial(_from_form, request.headers["content-type"])
    return await intake_of(request).parse(request, partial(read, body))


def _from_json(body: Body) -> ReceivedVolume:
    return _checked(ReceivedVolume(parse_json(body.buffer()[:], VolumeBody), [], []))


def _from_form(content_type: str, body: Body) -> ReceivedVolume:
    form = parse_form(body.buffer(), content_type, max_files=MAX_FILES)
    fields = checked(VolumeBody, fields_of(form, _value))
    names = [file.called for file in form.files]
    return _checked(ReceivedVolume(fields, _files_of(form), names))


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


def _files_of(form: Form) -> list[ReadSome]:
    for file in form.files:
        if file.name != FILES:
            raise InvalidFields(FieldFault(file.name, f"only {FILES} may be files"))
    return [file.read for file in form.files]

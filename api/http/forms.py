"""Takes a multipart form apart where it lies: fields as texts, files as places in the body.

Source: RFC 7578 (forms), RFC 2046 5.1 (multipart).
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from python_multipart.multipart import parse_options_header

from api.errors import MalformedBody
from api.http.intake import Buffer

# The longest field is a request of 2000 characters or 16 prompts of 16 boxes: some 30 KiB.
MAX_FIELD_BYTES = 128 * 1024
MAX_FIELDS = 32
# Of one part: a name, a file name and a type.
MAX_HEAD_BYTES = 8 * 1024
# RFC 2046 5.1.1.
MAX_BOUNDARY_BYTES = 70
# One search looks at so many bytes, so that other threads have their turn in between.
WINDOW_BYTES = 1024 * 1024


@dataclass
class FormFile:
    """A file of a form, read from the body that it came in.

    Attributes:
        name: of the field.
        start: its first byte in the body, and the next one to be read.
        end: behind its last byte.
        called: as its sender calls it; for answers alone, never a path, a key or a line of a log.
    """

    name: str
    start: int
    end: int
    body: Buffer
    called: str | None = None

    async def read(self, size: int) -> bytes:
        """Read the next bytes, as many as given unless it ends before."""
        return await asyncio.to_thread(self.take, size)

    def take(self, size: int | None = None) -> bytes:
        """Read the next bytes, by default all; not for the event loop."""
        stop = self.end if size is None else min(self.start + size, self.end)
        found, self.start = self.body[self.start : stop], stop
        return found


@dataclass(frozen=True)
class Form:
    """What a form holds, in the order it came."""

    fields: list[tuple[str, str]]
    files: list[FormFile]


def parse_form(body: Buffer, content_type: str, *, max_files: int) -> Form:
    """Take a form apart; not for the event loop.

    Raises:
        MalformedBody: it is none, or over a limit.
    """
    form = Form([], [])
    for head, start, end in _parts(body, _boundary(content_type)):
        name, called = _named(head)
        if called is not None:
            form.files.append(FormFile(name, start, end, body, called or None))
        elif end - start > MAX_FIELD_BYTES:
            raise MalformedBody(f"a field of a form has at most {MAX_FIELD_BYTES} bytes")
        else:
            form.fields.append((name, _text(body[start:end])))
        if len(form.fields) > MAX_FIELDS or len(form.files) > max_files:
            raise MalformedBody(
                f"a form has at most {MAX_FIELDS} fields and {max_files} files here"
            )
    return form


def _boundary(content_type: str) -> bytes:
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= MAX_BOUNDARY_BYTES:
        raise MalformedBody(f"a form needs a boundary of 1 to {MAX_BOUNDARY_BYTES} characters")
    return boundary


def _parts(body: Buffer, boundary: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield of every part its head, the place of its first byte, and that behind its last."""
    delimiter = b"\r\n--" + boundary
    # The line end of the first one may be missing: nothing stands before it.
    first = delimiter[2:]
    place = 0 if body[: len(first)] == first else _find(body, delimiter, 0) + 2
    place += len(first)
    while body[place : place + 2] != b"--":
        head = _line_end(body, place)
        # A part without a head begins with the empty line that would end it.
        blank = body.find(b"\r\n\r\n", head - 2, head + MAX_HEAD_BYTES)
        if blank < 0:
            raise MalformedBody(f"the head of a part has at most {MAX_HEAD_BYTES} bytes")
        start = blank + 4
        end = _find(body, delimiter, start)
        yield body[head:blank], start, end
        place = end + len(delimiter)


def _line_end(body: Buffer, place: int) -> int:
    """Return the place behind the line of a delimiter, which blanks may follow."""
    end = body.find(b"\r\n", place, place + MAX_HEAD_BYTES)
    if end < 0 or body[place:end].strip(b" \t"):
        raise MalformedBody("a part of the form does not begin on a line of its own")
    return end + 2


def _find(body: Buffer, wanted: bytes, start: int) -> int:
    for begin in range(start, len(body), WINDOW_BYTES):
        found = body.find(wanted, begin, begin + WINDOW_BYTES + len(wanted) - 1)
        if found >= 0:
            return found
    raise MalformedBody("the form has no end: its boundary is missing")


def _named(head: bytes) -> tuple[str, str | None]:
    """Return the name of a part, and what its file is called; None if it is no file."""
    for line in head.split(b"\r\n"):
        title, _, value = line.partition(b":")
        if title.strip().lower() == b"content-disposition":
            kind, options = parse_options_header(value.strip())
            if kind == b"form-data" and b"name" in options:
                called = options.get(b"filename")
                shown = None if called is None else called.decode(errors="replace")
                return _text(options[b"name"]), shown
    raise MalformedBody("a part of the form has no name")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody("a field of the form is not UTF-8") from error

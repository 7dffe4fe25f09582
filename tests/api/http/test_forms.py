"""Forms taken apart where they lie."""

import asyncio

import pytest

from api.errors import MalformedBody
from api.http.forms import MAX_FIELD_BYTES, MAX_FIELDS, parse_form
from api.http.intake import MEMORY_BYTES, Body

KIND = "multipart/form-data; boundary=xyz"


def part(name: str, content: bytes, extra: str = "") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
    return b"--xyz\r\n" + head.encode() + content + b"\r\n"


def form_of(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--xyz--\r\n"


def test_fields_and_files_keep_their_order() -> None:
    body = form_of(
        part("concept", "dünn".encode()),
        part("image", b"\x89PNG\r\n\r\n--xy", '; filename="a;\\"b.png"\r\nContent-Type: image/png'),
        part("concept", b""),
        part("empty", b"", '; filename=""'),
    )
    form = parse_form(body, KIND, max_files=2)
    assert form.fields == [("concept", "dünn"), ("concept", "")]
    assert [(file.name, file.take()) for file in form.files] == [
        ("image", b"\x89PNG\r\n\r\n--xy"),
        ("empty", b""),
    ]


def test_text_before_the_first_part_and_behind_the_last_is_left_out() -> None:
    body = b"preamble\r\n" + form_of(part("a", b"1")) + b"epilogue"
    assert parse_form(body, KIND, max_files=0).fields == [("a", "1")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary",
        part("a", b"1"),
        b"--xyz\r\n\r\nno name\r\n--xyz--",
        b'--xyz\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n--xyz--',
        b"--xyzzy\r\n\r\n1\r\n--xyz--",
        b"--xyz\r\nX: " + b"x" * 10_000 + b"\r\n\r\n1\r\n--xyz--",
        form_of(part("a", b"\xff")),
        form_of(part("a", b"x" * (MAX_FIELD_BYTES + 1))),
        form_of(*[part("a", b"1")] * (MAX_FIELDS + 1)),
        form_of(*[part("a", b"1", '; filename="f"')] * 3),
    ],
    ids=[
        "empty",
        "no boundary",
        "no end",
        "no name",
        "no form data",
        "longer boundary",
        "long head",
        "not UTF-8",
        "long field",
        "many fields",
        "many files",
    ],
)
def test_what_is_no_form_or_over_a_limit_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_form(body, KIND, max_files=2)


@pytest.mark.parametrize("kind", ["multipart/form-data", f"{KIND}{'z' * 80}"])
def test_a_form_needs_a_boundary_of_sensible_length(kind: str) -> None:
    with pytest.raises(MalformedBody, match="boundary of 1 to 70"):
        parse_form(form_of(), kind, max_files=1)


def test_a_long_body_is_read_from_its_file_piece_by_piece() -> None:
    content = bytes(range(256)) * (MEMORY_BYTES // 64)

    async def read() -> bytes:
        found = b""
        with Body() as body:
            sent = form_of(part("files", content, '; filename="f"'))
            for start in range(0, len(sent), 65_536):
                await body.add(sent[start : start + 65_536])
            file = parse_form(body.buffer(), KIND, max_files=1).files[0]
            while piece := await file.read(1_000_000):
                found += piece
        return found

    assert asyncio.run(read()) == content

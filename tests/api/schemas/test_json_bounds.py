"""Bounds that a JSON text is held to before anything is made of it."""

import json
import time
from contextlib import suppress

import pytest

from api.errors import InvalidFields, MalformedBody
from api.schemas.json_bounds import MAX_DEPTH, MAX_ITEMS, MAX_KEYS, check_bounds
from api.schemas.requests import SegmentBody

# Far above what one look at the text takes, far below what one look per quotation mark takes.
SOON_S = 5.0
MEBIBYTE = 2**20


def keys(number: int) -> dict[str, int]:
    return {f"field{index}": index for index in range(number)}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"a": "\\\\", "b": "\\"{[,", "c": "}"}',
        json.dumps(keys(MAX_KEYS)).encode(),
        json.dumps([keys(MAX_KEYS)] * 100).encode(),
        json.dumps([1] * (MAX_ITEMS // 2)).encode(),
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        b"]}],,}",
    ],
    ids=["empty", "list", "signs in texts", "keys", "objects", "items", "depth", "broken"],
)
def test_what_is_within_the_bounds_passes(text: bytes) -> None:
    check_bounds(text)


def test_the_largest_request_passes() -> None:
    box = {"box": [0.123456789, 1.5, 200.25, 300.125], "label": "positive"}
    point = {"x": 1.5, "y": 2.5, "label": "negative"}
    prompt: dict[str, object] = {
        "text": "polyp",
        "boxes": [box] * 16,
        "points": [point] * 32,
        "kind": "concept",
    }
    prompt = prompt | {"mask": {"size": [331, 400], "counts": "QdW\\23U"}}
    body = {"image_id": "img_" + "a" * 64, "prompts": [prompt] * 16, "max_masks": 20}
    text = json.dumps(body).encode()
    check_bounds(text)
    assert set(body) <= set(SegmentBody.model_fields)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (json.dumps(keys(MAX_KEYS + 1)).encode(), f"{MAX_KEYS} fields"),
        (json.dumps({"a": [keys(MAX_KEYS + 1)]}).encode(), f"{MAX_KEYS} fields"),
        (json.dumps([1] * MAX_ITEMS * 2).encode(), f"{MAX_ITEMS} items"),
        (json.dumps([""] * MAX_ITEMS).encode(), f"{MAX_ITEMS} items"),
    ],
    ids=["keys", "keys inside", "items", "texts"],
)
def test_more_is_refused_with_the_limit(text: bytes, limit: str) -> None:
    with pytest.raises(InvalidFields) as caught:
        check_bounds(text, "prompts")
    assert caught.value.faults[0].field == "prompts"
    assert limit in caught.value.faults[0].message


def test_what_is_nested_too_deep_is_refused_with_the_limit() -> None:
    with pytest.raises(MalformedBody, match=f"{MAX_DEPTH} levels"):
        check_bounds(b"[" * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "text",
    [
        b'{"image":"' + b"A" * 64 * MEBIBYTE + b'"}',
        b'{"image":"' + b"\\" * 32 * MEBIBYTE + b'"}',
        b'{"image":"' + b'\\"' * 16 * MEBIBYTE + b'"}',
        b'"a\\"' * 8 * MEBIBYTE,
        b" " * 64 * MEBIBYTE,
    ],
    ids=["one text", "backslashes", "quotation marks", "open texts", "blanks"],
)
def test_a_long_text_is_looked_at_once(text: bytes) -> None:
    started = time.monotonic()
    with suppress(InvalidFields):
        check_bounds(text)
    assert time.monotonic() - started < SOON_S

"""Bounds of a JSON text before anything is made of it: depth, keys of an object, items in all.

What checks a body may take a time that grows faster than the body; the bounds keep that away.
"""

import re

from api.errors import FieldFault, InvalidFields, MalformedBody

# `prompts[0].boxes[0].box[0]` lies six deep.
MAX_DEPTH = 16
# The largest object known here has thirteen.
MAX_KEYS = 64
# Objects, lists, texts and commas: 16 prompts of 16 boxes, 32 points and a mask have some 7,000.
MAX_ITEMS = 20_000
# One search looks at so many bytes, so that other threads have their turn in between.
WINDOW_BYTES = 256 * 1024

_STRUCTURE = re.compile(rb'["{}\[\],]')


def check_bounds(raw: bytes, field: str = "body") -> None:
    """Refuse a JSON text over the bounds; whether it is JSON is for its parser to say.

    Looks at no more than the bounds allow, and at the texts in it only to find their ends.

    Raises:
        MalformedBody: it is nested too deep.
        InvalidFields: it has too many keys or items; `field` is what it is called.
    """
    # Of every level the keys so far; a list begins so low that its commas never count as keys.
    keys: list[int] = []
    items, position = 0, 0
    while (found := _structure_from(raw, position)) >= 0:
        sign, position = raw[found : found + 1], found + 1
        if sign == b'"':
            position, quotes = _text_end(raw, position)
            items += 1 + quotes
        elif sign == b"," and keys:
            items += 1
            keys[-1] += 1
        elif sign in b"{[":
            items += 1
            keys.append(1 if sign == b"{" else -MAX_ITEMS)
        elif sign in b"}]" and keys:
            keys.pop()
        _check(len(keys), keys[-1] if keys else 0, items, field)


def _check(depth: int, keys: int, items: int, field: str) -> None:
    if depth > MAX_DEPTH:
        raise MalformedBody(f"the JSON is nested deeper than {MAX_DEPTH} levels, the limit")
    if keys > MAX_KEYS:
        raise InvalidFields(FieldFault(field, f"at most {MAX_KEYS} fields in one object"))
    if items > MAX_ITEMS:
        raise InvalidFields(FieldFault(field, f"at most {MAX_ITEMS} items in all"))


def _structure_from(raw: bytes, start: int) -> int:
    for begin in range(start, len(raw), WINDOW_BYTES):
        if found := _STRUCTURE.search(raw, begin, begin + WINDOW_BYTES):
            return found.start()
    return -1


def _text_end(raw: bytes, start: int) -> tuple[int, int]:
    """Return the place after a text, and how many quotation marks are in it, up to the limit."""
    position, quotes = start, 0
    while quotes <= MAX_ITEMS and (end := raw.find(b'"', position)) >= 0:
        position = end + 1
        if _backslashes_before(raw, start, end) % 2 == 0:
            return position, quotes
        quotes += 1
    return len(raw), quotes


def _backslashes_before(raw: bytes, start: int, end: int) -> int:
    """Count them in windows that grow: a text may be made of them."""
    count, window = 0, 16
    while True:
        piece = raw[max(start, end - count - window) : end - count]
        here = len(piece) - len(piece.rstrip(b"\\"))
        count += here
        if here < len(piece) or not piece:
            return count
        window *= 2

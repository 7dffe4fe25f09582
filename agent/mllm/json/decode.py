"""Strict JSON decoding: finite numbers of sane size, clean strings, bounded depth. Pure."""

import json
import math
import unicodedata

# Answers are a few kilobytes; what is longer is not an answer.
MAX_CHARS = 200_000
# Our schemas nest four deep; a checkpointer raises at 2000 (reference/mllm.md, section 2).
MAX_DEPTH = 16
MAX_STRING_CHARS = 4_000
# A 64-bit integer has at most 19 digits.
MAX_DIGITS = 15


class NotJson(ValueError):
    """The text is not JSON as we take it."""


class Repeated:
    """Stands in an object where one key was given two values that differ."""


REPEATED = Repeated()


def decode(text: str) -> object:
    """Decode a whole text.

    Raises:
        NotJson: it is not one JSON value, or one that is too deep or holds odd numbers.
    """
    stripped = text.strip()
    value, end = decode_at(stripped, 0)
    if end != len(stripped):
        raise NotJson("more follows the JSON value")
    return value


def decode_at(text: str, start: int) -> tuple[object, int]:
    """Decode the value that starts at `start`; return it with the index behind it.

    Raises:
        NotJson: as in `decode`.
    """
    if len(text) > MAX_CHARS:
        raise NotJson(f"text of {len(text)} characters, the limit is {MAX_CHARS}")
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        raise NotJson("no JSON value") from None
    return _clean(value, MAX_DEPTH), end


def clean_text(text: str) -> str:
    """Drop control characters and lone surrogates (line ends and tabs become spaces); cap."""
    kept = (_clean_letter(letter) for letter in text[:MAX_STRING_CHARS])
    return "".join(kept)


def _clean_letter(letter: str) -> str:
    if letter in "\n\r\t":
        return " "
    return "" if unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Co", "Cn"} else letter


def _clean(value: object, depth: int) -> object:
    if depth == 0:
        raise NotJson(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_clean(item, depth - 1) for item in value]
    if isinstance(value, dict):
        return _object([(clean_text(key), _clean(item, depth - 1)) for key, item in value.items()])
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object; which of two values a repeated key means, nobody can know."""
    made: dict[str, object] = {}
    for key, value in pairs:
        made[key] = REPEATED if key in made and made[key] != value else value
    return made


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise NotJson("a number is not finite")
    return number


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise NotJson("an integer is too long")
    return int(digits)


def _constant(name: str) -> object:
    raise NotJson(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    parse_float=_finite,
    parse_int=_integer,
    parse_constant=_constant,
    object_pairs_hook=_object,
)

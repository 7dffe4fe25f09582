"""What pydantic finds wrong, in words that do not speak of Python."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from api.errors import FieldFault, InvalidFields

# What a client sent as a name or got told about a value is cut here.
MAX_NAME_CHARS = 64
MAX_MESSAGE_CHARS = 300
# Beyond the first few nobody reads; how many there are is told beside them.
MAX_FAULTS = 10

BodyT = TypeVar("BodyT", bound=BaseModel)

# pydantic's findings in words that do not speak of Python; the numbers are limits of ours.
REASONS: Mapping[str, str] = {
    "extra_forbidden": "this field is not known",
    "missing": "this field is needed",
    "too_long": "at most {max_length} items, got {actual_length}",
    "too_short": "at least {min_length} items, got {actual_length}",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "string_type": "must be a text",
    "tuple_type": "must be a list",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}


def checked(model: type[BodyT], fields: Mapping[str, object]) -> BodyT:
    """Check fields of a form or a command line; texts become numbers and truth values here.

    Raises:
        InvalidFields: names each wrong one.
    """
    try:
        return model.model_validate(fields, strict=False)
    except ValidationError as error:
        # The cause repeats the values.
        raise to_faults(faults_in(error)) from None


def faults_in(error: ValidationError) -> list[Mapping[str, Any]]:
    """Return pydantic's findings without the values, which may be anything."""
    return [dict(item) for item in error.errors(include_url=False, include_input=False)]


def to_faults(details: Iterable[Mapping[str, Any]]) -> InvalidFields:
    """Translate the first of pydantic's findings; paths and reasons stay, values go."""
    found = [(tuple(item["loc"]), item) for item in details]
    # A list with a broken item is also called too short: only the innermost finding helps.
    outer = {place[:length] for place, _ in found for length in range(len(place))}
    inner = [(place, item) for place, item in found if place not in outer]
    named = (FieldFault(path(place), _reason(item)) for place, item in inner[:MAX_FAULTS])
    return InvalidFields(*named, count=len(inner))


def path(parts: Iterable[int | str]) -> str:
    """Write a location as ``prompts[0].text``."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = cut(part, MAX_NAME_CHARS)
            text += f".{name}" if text else name
    return text or "body"


def _reason(item: Mapping[str, Any]) -> str:
    known = REASONS.get(item["type"])
    if known is not None:
        return known.format_map(item.get("ctx", {}))
    return str(item["msg"]).removeprefix("Value error, ")


def cut(text: str, limit: int) -> str:
    """Cap a text and drop what cannot be encoded or would break a terminal."""
    kept = "".join(letter if letter.isprintable() else "?" for letter in text[: limit + 1])
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"

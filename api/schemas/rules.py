"""Rules between fields, as JSON schema says them; the models check the same in their validators."""

from typing import Any

Schema = dict[str, Any]

# A text that is not blank and holds no control characters; in some also line ends and tabs.
_CONTROL = r"\x00-\x1f\x7f-\x9f"
_CONTROL_BUT_LINES = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
LINE = {"pattern": rf"^[^{_CONTROL}]*$"}
WORDS_ON_A_LINE = {"pattern": rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$"}
WORDS = {
    "pattern": rf"^[^{_CONTROL_BUT_LINES}]*[^\s{_CONTROL}][^{_CONTROL_BUT_LINES}]*$",
}
GIVEN: Schema = {"not": {"type": "null"}}
NULL: Schema = {"type": "null"}


def given(*names: str, **values: Schema) -> Schema:
    """Say that fields are there, and not null; of some also more."""
    fields = dict.fromkeys(names, GIVEN) | values
    return {"required": [*fields], "properties": fields}


def left_out(*names: str) -> Schema:
    """Say that fields are not there, or null."""
    return {"properties": dict.fromkeys(names, NULL)}


def both(*rules: Schema) -> Schema:
    """Say that all rules hold."""
    return {"allOf": [*rules]}


def either(*rules: Schema) -> Schema:
    """Say that one rule holds at least."""
    return {"anyOf": [*rules]}


def one_at_most(first: str, second: str) -> Schema:
    """Say that of two fields one is left out at least."""
    return either(left_out(first), left_out(second))


def one_of(first: str, second: str) -> Schema:
    """Say that of two fields one is there, and only one."""
    return either(both(given(first), left_out(second)), both(given(second), left_out(first)))


def together(first: str, second: str) -> Schema:
    """Say that two fields are both there or both not."""
    return either(given(first, second), left_out(first, second))

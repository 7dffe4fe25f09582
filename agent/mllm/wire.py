"""What both adapters share of the wire: untrusted bodies, the order of answer modes. Pure."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from agent.errors import MllmReplyError
from agent.schemas.rounds import Usage

# What asks for structured output is called differently by every server that cannot do it.
_UNSUPPORTED_HINTS = (
    "response_format",
    "responseformat",
    "json_schema",
    "json_object",
    "jsonschema",
    "schema",
    "response_mime_type",
    "responsemimetype",
    "json mode",
    "structured output",
    "grammar",
)
# Statuses with which servers say that they do not know a parameter.
UNSUPPORTED_STATUSES = frozenset({400, 404, 415, 422})


class Mode(StrEnum):
    """How an answer is bound to the schema, strictest first."""

    SCHEMA = "schema"
    JSON_OBJECT = "json_object"
    TEXT = "text"

    def below(self) -> "Mode | None":
        """Return the next looser mode, None at after the last."""
        modes = list(Mode)
        place = modes.index(self) + 1
        return modes[place] if place < len(modes) else None


class Reply(NamedTuple):
    """The words of one answer, not yet looked into, and what they cost."""

    text: str
    usage: Usage


def names_structure(message: str) -> bool:
    """Tell whether an error speaks of structured output."""
    lowered = message.lower()
    return any(hint in lowered for hint in _UNSUPPORTED_HINTS)


def schema_words(schema: Mapping[str, object]) -> str:
    """Say the schema in words, for models that are not bound to it."""
    return (
        "\n\nAnswer with one JSON object and nothing else. It must fit this JSON schema:\n"
        + json.dumps(schema, separators=(",", ":"))
    )


def body_object(body: str | None) -> dict[str, object]:
    """Return the JSON object of a response body.

    Raises:
        MllmReplyError: empty, HTML, cut, a list, or an error object sent as a success.
    """
    try:
        value = json.loads(body or "")
    except (ValueError, RecursionError):
        raise MllmReplyError("the server's answer is not JSON") from None
    if not isinstance(value, dict):
        raise MllmReplyError("the server's answer is not a JSON object")
    if value.get("error"):
        raise MllmReplyError("the server sent an error as an answer")
    return value


def mapping(value: object) -> Mapping[str, object]:
    """Return an object as it is, and anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """Return a list as it is, and anything else as an empty one."""
    return value if isinstance(value, list) else []


def count(value: object) -> int:
    """Return a token count, 0 for anything that is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0

"""What the adapters and their client share: questions, answer modes, untrusted bodies. Pure."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol

from agent.errors import MllmReplyError
from agent.mllm.contract import Picture
from agent.mllm.json.schema import Schema
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
_UNSUPPORTED_STATUSES = frozenset({400, 404, 415, 422})


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


class Question(NamedTuple):
    """What one request asks; `schema` is the portable one of the answer."""

    system: str
    text: str
    pictures: tuple[Picture, ...]
    schema: Schema

    def words(self, mode: Mode) -> str:
        """Return the text, with the schema in words for models that are not bound to it."""
        if mode is Mode.SCHEMA:
            return self.text
        return (
            f"{self.text}\n\nAnswer with one JSON object and nothing else."
            " It must fit this JSON schema:\n" + json.dumps(self.schema, separators=(",", ":"))
        )


class Reply(NamedTuple):
    """The words of one answer, not yet looked into, and what they cost."""

    text: str
    usage: Usage


class ServerError(Exception):
    """The server answered with an error status; `spoken` is all it says, in lower case."""

    def __init__(self, status: int, spoken: str) -> None:
        super().__init__(status)
        self.status = status
        self.spoken = spoken

    def names_parameter(self, name: str) -> bool:
        """Tell whether the server does not know a parameter."""
        return self.status in _UNSUPPORTED_STATUSES and name in self.spoken

    def names_structure(self) -> bool:
        """Tell whether the server does not know structured output."""
        return any(map(self.names_parameter, _UNSUPPORTED_HINTS))


class Adapter(Protocol):
    """One provider's wire: `agent.mllm.gemini`, `agent.mllm.openai_chat`."""

    @property
    def kind(self) -> Literal["gemini", "openai"]:
        """Which adapter this is."""
        ...

    model: str
    host: str

    async def send(self, question: Question, mode: Mode) -> Reply:
        """Send one request and read the words of its answer.

        Raises:
            ServerError: the server answered with an error status.
            MllmUnavailable, MllmReplyError, MllmRefused.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


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

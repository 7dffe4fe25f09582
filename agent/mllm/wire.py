"""What the adapters and their client share: questions, answer modes, untrusted bodies. Pure."""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol

from agent.errors import MllmReplyError
from agent.mllm.contract import Picture
from agent.mllm.json.extract import EMPTY
from agent.mllm.json.schema import Schema
from agent.schemas.rounds import Usage

CUT = "cut at the token limit"
REFUSED = "refused"
NO_ANSWER = "no answer in time"
NO_CONNECTION = "no connection"

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
    """The words of one answer, not yet looked into, and what they cost.

    Attributes:
        texts: where the answer may stand, likeliest first; none is empty.
        is_cut: it was cut at the token limit.
    """

    texts: tuple[str, ...]
    usage: Usage
    is_cut: bool = False


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
            MllmUnavailable: nothing was answered.
            MllmReplyError, MllmRefused: with what the answer cost.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


def body_object(body: str | None) -> dict[str, object]:
    """Return the JSON object of a response body.

    Raises:
        MllmReplyError: empty, HTML, cut, a list.
    """
    try:
        value = json.loads(body or "")
    except (ValueError, RecursionError):
        raise not_an_answer("the server's answer is not JSON") from None
    if not isinstance(value, dict):
        raise not_an_answer("the server's answer is not a JSON object")
    return value


def not_an_answer(reason: str, usage: Usage | None = None) -> MllmReplyError:
    """Return the error of a response that holds no words; it was a call all the same."""
    return MllmReplyError(reason=reason, usage=usage or Usage(calls=1))


def to_reply(texts: Iterable[str], usage: Usage, *, is_cut: bool) -> Reply:
    """Return the words of an answer.

    Raises:
        MllmReplyError: there are none.
    """
    said = tuple(text for text in texts if text.strip())
    if not said:
        raise not_an_answer(CUT if is_cut else EMPTY, usage)
    return Reply(said, usage, is_cut)


def mapping(value: object) -> Mapping[str, object]:
    """Return an object as it is, and anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """Return a list as it is, and anything else as an empty one."""
    return value if isinstance(value, list) else []


def count(*values: object) -> int:
    """Return the first of some values that is a token count, 0 if none is."""
    counts = (value for value in values if type(value) is int and value > 0)
    return next(counts, 0)

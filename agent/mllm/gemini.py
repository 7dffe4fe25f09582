"""Gemini by google-genai, at Google's own address, another one or on Vertex AI; its sole owner.

The raw HTTP body is read instead of the SDK's objects: an enum value the SDK does not know (they
come with every model) makes it warn, which is fatal under ``-W error``, and reasons are to be
compared by name anyway. The client is built with explicit values, so that no environment
variable can redirect it, switch it to another service or make it record; it follows no redirect.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import httpx2
from google import genai
from google.auth.exceptions import GoogleAuthError
from google.genai import errors, types
from google.genai.client import DebugConfig
from pydantic import SecretStr

from agent.errors import MllmRefused, MllmUnavailable
from agent.mllm.connections import direct_client
from agent.mllm.egress import host_of
from agent.mllm.event_stream import joined_gemini
from agent.mllm.vertex import VertexCredentials
from agent.mllm.wire import (
    NO_ANSWER,
    NO_CONNECTION,
    REFUSED,
    Mode,
    Question,
    Reply,
    ServerError,
    body_object,
    count,
    items,
    mapping,
    not_an_answer,
    to_reply,
)
from agent.schemas.rounds import Usage

# Thinking counts as output; less can end in an empty, billed answer (reference/mllm.md, 1).
MAX_OUTPUT_TOKENS = 8192
# Reasons that are the model's no, compared by name; every other one but STOP is a cut answer.
REFUSALS = frozenset(
    {
        "SAFETY",
        "PROHIBITED_CONTENT",
        "RECITATION",
        "SPII",
        "BLOCKLIST",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "LANGUAGE",
    }
)


# The SDK's own for Vertex AI, where v1beta does not exist.
VERTEX_API_VERSION = "v1beta1"


class VertexProject(NamedTuple):
    """A project on Vertex AI, and who we are there."""

    project: str
    location: str
    credentials: VertexCredentials


class Gemini:
    """The `Adapter` to the generateContent wire."""

    kind: Literal["gemini"] = "gemini"

    def __init__(
        self,
        *,
        model: str,
        api_key: SecretStr,
        base_url: str,
        api_version: str = "v1beta",
        timeout_s: float = 90.0,
        attempts: int = 3,
        retry_delay_s: float = 1.0,
        thinking_level: str | None = None,
        vertex: VertexProject | None = None,
    ) -> None:
        """Build the client; nothing is sent yet.

        Args:
            model: name as the server knows it.
            api_key: travels in a header, never in the URL.
            base_url: without the version, which the SDK always adds.
            api_version: ``v1beta`` knows the ``-latest`` names and new fields; ``v1`` does not.
            timeout_s: per read of one attempt; a question has its own deadline around all.
            attempts: how often a request is sent at most; the only layer that retries.
            retry_delay_s: first wait between attempts.
            thinking_level: ``low``, ``medium``, ``high``, or None for the model's own.
            vertex: whose Vertex AI stands at the address; its credentials take the key's place.
        """
        self.model = model
        self._thinking_level = thinking_level
        self.host = host_of(base_url)
        # At DEBUG the SDK writes prompts and pictures.
        logging.getLogger("google_genai").setLevel(logging.WARNING)
        self._http = direct_client(self.host, joined_gemini)
        who: dict[str, Any] = {"api_key": api_key.get_secret_value(), "enterprise": False}
        if vertex is not None:
            who = {**vertex._asdict(), "enterprise": True}
            api_version = VERTEX_API_VERSION
        self._client = genai.Client(
            **who,
            debug_config=DebugConfig(client_mode="", replays_directory="", replay_id=""),
            http_options=types.HttpOptions(
                base_url=base_url,
                api_version=api_version,
                timeout=round(timeout_s * 1000),
                httpx_async_client=self._http,
                retry_options=types.HttpRetryOptions(
                    attempts=attempts, initial_delay=retry_delay_s, max_delay=8.0
                ),
            ),
        )

    async def aclose(self) -> None:
        """Close connections."""
        await self._http.aclose()
        self._client.close()

    async def send(self, question: Question, mode: Mode) -> Reply:
        """See `agent.mllm.wire.Adapter`.

        Raises:
            ServerError, MllmUnavailable, MllmReplyError, MllmRefused.
        """
        try:
            response = await self._client.aio.models.generate_content(
                model=self.model,
                contents=[types.Content(role="user", parts=_parts(question, mode))],
                config=self._config(question, mode),
            )
        except GoogleAuthError:
            raise MllmUnavailable("no token for Vertex AI", reason="no access token") from None
        except errors.APIError as error:
            spoken = f"{error.message} {json.dumps(error.details, default=str)}".lower()
            raise ServerError(error.code, spoken) from None
        except httpx2.TimeoutException:
            raise MllmUnavailable(f"no answer from {self.host} in time", reason=NO_ANSWER) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            raise MllmUnavailable(f"no connection to {self.host}", reason=NO_CONNECTION) from None
        except ValueError:
            raise not_an_answer("the server's answer is not JSON") from None
        raw = response.sdk_http_response
        return _read(None if raw is None else raw.body)

    def _config(self, question: Question, mode: Mode) -> types.GenerateContentConfig:
        config = types.GenerateContentConfig(
            system_instruction=question.system,
            max_output_tokens=MAX_OUTPUT_TOKENS,
            should_return_http_response=True,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            automatic_continuation=False,
        )
        if mode is not Mode.TEXT:
            config.response_mime_type = "application/json"
        if mode is Mode.SCHEMA:
            config.response_json_schema = dict(question.schema)
        if self._thinking_level is not None:
            level = types.ThinkingLevel(self._thinking_level.upper())
            config.thinking_config = types.ThinkingConfig(thinking_level=level)
        return config


def _parts(question: Question, mode: Mode) -> list[types.Part]:
    parts: list[types.Part] = []
    for picture in question.pictures:
        parts.append(types.Part.from_text(text=f"{picture.caption}:"))
        parts.append(types.Part.from_bytes(data=picture.png, mime_type="image/png"))
    return [*parts, types.Part.from_text(text=question.words(mode))]


def _read(body: str | None) -> Reply:
    """Return the words of a response.

    Raises:
        MllmRefused, MllmReplyError.
    """
    response = body_object(body)
    usage = _usage(response.get("usageMetadata"))
    if response.get("error"):
        raise not_an_answer("the server sent an error as an answer", usage)
    if mapping(response.get("promptFeedback")).get("blockReason"):
        raise MllmRefused(reason=REFUSED, usage=usage)
    candidates = items(response.get("candidates"))
    if not candidates:
        raise not_an_answer("the answer has no candidate", usage)
    candidate = mapping(candidates[0])
    reason = candidate.get("finishReason")
    if reason in REFUSALS:
        raise MllmRefused(reason=REFUSED, usage=usage)
    if reason not in (None, "STOP", "MAX_TOKENS"):
        raise not_an_answer("the answer did not end as an answer does", usage)
    return to_reply(_texts(candidate), usage, is_cut=reason == "MAX_TOKENS")


def _texts(candidate: Mapping[str, object]) -> list[str]:
    """Return where the answer may stand: what is said, calls; thoughts if there is nothing else."""
    parts = [mapping(part) for part in items(mapping(candidate.get("content")).get("parts"))]
    calls = (mapping(part.get("functionCall")).get("args") for part in parts)
    said = [
        _joined(part for part in parts if not part.get("thought")),
        "\n".join(json.dumps(call) for call in calls if isinstance(call, dict)),
    ]
    said = [text for text in said if text.strip()]
    return said or [_joined(part for part in parts if part.get("thought"))]


def _joined(parts: Iterable[Mapping[str, object]]) -> str:
    texts = (part.get("text") for part in parts)
    return "".join(text for text in texts if isinstance(text, str))


def _usage(metadata: object) -> Usage:
    tokens = mapping(metadata)
    return Usage(
        calls=1,
        input_tokens=count(tokens.get("promptTokenCount")),
        output_tokens=count(tokens.get("candidatesTokenCount"))
        + count(tokens.get("thoughtsTokenCount")),
    )

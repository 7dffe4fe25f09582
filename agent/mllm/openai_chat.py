"""Any server that speaks OpenAI's chat completions, by the openai SDK; its sole owner.

The SDK does not validate answers, so the raw body is read and every level of it is checked here.
The client is built with explicit values, so that no environment variable can redirect it, and it
follows no redirect.
"""

import base64
import json
import logging
from collections.abc import Mapping
from typing import Any, Literal

import httpx2
import openai
from pydantic import SecretStr

from agent.errors import MllmRefused, MllmReplyError, MllmUnavailable
from agent.mllm.egress import host_of
from agent.mllm.wire import (
    Mode,
    Question,
    Reply,
    ServerError,
    body_object,
    count,
    items,
    mapping,
)
from agent.schemas.rounds import Usage

MAX_OUTPUT_TOKENS = 8192
TokenLimit = Literal["max_completion_tokens", "max_tokens"]
_OTHER_LIMIT: Mapping[TokenLimit, TokenLimit] = {
    "max_completion_tokens": "max_tokens",
    "max_tokens": "max_completion_tokens",
}


class OpenAiChat:
    """The `Adapter` to the chat.completions wire."""

    kind: Literal["openai"] = "openai"

    def __init__(
        self,
        *,
        model: str,
        api_key: SecretStr,
        base_url: str,
        timeout_s: float = 90.0,
        retries: int = 2,
        token_limit: TokenLimit = "max_completion_tokens",
    ) -> None:
        """Build the client; nothing is sent yet.

        Args:
            model: name as the server knows it.
            base_url: with the version, as in ``http://127.0.0.1:11434/v1``.
            api_key: any non-empty word for local servers.
            timeout_s: per read of one attempt; a question has its own deadline around all.
            retries: how often the SDK repeats a failed request; the only layer that retries.
            token_limit: name of the limit; the other one is tried if the server refuses it.
        """
        self.model = model
        self._token_limit: TokenLimit = token_limit
        self._swapped = False
        self.host = host_of(base_url)
        # At DEBUG (also by OPENAI_LOG) the SDK writes prompts and pictures.
        logging.getLogger("openai").setLevel(logging.WARNING)
        self._client = openai.AsyncOpenAI(
            api_key=api_key.get_secret_value() or "none",
            admin_api_key="",
            organization="",
            project="",
            webhook_secret="",
            base_url=base_url,
            timeout=timeout_s,
            max_retries=retries,
            http_client=httpx2.AsyncClient(trust_env=False, follow_redirects=False),
        )
        # Empty, they would travel as empty headers; None in the constructor reads the environment.
        self._client.organization = None
        self._client.project = None

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.close()

    async def send(self, question: Question, mode: Mode) -> Reply:
        """See `agent.mllm.wire.Adapter`; swaps the name of the token limit once.

        Raises:
            ServerError, MllmUnavailable, MllmReplyError, MllmRefused.
        """
        try:
            return await self._send(question, mode)
        except ServerError as error:
            if self._swapped or not error.names_parameter(self._token_limit):
                raise
        self._swapped = True
        self._token_limit = _OTHER_LIMIT[self._token_limit]
        return await self._send(question, mode)

    async def _send(self, question: Question, mode: Mode) -> Reply:
        create: Any = self._client.chat.completions.with_raw_response.create
        limit = {self._token_limit: MAX_OUTPUT_TOKENS}
        structure = _response_format(question, mode)
        try:
            response = await create(
                model=self.model, messages=_messages(question, mode), **limit, **structure
            )
        except openai.APIStatusError as error:
            if error.status_code == 400 and error.code == "content_filter":
                raise MllmRefused("the provider blocked the question") from None
            raise ServerError(error.status_code, _spoken(error)) from None
        except openai.APITimeoutError:
            raise MllmUnavailable(f"no answer from {self.host} in time") from None
        except openai.APIConnectionError:
            raise MllmUnavailable(f"no connection to {self.host}") from None
        return _read(str(response.text))


def _response_format(question: Question, mode: Mode) -> dict[str, object]:
    if mode is Mode.TEXT:
        return {}
    if mode is Mode.JSON_OBJECT:
        return {"response_format": {"type": "json_object"}}
    body = {"name": "answer", "strict": True, "schema": dict(question.schema)}
    return {"response_format": {"type": "json_schema", "json_schema": body}}


def _messages(question: Question, mode: Mode) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for picture in question.pictures:
        encoded = base64.b64encode(picture.png).decode("ascii")
        url = {"url": f"data:image/png;base64,{encoded}", "detail": "high"}
        parts.append({"type": "text", "text": f"{picture.caption}:"})
        parts.append({"type": "image_url", "image_url": url})
    parts.append({"type": "text", "text": question.words(mode)})
    return [{"role": "system", "content": question.system}, {"role": "user", "content": parts}]


def _spoken(error: openai.APIStatusError) -> str:
    return f"{error.param} {error.message} {json.dumps(error.body, default=str)}".lower()


def _read(body: str) -> Reply:
    """Return the words of a response.

    Raises:
        MllmRefused, MllmReplyError.
    """
    response = body_object(body)
    choices = items(response.get("choices"))
    if not choices:
        raise MllmReplyError("the answer has no choice")
    choice = mapping(choices[0])
    message = mapping(choice.get("message"))
    reason = choice.get("finish_reason")
    if message.get("refusal") or reason == "content_filter":
        raise MllmRefused("the model or its provider refused")
    if reason == "length":
        raise MllmReplyError("the answer was cut at the token limit")
    text = _content(message.get("content")) or _arguments(message)
    if not text:
        raise MllmReplyError("the answer has no text")
    return Reply(text, _usage(response.get("usage")))


def _content(content: object) -> str:
    """Join the text of a message; thoughts travel elsewhere and are never read."""
    if isinstance(content, str):
        return content
    texts = (mapping(part).get("text") for part in items(content))
    return "".join(text for text in texts if isinstance(text, str))


def _arguments(message: Mapping[str, object]) -> str:
    """Return the arguments of the first tool call, for servers that answer by calling."""
    for call in items(message.get("tool_calls")):
        arguments = mapping(mapping(call).get("function")).get("arguments")
        if isinstance(arguments, str):
            return arguments
        if isinstance(arguments, dict):
            return json.dumps(arguments)
    return ""


def _usage(usage: object) -> Usage:
    tokens = mapping(usage)
    return Usage(
        calls=1,
        input_tokens=count(tokens.get("prompt_tokens")),
        output_tokens=count(tokens.get("completion_tokens")),
    )

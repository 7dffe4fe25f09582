"""Any server that speaks OpenAI's chat completions, Azure's too, by the openai SDK; its owner.

The SDK does not validate answers, so the raw body is read and every level of it is checked here.
The client is built with explicit values, so that no environment variable can redirect it, and it
follows no redirect.
"""

import base64
import json
import logging
from collections.abc import Mapping
from typing import Any, Literal

import openai
from pydantic import SecretStr

from agent.errors import MllmRefused, MllmUnavailable
from agent.mllm.connections import direct_client
from agent.mllm.egress import host_of
from agent.mllm.event_stream import is_event_stream, joined
from agent.mllm.servers import Azure
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

MAX_OUTPUT_TOKENS = 8192
# Words for an end that is none, by server (OpenAI; Anthropic's, Mistral's and others' gateways).
_CUTS = frozenset({"length", "max_tokens", "max_output_tokens", "model_length", "MAX_TOKENS"})
_REFUSALS = frozenset({"content_filter", "refusal", "safety", "SAFETY"})
# Where servers put thoughts: DeepSeek, Qwen and LM Studio; OpenRouter and Ollama; Ollama's own.
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
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
        azure: Azure | None = None,
    ) -> None:
        """Build the client; nothing is sent yet.

        Args:
            model: name as the server knows it.
            base_url: with the version, as in ``http://127.0.0.1:11434/v1``; for Azure the endpoint.
            api_key: any non-empty word for local servers.
            timeout_s: per read of one attempt; a question has its own deadline around all.
            retries: how often the SDK repeats a failed request; the only layer that retries.
            token_limit: name of the limit; the other one is tried if the server refuses it.
            azure: the deployment at an endpoint of Azure OpenAI.
        """
        self.model = model
        self._token_limit: TokenLimit = token_limit
        self._swapped = False
        self.host = host_of(base_url)
        # At DEBUG (also by OPENAI_LOG) the SDK writes prompts and pictures.
        logging.getLogger("openai").setLevel(logging.WARNING)
        options: dict[str, Any] = {
            "api_key": api_key.get_secret_value() or "none",
            "admin_api_key": "",
            "organization": "",
            "project": "",
            "webhook_secret": "",
            "timeout": timeout_s,
            "max_retries": retries,
            "http_client": direct_client(self.host),
        }
        self._client: openai.AsyncOpenAI = (
            openai.AsyncOpenAI(base_url=base_url, **options)
            if azure is None
            else openai.AsyncAzureOpenAI(
                azure_endpoint=base_url,
                azure_deployment=azure.deployment,
                api_version=azure.api_version,
                **options,
            )
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
                raise MllmRefused(reason=REFUSED) from None
            raise ServerError(error.status_code, _spoken(error)) from None
        except openai.APITimeoutError:
            raise MllmUnavailable(f"no answer from {self.host} in time", reason=NO_ANSWER) from None
        except openai.APIConnectionError:
            raise MllmUnavailable(f"no connection to {self.host}", reason=NO_CONNECTION) from None
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
    response = joined(body) if is_event_stream(body) else body_object(body)
    usage = _usage(response.get("usage"))
    if response.get("error"):
        raise not_an_answer("the server sent an error as an answer", usage)
    choices = items(response.get("choices"))
    if not choices:
        raise not_an_answer("the answer has no choice", usage)
    choice = mapping(choices[0])
    message = mapping(choice.get("message"))
    reason = choice.get("finish_reason")
    if message.get("refusal") or reason in _REFUSALS:
        raise MllmRefused(reason=REFUSED, usage=usage)
    return to_reply(_texts(message), usage, is_cut=reason in _CUTS)


def _texts(message: Mapping[str, object]) -> list[str]:
    """Return where the answer may stand: what is said, calls; thoughts if there is nothing else.

    Servers that split thoughts off (LM Studio, vLLM) put the whole answer there when a model does
    not end its thought. Beside an answer they may hold drafts, and are not read.
    """
    said = [text for text in (_text(message.get("content")), _calls(message)) if text.strip()]
    return said or [text for name in _THOUGHTS if (text := _text(message.get(name)))][:1]


def _text(content: object) -> str:
    """Return a text, or the texts of a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return json.dumps(content)
    texts = (
        part if isinstance(part, str) else mapping(part).get("text")
        for part in items(content)
        if mapping(part).get("type") not in _THOUGHTS
    )
    return "".join(text for text in texts if isinstance(text, str))


def _calls(message: Mapping[str, object]) -> str:
    """Return the arguments of all calls, one a line, for servers that answer by calling."""
    functions = [mapping(call).get("function") for call in items(message.get("tool_calls"))]
    return "\n".join(map(_arguments, map(mapping, [*functions, message.get("function_call")])))


def _arguments(function: Mapping[str, object]) -> str:
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        return arguments
    return json.dumps(arguments) if isinstance(arguments, dict) else ""


def _usage(usage: object) -> Usage:
    tokens = mapping(usage)
    return Usage(
        calls=1,
        input_tokens=count(tokens.get("prompt_tokens"), tokens.get("input_tokens")),
        output_tokens=count(tokens.get("completion_tokens"), tokens.get("output_tokens")),
    )

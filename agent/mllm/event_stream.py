"""Answers that came as a stream of events, which nobody asked for, made whole. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from agent.mllm.wire import items, mapping

_DONE = "[DONE]"
# Texts of a message that come in pieces.
_TEXTS = ("content", "reasoning_content", "reasoning", "thinking", "refusal")


def is_event_stream(body: str) -> bool:
    """Tell whether a response body is made of events instead of being one JSON value."""
    return body.lstrip().startswith(("data:", "event:", "id:", "retry:", ":"))


def joined_gemini(body: str) -> dict[str, object]:
    """Return the response of Gemini's wire that the events of a stream add up to."""
    whole: dict[str, object] = {}
    candidate: dict[str, object] = {}
    parts: list[object] = []
    for event in _events(body):
        whole |= event
        piece = mapping(next(iter(items(event.get("candidates"))), None))
        parts += items(mapping(piece.get("content")).get("parts"))
        candidate |= piece
    if candidate:
        whole["candidates"] = [candidate | {"content": {"role": "model", "parts": parts}}]
    return whole


def joined(body: str) -> dict[str, object]:
    """Return the chat completion that the events of a stream add up to.

    A server may also send whole responses as events: the last one of those stands.
    """
    message: dict[str, Any] = {}
    whole: dict[str, object] = {}
    finish: object = None
    for event in _events(body):
        choice = mapping(next(iter(items(event.get("choices"))), None))
        finish = choice.get("finish_reason") or finish
        message |= mapping(choice.get("message"))
        _add(message, mapping(choice.get("delta")))
        whole |= {key: value for key, value in event.items() if value is not None}
    return whole | {"choices": [{"message": message, "finish_reason": finish}]}


def _events(body: str) -> list[Mapping[str, object]]:
    found: list[Mapping[str, object]] = []
    for line in body.splitlines():
        name, _, content = line.partition(":")
        if name.strip() != "data" or content.strip() == _DONE:
            continue
        try:
            found.append(mapping(json.loads(content)))
        except (ValueError, RecursionError):
            continue
    return found


def _add(message: dict[str, Any], delta: Mapping[str, object]) -> None:
    for key in _TEXTS:
        if isinstance(piece := delta.get(key), str):
            message[key] = (message.get(key) or "") + piece
    if isinstance(function := delta.get("function_call"), dict):
        _add_arguments(message.setdefault("function_call", {}), function)
    for call in map(mapping, items(delta.get("tool_calls"))):
        calls: list[dict[str, Any]] = message.setdefault("tool_calls", [])
        place = call.get("index")
        if type(place) is not int or not 0 <= place < len(calls):
            calls.append({"function": {}})
            place = -1
        _add_arguments(calls[place]["function"], mapping(call.get("function")))


def _add_arguments(function: dict[str, Any], delta: Mapping[str, object]) -> None:
    piece = delta.get("arguments")
    if isinstance(piece, dict):
        piece = json.dumps(piece)
    if isinstance(piece, str):
        function["arguments"] = (function.get("arguments") or "") + piece

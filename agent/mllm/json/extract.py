"""JSON out of whatever a model wrote: thoughts, fences, tags, prose, double encoding. Pure."""

import re
from collections.abc import Iterable, Iterator

from agent.errors import MllmReplyError
from agent.mllm.json.decode import MAX_CHARS, NotJson, decode, decode_at
from agent.mllm.json.repair import repaired
from agent.mllm.json.schema import Schema, find_fault, properties, type_names

_THOUGHT = re.compile(r"<(think|thinking|thought)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHT_END = re.compile(r"</(?:think|thinking|thought)>", re.IGNORECASE)
_FENCE = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
# Where a value may start. Prose holds few braces; a text that holds more is not an answer.
MAX_STARTS = 200
# A JSON string that holds JSON, in a call, in a list: four is the most ever seen.
MAX_WRAPPERS = 4
# Names under which servers put the arguments of a call.
_ARGUMENTS = ("arguments", "parameters", "args", "input")


def extract(text: str, schema: Schema) -> dict[str, object]:
    """Return the JSON object that answers, found in (and if need be repaired from) a text.

    Nullable properties that are missing come back as None.

    Raises:
        MllmReplyError: nothing in the text fits the schema. The message says what is wrong in
            words of the schema only, never of the text.
    """
    if len(text) > MAX_CHARS:
        raise MllmReplyError(f"answer of {len(text)} characters, the limit is {MAX_CHARS}")
    said = without_thoughts(text)
    fault = "the answer holds no JSON object"
    for value in _values(said):
        fitted = _fit(value, schema)
        if isinstance(fitted, dict):
            return fitted
        fault = fitted or fault
    raise MllmReplyError(fault)


def without_thoughts(text: str) -> str:
    """Drop thoughts, and all that stands before the end of a thought that was never opened."""
    kept = _THOUGHT.sub("", text)
    *_, last = _THOUGHT_END.split(kept)
    return last


def _values(text: str) -> Iterator[object]:
    """Yield what may be the answer, likeliest first."""
    fences = [match.group(1) for match in _FENCE.finditer(text)][::-1]
    yield from _decoded((text, *fences))
    yield from _scanned(text)
    yield from _decoded(filter(None, map(repaired, (*fences, text))))


def _decoded(texts: Iterable[str]) -> Iterator[object]:
    for text in texts:
        try:
            yield decode(text)
        except NotJson:
            continue


def _scanned(text: str) -> list[object]:
    """Return every complete value inside the text, longest first."""
    found: list[tuple[int, object]] = []
    behind = 0
    for match in list(re.finditer(r"[{\[]", text))[:MAX_STARTS]:
        start = match.start()
        if start < behind:
            continue
        try:
            value, behind = decode_at(text, start)
        except NotJson:
            continue
        found.append((behind - start, value))
    return [value for _, value in sorted(found, key=lambda item: -item[0])]


def _fit(value: object, schema: Schema) -> dict[str, object] | str | None:
    """Return the answer inside a value's wrappers, or what is wrong with its outermost object."""
    fault: str | None = None
    for _ in range(MAX_WRAPPERS):
        if isinstance(value, dict):
            found = find_fault(value, schema)
            if found is None:
                return {name: value.get(name) for name in properties(schema)}
            fault = fault or found
        value = _unwrapped(value, schema)
        if value is None:
            break
    return fault


def _unwrapped(value: object, schema: Schema) -> object:
    """Unwrap once: a string, a call, an object of one key, a list; None if it is none of these."""
    if isinstance(value, str):
        try:
            return decode(value)
        except NotJson:
            return None
    if isinstance(value, list):
        return _out_of_list(value, schema)
    if isinstance(value, dict):
        for name in _ARGUMENTS:
            if name in value:
                return value[name]
        function = value.get("function")
        return function if isinstance(function, dict) else _only(list(value.values()))
    return None


def _only(values: list[object]) -> object:
    return values[0] if len(values) == 1 else None


def _out_of_list(value: list[object], schema: Schema) -> object:
    if find_fault({}, schema) is not None and len(value) == 1 and isinstance(value[0], dict):
        inner = value[0]
        if find_fault(inner, schema) is None:
            return inner
    lists = [name for name, part in properties(schema).items() if "array" in type_names(part)]
    return {lists[0]: value} if len(lists) == 1 else _only(value)

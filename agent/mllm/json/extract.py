"""JSON out of whatever a model wrote: thoughts, fences, tags, prose, double encoding. Pure."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TypeVar

from agent.errors import MllmReplyError
from agent.mllm.json.decode import MAX_CHARS, NotJson, decode, decode_at
from agent.mllm.json.misfit import TWO_ANSWERS, Misfit, refuse_repeated
from agent.mllm.json.repair import bracket_ends, repaired

Read = TypeVar("Read")

NO_JSON = "no JSON"
EMPTY = "empty"

_THOUGHT = re.compile(r"<(think|thinking|thought)>(.*?)(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHT_END = re.compile(r"</(?:think|thinking|thought)>", re.IGNORECASE)
_FENCE = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
# Where a value may start. Prose holds few braces; a text that holds more is not an answer.
MAX_STARTS = 200
# A JSON string that holds JSON, in a call, in a list: four is the most ever seen.
MAX_WRAPPERS = 4
# Names under which servers put the arguments of a call.
_ARGUMENTS = ("arguments", "parameters", "args", "input")


def extract(
    text: str, read: Callable[[object], Read], known: Collection[str] = frozenset()
) -> Read:
    """Return what the first value in a text that fits says.

    A text may hold several values. Those that fit must say the same: which of two plans is meant,
    nobody can know.

    Args:
        text: as the model wrote it.
        read: makes an answer of a JSON value, or raises `Misfit`.
        known: names of fields, which may stand in an error.

    Raises:
        MllmReplyError: nothing in the text fits. Its reason and message are words of ours only.
    """
    if len(text) > MAX_CHARS:
        raise MllmReplyError(reason=f"longer than {MAX_CHARS} characters")
    said = said_outside_thoughts(text)
    if not said.strip():
        raise MllmReplyError(reason=EMPTY)
    fault: Misfit | None = None
    for values in _stages(said):
        answers, misfit = _read_all(list(filter(_may_answer, values)), read, known)
        if any(answer != answers[0] for answer in answers):
            fault = Misfit("", TWO_ANSWERS)
            break
        if answers:
            return answers[0]
        fault = _worse(fault, misfit)
    if fault is None:
        raise MllmReplyError("the answer holds no JSON object", reason=NO_JSON)
    raise MllmReplyError(fault.advice, reason=fault.reason)


def without_thoughts(text: str) -> str:
    """Drop thoughts, and all that stands before the end of a thought that was never opened."""
    kept = _THOUGHT.sub("", text)
    *_, last = _THOUGHT_END.split(kept)
    return last


def said_outside_thoughts(text: str) -> str:
    """Return a text without its thoughts; where it has nothing else, they are what was said."""
    said = without_thoughts(text)
    return said if said.strip() else _THOUGHT_END.sub("", _THOUGHT.sub(r"\2", text))


def _stages(text: str) -> Iterator[list[object]]:
    """Yield what may be the answer, likeliest first; values of one stage stand side by side."""
    yield list(_decoded([text]))
    fences = [match.group(1) for match in _FENCE.finditer(text)]
    yield _together(list(_decoded(fences)))
    yield _together(_scanned(text))
    yield from ([value] for value in _decoded(filter(None, map(repaired, (*fences, text)))))


def _may_answer(value: object) -> bool:
    """Tell whether a value is more than numbers in brackets, which are prose."""
    if isinstance(value, list):
        return any(isinstance(item, dict | str) for item in value)
    return isinstance(value, dict | str)


def _together(values: list[object]) -> list[object]:
    """Put the list of all first where there are several: a box each is one answer."""
    parts = [part for value in values for part in (value if isinstance(value, list) else [value])]
    return [parts, *values] if len(values) > 1 else values


def _decoded(texts: Iterable[str]) -> Iterator[object]:
    for text in texts:
        try:
            yield decode(text)
        except NotJson:
            continue


def _scanned(text: str) -> list[object]:
    """Return the outermost values inside the text.

    What is inside of a bracket that is no value is a part of an answer, and not looked at; where a
    bracket never closes the text is cut, and nothing of it counts.
    """
    found: list[object] = []
    ends = bracket_ends(text)
    behind = 0
    for match in list(re.finditer(r"[{\[]", text))[:MAX_STARTS]:
        start = match.start()
        if start < behind:
            continue
        try:
            value, behind = decode_at(text, start)
        except NotJson:
            if start not in ends:
                return []
            behind = ends[start]
            continue
        found.append(value)
    return found


def _read_all(
    values: Sequence[object], read: Callable[[object], Read], known: Collection[str]
) -> tuple[list[Read], Misfit | None]:
    """Return what those values say that fit, and what is wrong with the others.

    The list of all, where it fits, is the one answer.
    """
    answers: list[Read] = []
    fault: Misfit | None = None
    for place, value in enumerate(values):
        try:
            answers.append(_fit(value, read, known))
        except Misfit as misfit:
            fault = _worse(fault, misfit)
        if place == 0 and answers and len(values) > 1:
            break
    return answers, fault


def _worse(first: Misfit | None, second: Misfit | None) -> Misfit | None:
    """Return the fault to tell: the first of a value that was meant as an answer."""
    if first is None or (second is not None and first.is_other and not second.is_other):
        return second
    return first


def _fit(value: object, read: Callable[[object], Read], known: Collection[str]) -> Read:
    """Return what a value says inside its wrappers.

    Raises:
        Misfit: what is wrong with the first of them that was meant as an answer.
    """
    fault = Misfit("", "must be one JSON object with the fields asked for", is_other=True)
    for _ in range(MAX_WRAPPERS):
        try:
            refuse_repeated(value, known)
            return read(value)
        except Misfit as misfit:
            fault = misfit
        value = _unwrapped(value) if fault.is_other else None
        if value is None:
            break
    raise fault


def _unwrapped(value: object) -> object:
    """Unwrap once: a string, a call, an object of one key, a list of one; None if none of these."""
    if isinstance(value, str):
        try:
            return decode(value)
        except NotJson:
            return None
    if isinstance(value, list):
        return value[0] if len(value) == 1 else None
    if isinstance(value, dict):
        for name in _ARGUMENTS:
            if name in value:
                return value[name]
        held = [inner for inner in value.values() if isinstance(inner, dict | list) and inner]
        held = held or list(value.values())
        return held[0] if len(held) == 1 else None
    return None

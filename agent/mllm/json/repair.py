"""One bounded repair of nearly-JSON: stray brackets, trailing commas, missing closers. Pure.

Not by json-repair 0.64: it guesses at words too, and made an answer of every fourth of the damaged
bodies that are refused here (of the ten thousand in the tests).
"""

import re

from agent.mllm.json.decode import MAX_DEPTH

MAX_REPAIR_CHARS = 50_000
# A number may go on; these cannot.
_WHOLE_WORDS = frozenset({"true", "false", "null"})
_CLOSERS = {"{": "}", "[": "]"}
# Strings, one that never ends, punctuation, and what stands between; each with the space behind it.
_STRING = r'"(?:[^"\\]|\\.)*"\s*'
_TOKEN = re.compile(_STRING + r'|".*|[{}\[\],:]\s*|[^"{}\[\],:\s]+\s*', re.DOTALL)


def repaired(text: str) -> str | None:
    """Return the one bracketed value of a text with its brackets put right, or None.

    Handled: a doubled opening brace, a closer that matches nothing, a comma before a closer, and
    closers that lack at the end. Values and words are never changed. None is for what is too deep,
    for several values, and for an end in the middle of something: half is not used.
    """
    start = min((at for at in map(text.find, "{[") if at >= 0), default=-1)
    if start < 0:
        return None
    out: list[str] = []
    closers: list[str] = []
    for match in _TOKEN.finditer(text, start, start + MAX_REPAIR_CHARS):
        if out and not closers:
            # Another value follows, and it is not known which of them is meant.
            return None if re.search(r"[{\[]", text[match.start() :]) else _ended(out, closers)
        _take(match[0], out, closers)
        if len(closers) > MAX_DEPTH:
            return None
    return _ended(out, closers)


def bracket_ends(text: str) -> dict[int, int]:
    """Return for each opening bracket that is closed the index behind its end."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    for match in _TOKEN.finditer(text):
        letter = match[0][0]
        if letter in _CLOSERS:
            opened.append(match.start())
        while letter in "}]" and opened:
            start = opened.pop()
            ends[start] = match.start() + 1
            if _CLOSERS[text[start]] == letter:
                break
    return ends


def _take(token: str, out: list[str], closers: list[str]) -> None:
    letter, space = token[0], token[1:]
    # An object cannot be a key: the second of two braces is stray.
    if letter == "{" and out and out[-1][0] == "{":
        out[-1] += space
    elif letter in "}]":
        if letter in closers:
            while _close(out, closers) != letter:
                continue
        out[-1] += space
    else:
        out.append(token)
        closers += _CLOSERS.get(letter, "")


def _close(out: list[str], closers: list[str]) -> str:
    """Close the innermost bracket, without a comma before its end; return the closer."""
    out[-1] = out[-1].rstrip()
    if out[-1] == ",":
        out.pop()
    out.append(closers.pop())
    return out[-1]


def _ended(out: list[str], closers: list[str]) -> str | None:
    """Close what is open; None if the text breaks off inside of a value or before one."""
    last = out[-1].rstrip()
    if closers and last not in {"}", "]", *_WHOLE_WORDS} and not _is_string(out, closers):
        return None
    while closers:
        _close(out, closers)
    return "".join(out).rstrip()


def _is_string(out: list[str], closers: list[str]) -> bool:
    """Tell whether the end is a whole string that is no key: a value should follow one."""
    is_key = closers[-1] == "}" and len(out) > 1 and out[-2][0] in "{,"
    return not is_key and re.fullmatch(_STRING, out[-1], re.DOTALL) is not None

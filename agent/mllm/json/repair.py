"""One bounded repair of nearly-JSON: stray brackets, trailing commas, missing closers. Pure.

Not by json-repair 0.64: it guesses at words too, and made an answer of every fourth of the damaged
bodies that are refused here (of the ten thousand in the tests).
"""

import re

from agent.mllm.json.decode import MAX_DEPTH

MAX_REPAIR_CHARS = 50_000
_CLOSERS = {"{": "}", "[": "]"}
# Strings, one that never ends, punctuation, and what stands between; each with the space behind it.
_STRING = r'"(?:[^"\\]|\\.)*"\s*'
_TOKEN = re.compile(_STRING + r'|".*|[{}\[\],:]\s*|[^"{}\[\],:\s]+\s*', re.DOTALL)


def repaired(text: str) -> str | None:
    """Return the first bracketed value of a text with its brackets put right; None if too deep.

    Handled: a doubled opening brace, a closer that matches nothing, a comma before a closer, and
    an end that comes too early. Values and words are never changed.
    """
    start = min((at for at in map(text.find, "{[") if at >= 0), default=-1)
    if start < 0:
        return None
    out: list[str] = []
    closers: list[str] = []
    for token in _TOKEN.findall(text[start : start + MAX_REPAIR_CHARS]):
        _take(token, out, closers)
        if not closers:
            break
        if len(closers) > MAX_DEPTH:
            return None
    return _ended(out, closers)


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


def _ended(out: list[str], closers: list[str]) -> str:
    last = out[-1]
    if closers and last[0] == '"' and not re.fullmatch(_STRING, last, re.DOTALL):
        escaped = (len(last) - len(last.rstrip("\\"))) % 2
        out[-1] = last + "\\" * escaped + '"'
    elif closers and last[0] == ":":
        out.append("null")
    while closers:
        _close(out, closers)
    return "".join(out).rstrip()

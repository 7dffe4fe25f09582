"""Reads the fenced blocks of Markdown: the commands, and the answers shown below them.

A block in ``sh`` runs as it stands; the blocks of a page share one shell, so that a variable set in
one is there in the next. An HTML comment right above a block keeps it from running and says why:

    <!-- not run: needs a GPU -->

Another names the extra of pyproject.toml that the commands need beside the base installation:

    <!-- installation: evaluate -->

A block in ``text`` or ``json`` right below one in ``sh`` is what that one prints; ``…`` stands for
whatever was left out, and blanks do not count.
"""

import re
from typing import NamedTuple

FENCE = re.compile(r"^```(?P<language>\w*)\s*\n(?P<text>.*?)^```\s*$", re.MULTILINE | re.DOTALL)
EXTRA = re.compile(r"<!-- installation: (?P<extra>\w+) -->\s*\Z")
NOT_RUN = re.compile(r"<!-- not run: (?P<reason>[^>]+) -->\s*\Z")
LEFT_OUT = "…"


class Block(NamedTuple):
    """Commands of a page.

    Attributes:
        line: of the page, from 1, where the block begins.
        commands: as written.
        reason: why they are not run; None if they are.
        extra: what they need beside the base installation; None for nothing.
        answer: what they print, shortened; None where the page does not show it.
    """

    line: int
    commands: str
    reason: str | None
    extra: str | None
    answer: str | None


def blocks_of(markdown: str) -> list[Block]:
    """Return the blocks in ``sh`` of a page, in order."""
    fences = list(FENCE.finditer(markdown))
    found = []
    for index, fence in enumerate(fences):
        if fence["language"] != "sh":
            continue
        mark = NOT_RUN.search(markdown, 0, fence.start())
        more = EXTRA.search(markdown, 0, fence.start())
        line = markdown.count("\n", 0, fence.start()) + 1
        answer = _answer(markdown, fence, fences[index + 1 :])
        reason, extra = mark and mark["reason"], more and more["extra"]
        found.append(Block(line, fence["text"], reason, extra, answer))
    return found


def _answer(markdown: str, fence: "re.Match[str]", later: "list[re.Match[str]]") -> str | None:
    if not later or later[0]["language"] not in ("text", "json"):
        return None
    between = markdown[fence.end() : later[0].start()]
    return None if between.strip() else later[0]["text"]


def misses(answer: str, printed: str) -> str | None:
    """Return the first part of a shown answer that was not printed; None if all of it was."""
    parts = ["".join(part.split()) for part in answer.split(LEFT_OUT)]
    text = "".join(printed.split())
    if not text.startswith(parts[0]):
        return parts[0]
    place = len(parts[0])
    for part in parts[1:-1]:
        place = text.find(part, place)
        if place < 0:
            return part
        place += len(part)
    if len(parts) == 1:
        return None if len(text) == place else parts[0]
    ends_so = text.endswith(parts[-1]) and len(text) - len(parts[-1]) >= place
    return None if ends_so else parts[-1]

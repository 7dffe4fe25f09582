"""Takes a request apart into words and marks, each with its place in the caller's text. Pure."""

import re
from typing import NamedTuple

from agent.schemas.runs import MAX_REQUEST_CHARS
from segmenter.words.spelling import fold, singular

# Words with their apostrophes, numbers with their decimals, and every other sign by itself; of
# scripts without spaces every character is a word.
_HAN_KANA = "\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_PIECE = re.compile(
    rf"\d+(?:\.\d+)?|[{_HAN_KANA}]"
    rf"|[^\W_{_HAN_KANA}]+(?:['\u2019][^\W\d_]+)*|[^\w\s]|_"
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


class Token(NamedTuple):
    """A word of a request.

    Attributes:
        word: in lower case, American spelling, singular where it is English; a mark is itself.
        start: where it begins in the caller's text; characters ``start`` to ``end`` (half-open).
        end: where it ends. Words that are written as one ("don't") share their place.
    """

    word: str
    start: int
    end: int


def tokenize(text: str) -> tuple[Token, ...]:
    """Return the words and marks of a text, of at most `MAX_REQUEST_CHARS` characters."""
    return tuple(
        Token(word, piece.start(), piece.end())
        for piece in _PIECE.finditer(text[:MAX_REQUEST_CHARS])
        for word in _words(piece[0])
    )


def _words(piece: str) -> list[str]:
    if _NUMBER.fullmatch(piece):
        return [piece]
    plain = fold(piece).replace("\u2019", "'")
    # "The small ones" are more than the one that is smallest.
    return [word if word == "ones" else singular(word) for word in plain.split()] or [piece]

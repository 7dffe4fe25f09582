"""Puts requests in other languages into the English words that the reader knows. Pure.

Only words are replaced: each English word carries the places of the phrase it stands for, and a
word that no table holds stays as it is, so that it comes out as not understood, verbatim.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agent.language.detection import ENGLISH, language_of
from agent.language.language_tables import (
    TRANSLATED,
    LanguageTable,
    Meaning,
    language_table,
    split_elisions,
)
from agent.language.tokens import Token

# What a word that follows what it is about ("heart except") may belong to.
_NAMING = ("structures", "sides", "ranks", "numbers")
# Stands before the first word of a clause, and in phrases that mean something else there: "mas
# grande" is "bigger", but "polipo mas grande" the largest one.
_CLAUSE = "^"
_CLAUSE_MARKS = frozenset(",;.:?!")


class Translated(NamedTuple):
    """A request in English words.

    Attributes:
        tokens: as `tokenize` returns them; those of the request itself where it is English or in
            a language that is not translated.
        language: ISO 639-1 code of the language it was written in.
    """

    tokens: tuple[Token, ...]
    language: str

    @property
    def is_read(self) -> bool:
        """Tell whether the tokens are English; else the language is not translated."""
        return self.language in (ENGLISH, *TRANSLATED)


def translate(tokens: Sequence[Token]) -> Translated:
    """Put the words of a request into English, where its language has a table."""
    language = language_of(tokens)
    if language not in TRANSLATED:
        return Translated(tuple(tokens), language)
    return Translated(_in_english(tuple(tokens), language_table(language)), language)


def _in_english(tokens: tuple[Token, ...], table: LanguageTable) -> tuple[Token, ...]:
    made: list[tuple[tuple[Token, ...], bool]] = []
    for part, meaning in _parts(_with_clauses(split_elisions(tokens, table.elisions)), table):
        if meaning is None:
            made.append((tuple(token for token in part if not _is_clause(token)), False))
            continue
        start, end = part[0].start, part[-1].end
        english = tuple(Token(word, start, end) for word in meaning.english)
        at = _before_noun(made) if meaning.after else len(made)
        made.insert(at, (english, meaning.section in _NAMING or not english))
        if meaning.after:
            # What comes next is no part of it: "lung" in "heart except lung".
            made.append(((Token(",", start, end),), False))
    return tuple(token for english, _ in made for token in english)


def _with_clauses(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    made = [Token(_CLAUSE, 0, 0)]
    for token in tokens:
        made.append(token)
        if token.word in _CLAUSE_MARKS:
            made.append(Token(_CLAUSE, token.end, token.end))
    return tuple(made)


def _is_clause(token: Token) -> bool:
    """Tell a beginning from a caller's own sign, which has a width."""
    return token.word == _CLAUSE and token.start == token.end


def _parts(
    tokens: tuple[Token, ...], table: LanguageTable
) -> Iterator[tuple[tuple[Token, ...], Meaning | None]]:
    """Yield the phrases of the table, and the words between them."""
    done = 0
    for found in table.phrases.find(tuple(token.word for token in tokens)):
        if done < found.start:
            yield tokens[done : found.start], None
        yield tokens[found.start : found.end], found.meaning
        done = found.end
    if done < len(tokens):
        yield tokens[done:], None


def _before_noun(made: Sequence[tuple[tuple[Token, ...], bool]]) -> int:
    """Return where the noun begins that was said last, with what belongs to it."""
    at = len(made)
    while at and made[at - 1][1]:
        at -= 1
    return at

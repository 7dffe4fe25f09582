"""Puts requests in other languages into the English words that the reader knows. Pure.

Only words are replaced: each English word carries the places of the phrase it stands for, and a
word that no table holds stays as it is, unless it is a slip beyond doubt, so that it comes out as
not understood, verbatim.
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
from agent.language.lexicon import load_lexicon
from agent.language.tokens import Token
from agent.language.translated_slips import correct_slip
from segmenter.words.phrases import Found, Words

# What a word that follows what it is about ("heart except") may belong to.
_NAMING = ("structures", "sides", "ranks", "numbers")
# Stands before the first word of a clause, and in phrases that mean something else there: "mas
# grande" is "bigger", but "polipo mas grande" the largest one.
_CLAUSE = "^"
_CLAUSE_MARKS = frozenset(",;.:?!¿¡")


class Translated(NamedTuple):
    """A request in English words.

    Attributes:
        tokens: as `tokenize` returns them; those of the request itself where it is English or in
            a language that is not translated.
        language: ISO 639-1 code of the language it was written in.
        slips: typing errors as they were typed, each with the word of that language it was read as.
    """

    tokens: tuple[Token, ...]
    language: str
    slips: tuple[tuple[Token, str], ...] = ()

    @property
    def is_read(self) -> bool:
        """Tell whether the tokens are English; else the language is not translated."""
        return self.language in (ENGLISH, *TRANSLATED)


def translate(tokens: Sequence[Token]) -> Translated:
    """Put the words of a request into English, where its language has a table."""
    language = language_of(tokens)
    if language not in TRANSLATED:
        return Translated(tuple(tokens), language)
    table = language_table(language)
    elided = split_elisions(tuple(tokens), table.elisions)
    spelled = tuple(correct_slip(token, table) for token in elided)
    slips = tuple((old, new.word) for old, new in zip(elided, spelled, strict=True) if old != new)
    return Translated(_in_english(spelled, table), language, slips)


def _in_english(tokens: tuple[Token, ...], table: LanguageTable) -> tuple[Token, ...]:
    made: list[tuple[tuple[Token, ...], bool]] = []
    for part, meaning in _parts(_with_clauses(tokens), table):
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
    """Yield the phrases of the table, and the words between them.

    An English name ("optic cup") stays whole, where the table knows only a part of it.
    """
    words, names = tuple(token.word for token in tokens), load_lexicon().phrases
    done = at = 0
    while at < len(words):
        found, name = _longest_at(words, at, table), names.find_at(words, at)
        known = found.end if found else at + 1
        if name and name.end > known:
            at = name.end
        elif found:
            if done < at:
                yield tokens[done:at], None
            yield tokens[at:known], found.meaning
            done = at = known
        else:
            at += 1
    if done < len(tokens):
        yield tokens[done:], None


def _longest_at(words: Words, at: int, table: LanguageTable) -> Found[Meaning] | None:
    """Return the phrase at a place; a longer one may begin behind the beginning of a clause."""
    found = table.phrases.find_at(words, at)
    if found and words[at] == _CLAUSE:
        inner = table.phrases.find_at(words, at + 1)
        return None if inner and inner.end > found.end else found
    return found


def _before_noun(made: Sequence[tuple[tuple[Token, ...], bool]]) -> int:
    """Return where the noun begins that was said last, with what belongs to it."""
    at = len(made)
    while at and made[at - 1][1]:
        at -= 1
    return at

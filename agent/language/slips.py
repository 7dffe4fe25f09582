"""Reads typing errors as the known words they were meant to be, if that is beyond doubt. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

from agent.language.detection import foreign_words
from agent.language.grammar import load_grammar, words_of
from agent.language.lexicon import Lexicon, load_lexicon, normalise
from agent.language.tokens import Token
from agent.schemas.intent import Act, Correction
from segmenter.words.phrases import Words
from segmenter.words.spelling import IRREGULAR_PLURALS, fold
from segmenter.words.typos import nearest_words

# A request with more strange words than this is no slip of the fingers.
MAX_CORRECTIONS = 8
# Shorter words are never read as a command that takes masks away.
_MIN_REMOVING_LETTERS = 5
_MIN_LETTERS = 4
# As `nearest_words` allows.
_MAX_EDITS = 2
_REMOVING: tuple[Act, ...] = ("drop", "clear", "subtract", "wrong", "undo")


@dataclass(frozen=True)
class _Spelled:
    """Words that are spelled right.

    Attributes:
        alike: by their first letter and length, each with the word that it is read as.
        known: all of them, and the numbers of single letters.
        slips: typing errors of short words, with what they are read as.
        removing: words of commands that take masks away.
    """

    alike: Mapping[tuple[str, int], Mapping[str, str]]
    known: frozenset[str]
    slips: Mapping[str, Words]
    removing: frozenset[str]


def correct(
    tokens: Sequence[Token], text: str, lexicon: Lexicon
) -> tuple[tuple[Token, ...], tuple[Correction, ...]]:
    """Return the words with typing errors corrected, and what was corrected."""
    spelled = _spelled()
    # Words that stand beside speak for a correction.
    supported = any(
        (token.word in spelled.known and len(token.word) > 1) or token.word in spelled.slips
        for token in tokens
    )
    near: dict[int, tuple[Words, ...]] = {}
    for at, token in enumerate(tokens):
        if len(near) < MAX_CORRECTIONS and token.word.isalpha() and token.word not in spelled.known:
            near[at] = _near(token, text, spelled, supported=supported)
    # Those beyond doubt first: they may decide between the words that others may be.
    words = [
        near[at][0] if len(near.get(at, ())) == 1 else (token.word,)
        for at, token in enumerate(tokens)
    ]
    for at, meant in near.items():
        if len(meant) > 1:
            words[at] = _named(meant, words[:at][-1:], words[at + 1 : at + 2], lexicon) or words[at]
    corrections = tuple(
        Correction(typed=text[token.start : token.end], read=" ".join(read))
        for token, read in zip(tokens, words, strict=True)
        if read != (token.word,)
    )
    return tuple(
        token if word == token.word else token._replace(word=word)
        for token, read in zip(tokens, words, strict=True)
        for word in read
    ), corrections


def _near(token: Token, text: str, spelled: _Spelled, *, supported: bool) -> tuple[Words, ...]:
    """Return what a strange word may be, () for nothing."""
    if token.word in spelled.slips:
        return (spelled.slips[token.word],)
    if len(token.word) < _MIN_LETTERS:
        return ()
    typed = fold(text[token.start : token.end])
    # The plural's ending may hold the slip ("pancraes").
    for strange in dict.fromkeys((token.word, typed)):
        known = _alike(strange, spelled)
        words = sorted({known[word] for word in nearest_words(strange, known, supported=supported)})
        words = [word for word in words if not _takes_away(word, strange, spelled)]
        if words:
            return tuple((word,) for word in words)
    return ()


def _takes_away(word: str, strange: str, spelled: _Spelled) -> bool:
    """Tell whether a reading might take masks away by mistake: "forgot" is not "forget".

    Nor is a word of another language a slip: French "separe" is not "spare".
    """
    is_short = len(strange) < _MIN_REMOVING_LETTERS
    is_other = len(word) == len(strange) and sorted(word) != sorted(strange)
    return word in spelled.removing and (is_short or is_other or strange in foreign_words())


def _alike(strange: str, spelled: _Spelled) -> Mapping[str, str]:
    """Return the known words of the same first letter and about the same length."""
    return {
        word: meant
        for length in range(len(strange) - _MAX_EDITS, len(strange) + _MAX_EDITS + 1)
        for word, meant in spelled.alike.get((strange[0], length), {}).items()
    }


def _named(
    meant: Sequence[Words], before: Sequence[Words], after: Sequence[Words], lexicon: Lexicon
) -> Words:
    """Return the one word of several that makes a name with a neighbour, () without one."""
    named = [
        word
        for word in meant
        if any(lexicon.terms_of((*one, *word)) for one in before)
        or any(lexicon.terms_of((*word, *one)) for one in after)
    ]
    return named[0] if len(named) == 1 else ()


@cache
def _spelled() -> _Spelled:
    lexicon, grammar = load_lexicon(), load_grammar()
    words = lexicon.phrases.words() | lexicon.modalities.words() | grammar.phrases.words()
    words |= {word for first in grammar.gaps for word in first}
    words |= {word for found in grammar.gaps.values() for last, _ in found for word in last}
    plurals = {plural: one for plural, one in IRREGULAR_PLURALS.items() if one in words}
    read = {word: word for word in words if word.isalpha() and len(word) >= _MIN_LETTERS} | plurals
    alike: defaultdict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for word, meant in read.items():
        alike[word[0], len(word)][word] = meant
    said = grammar.file.words
    taking = chain(*(said.acts[act] for act in _REMOVING), *said.negations.values())
    removing = {word for phrase in taking for word in normalise(phrase)[:1]}
    slips = {
        typed: words_of(meant)
        for meant, typings in grammar.file.words.slips.items()
        for typed in typings
    }
    spelled = {word for text in grammar.file.words.spelled for word in words_of(text)}
    return _Spelled(alike, frozenset(words | spelled), slips, frozenset(removing))

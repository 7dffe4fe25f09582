"""Reads typing errors in other languages as the known words they were meant to be. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from functools import cache

from agent.language.detection import english_words
from agent.language.language_tables import LanguageTable, Meaning, language_table
from agent.language.tokens import Token
from segmenter.words.phrases import Words
from segmenter.words.typos import nearest_words

# The tables hold few words of a language, so that most words near one of theirs are words, too:
# one wrong letter in six is read, and only as what can take no mask away.
MIN_LETTERS = 6
_HARMLESS = ("structures", "questions")
_OUTLINE = ("outline",)


def correct_slip(token: Token, table: LanguageTable) -> Token:
    """Return a token with its typing error corrected, or as it is if there is any doubt."""
    word = token.word
    if len(word) < MIN_LETTERS or not word.isalpha() or word in english_words():
        return token
    if word in table.words:
        return token
    known = _spelled(table.language)
    alike = {
        other: meaning
        for length in range(len(word) - 1, len(word) + 2)
        for other, meaning in known.get((word[0], length), {}).items()
    }
    # Without support one edit is allowed in words so long, and two only from twelve letters on.
    near = nearest_words(word, alike, supported=False)
    meant: set[Words] = {alike[other].english for other in near}
    is_safe = all(_is_harmless(alike[other]) for other in near)
    return token._replace(word=near[0]) if len(meant) == 1 and is_safe else token


def _is_harmless(meaning: Meaning) -> bool:
    return meaning.section in _HARMLESS or meaning.english == _OUTLINE


@cache
def _spelled(language: str) -> Mapping[tuple[str, int], Mapping[str, Meaning]]:
    """Return the phrases of one word, by their first letter and length."""
    made: defaultdict[tuple[str, int], dict[str, Meaning]] = defaultdict(dict)
    phrases = language_table(language).phrases
    for words in phrases.phrases():
        meaning = phrases.get(words)
        if len(words) == 1 and words[0].isalpha() and meaning:
            made[words[0][0], len(words[0])][words[0]] = meaning
    return made

"""Decides which language a request is written in. Pure."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from agent.language.language_tables import (
    TRANSLATED,
    LanguageTable,
    Script,
    language_table,
    other_languages,
    split_elisions,
)
from agent.language.lexicon import load_lexicon
from agent.language.tokens import Token, tokenize
from segmenter.words.phrases import Words

ENGLISH = "en"
# Shorter words are abbreviations as often as words ("LA", "DE", "OS"), so they prove nothing.
MIN_PROOF_LETTERS = 3
# One foreign word in a long English request is a name or a slip, two in six are a mixed request;
# set by hand, not fitted.
MAX_ENGLISH_PER_FOREIGN = 3
# A word so long says alone that a request is in a language that is not translated.
_LONG_LETTERS = 5
_SEVERAL = 3
_UNSPACED = ("zh", "ja")
_HAN, _KANA = ("\u3400", "\u9fff"), ("\u3041", "\u30ff")


class _Fit(NamedTuple):
    """How well a language fits.

    Attributes:
        covered: words that it or English knows, and signs of its own.
        phrases: how many it takes to say them, negative: the fewer the better.
        proofs: words that tell it from English.
        english: words that only English knows.
    """

    covered: int
    phrases: int
    proofs: int
    english: int
    language: str

    @property
    def possible(self) -> bool:
        return self.proofs > 0 and self.english <= self.proofs * MAX_ENGLISH_PER_FOREIGN


def language_of(tokens: Sequence[Token]) -> str:
    """Return the ISO 639-1 code of the language of a request, ``en`` where nothing says another.

    English words count for every language, so that mixed requests are read; words that are
    English, too, prove no other language.
    """
    words = tuple(token.word for token in tokens if any(map(str.isalpha, token.word)))
    written = _written_in(words)
    if written in TRANSLATED:
        return written
    other = max(_other_fits(words), key=lambda fit: (fit.proofs, fit.covered))
    if written:
        return other.language if other.possible else written
    spaced = (language_table(name) for name in TRANSLATED if name not in _UNSPACED)
    fits = [fit for table in spaced if (fit := _fit(tokens, table)).possible]
    # The first of equals: what two languages say with the same words they mean alike.
    best = max(fits, default=None, key=lambda fit: fit[:3])
    if other.possible and (best is None or other.proofs > best.proofs):
        return other.language
    return best.language if best else ENGLISH


@cache
def english_words() -> frozenset[str]:
    """Return the words of English requests: the lexicon's, what the tables say, the listed ones."""
    lexicon = load_lexicon()
    names = (
        text for term in lexicon.file.terms for text in (term.label, *term.phrases, *term.synonyms)
    )
    kinds = (word for entry in lexicon.file.modalities.values() for word in entry.words)
    known = _words_of((*names, *kinds, *other_languages().english))
    return known.union(*(language_table(name).english for name in TRANSLATED))


@cache
def foreign_words() -> frozenset[str]:
    """Return the words of other languages that the tables list, English ones among them."""
    tables = (language_table(name).words for name in TRANSLATED)
    return frozenset[str]().union(*tables, *map(_listed, other_languages().words))


def _words_of(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(token.word for text in texts for token in tokenize(text))


@cache
def _also_english() -> frozenset[str]:
    return english_words() | _words_of(other_languages().also_english)


@cache
def _listed(language: str) -> frozenset[str]:
    return _words_of(other_languages().words[language])


def _fit(tokens: Sequence[Token], table: LanguageTable) -> _Fit:
    words: Words = tuple(token.word for token in split_elisions(tuple(tokens), table.elisions))
    found = tuple(table.phrases.find(words))
    places = {at for phrase in found for at in range(phrase.start, phrase.end)}
    letters = [at for at, word in enumerate(words) if any(map(str.isalpha, word))]
    known = [words[at] for at in letters if at in places]
    english = [at for at in letters if at not in places and words[at] in english_words()]
    # Signs that only some languages use, as the one that opens a question, count as words.
    signs = len(places) - len(known)
    covered = len(known) + len(english) + signs
    whole = len(known) == len(letters)
    proofs = _proofs(known, whole=whole, phrase=whole and len(found) == 1)
    return _Fit(covered, -len(found) - len(english), proofs, len(english), table.language)


def _proofs(known: Sequence[str], *, whole: bool, phrase: bool) -> int:
    """Count the words that tell a language from English.

    Where they are the `whole` request, short words count ("ja"), and so do several that are
    English, too: if they are one `phrase` ("plus grand"), or the English reader knows none of them.
    """
    foreign = [word for word in known if word not in _also_english()]
    long = [word for word in foreign if len(word) >= MIN_PROOF_LETTERS]
    if long or not whole:
        return len(long)
    if phrase and len(known) > 1 and not english_words().issuperset(known):
        return len(known)
    if len(known) >= _SEVERAL and english_words().isdisjoint(known):
        return len(known)
    return len(foreign) if len(foreign) == len(known) else 0


def _other_fits(words: Words) -> Iterable[_Fit]:
    for language in other_languages().words:
        listed = [word for word in words if word in _listed(language)]
        english = [word for word in words if word in english_words() and word not in listed]
        proofs = {word for word in listed if word not in _also_english()}
        longest = max(map(len, proofs), default=0)
        several = len(proofs) > 1 and longest >= MIN_PROOF_LETTERS
        enough = several or longest >= _LONG_LETTERS
        yield _Fit(len(listed), 0, len(proofs) if enough else 0, len(english), language)


def _written_in(words: Words) -> str:
    """Return the language that the letters of most words, or any of Japanese, are used by."""
    if any(_within(word[0], *_KANA) for word in words):
        return "ja"
    if any(_within(word[0], *_HAN) for word in words):
        # Chinese where both fit.
        fits = (_covered(words, language_table(name)) for name in _UNSPACED)
        return max(fits, key=lambda fit: fit[0])[1]
    if 2 * sum(not word.isascii() for word in words) <= len(words):
        return ""
    for script in other_languages().scripts:
        own = [word for word in words if _is_of(script, word)]
        if 2 * len(own) > len(words):
            letters = set("".join(own))
            marks = (name for name, signs in script.marks.items() if letters & set(signs))
            return next(marks, script.language)
    return ""


def _covered(words: Words, table: LanguageTable) -> tuple[int, str]:
    return sum(found.end - found.start for found in table.phrases.find(words)), table.language


def _is_of(script: Script, word: str) -> bool:
    return any(
        _within(letter, chr(int(first, 16)), chr(int(last, 16)))
        for first, last in script.ranges
        for letter in word
    )


def _within(letter: str, first: str, last: str) -> bool:
    return first <= letter <= last

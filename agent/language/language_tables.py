"""Reads `prompts/languages/`: what requests in other languages say, in English words. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from itertools import chain, product
from typing import Annotated

from pydantic import Field

from agent.language.tokens import Token, tokenize
from segmenter.contract import Frozen
from segmenter.words.phrases import PhraseTable, Words

TRANSLATED = ("de", "fr", "es", "pt", "it", "zh", "ja")
_APOSTROPHES = ("'", "\u2019")


class LanguageFile(Frozen):
    """One language; the files explain their fields themselves."""

    language: str
    version: str
    reviewed_by: str | None
    sources: tuple[str, ...]
    fields: dict[str, str]
    spellings: dict[str, str]
    endings: dict[str, tuple[str, ...]]
    elisions: tuple[str, ...]
    after: tuple[str, ...]
    phrases: dict[str, dict[str, tuple[str, ...]]]


class Script(Frozen):
    """Letters that only some languages use.

    Attributes:
        first: first and last code point, hexadecimal.
        language: what is written in it, unless a mark speaks for another one.
        marks: letters that only another language uses, by that language.
    """

    ranges: tuple[tuple[str, str], ...]
    language: str
    marks: dict[str, str]


class OthersFile(Frozen):
    """How languages are recognised that are not translated, and English is told from foreign."""

    version: str
    reviewed_by: str | None
    sources: tuple[str, ...]
    fields: dict[str, str]
    english: tuple[str, ...]
    also_english: tuple[str, ...]
    scripts: Annotated[tuple[Script, ...], Field(min_length=1)]
    words: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Meaning:
    """What a phrase says.

    Attributes:
        english: words as `tokenize` returns them, () for one that adds nothing.
        section: the part of the file it stands in.
        after: it follows what it is about ("heart except"); English puts it before.
    """

    english: Words
    section: str
    after: bool


@dataclass(frozen=True)
class LanguageTable:
    """One language, indexed.

    Attributes:
        elisions: articles and the like that are written with a noun.
        phrases: what they say, by their words.
        words: all words of the phrases.
        english: all words that they say.
    """

    language: str
    elisions: frozenset[str]
    phrases: PhraseTable[Meaning]
    words: frozenset[str]
    english: frozenset[str]


def split_elisions(tokens: tuple[Token, ...], elisions: frozenset[str]) -> tuple[Token, ...]:
    """Turn "l'aorte" into "l'" and "aorte", which share their place."""
    return tuple(
        token._replace(word=word) for token in tokens for word in _elided(token.word, elisions)
    )


def _elided(word: str, elisions: frozenset[str]) -> tuple[str, ...]:
    for apostrophe in _APOSTROPHES:
        head, found, rest = word.partition(apostrophe)
        if found and head in elisions:
            return (f"{head}'", *_elided(rest, elisions))
    return (word,)


@cache
def language_table(language: str) -> LanguageTable:
    """Read and index the table of one of `TRANSLATED` that is shipped with the code."""
    file = LanguageFile.model_validate_json(_read(f"{language}.json"))
    elisions = frozenset(file.elisions)
    meanings = dict(phrases_of(file))
    meanings |= {(f"{head}'",): Meaning((), "particles", after=False) for head in elisions}
    english = frozenset(word for meaning in meanings.values() for word in meaning.english)
    phrases = PhraseTable(meanings)
    return LanguageTable(language, elisions, phrases, phrases.words(), english)


def phrases_of(file: LanguageFile) -> Iterator[tuple[Words, Meaning]]:
    """Yield the words of all phrases in all their spellings, and what each says."""
    # Phrases share their words, and taking a word apart costs most of the time.
    words_of = cache(partial(_words_of, file=file))
    for section, entries in file.phrases.items():
        for english, phrases in entries.items():
            meaning = Meaning(_words(english), section, english in file.after)
            for phrase in phrases:
                for forms in product(*map(words_of, phrase.split())):
                    yield tuple(chain.from_iterable(forms)), meaning


@cache
def other_languages() -> OthersFile:
    """Read how languages are recognised that are not translated."""
    return OthersFile.model_validate_json(_read("others.json"))


def _read(name: str) -> str:
    return resources.files("prompts").joinpath("languages", name).read_text(encoding="utf-8")


def _words(text: str) -> Words:
    return tuple(token.word for token in tokenize(text))


def _words_of(word: str, file: LanguageFile) -> tuple[Words, ...]:
    """Return what a word of a phrase may be written as: all endings, and the other spelling."""
    stem, sign = word[:-1], word[-1]
    forms = [stem + ending for ending in file.endings.get(sign, (sign,))]
    letters = str.maketrans({**file.spellings})
    other = [form.translate(letters) for form in forms]
    elisions = frozenset(file.elisions)
    tokens = (split_elisions(tokenize(form), elisions) for form in dict.fromkeys((*forms, *other)))
    return tuple(dict.fromkeys(tuple(token.word for token in each) for each in tokens))

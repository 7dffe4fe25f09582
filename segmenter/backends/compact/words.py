"""The table of words behind the vocabulary, and how free text becomes words of it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from segmenter.contract import Frozen
from segmenter.words.modalities import MODALITY_WORDS
from segmenter.words.spelling import fold, singular

WORDS = Path(__file__).with_name("vocabulary.json")

_WORD = re.compile(r"[^\W_]+")
_JOIN_SIGN = re.compile(r"[&/+]")


class ConceptWords(Frozen):
    """How one concept may be said; see ``fields`` in the file."""

    sites: tuple[str, ...]
    phrases: tuple[str, ...]
    heads: tuple[str, ...]

    def all(self) -> Iterable[str]:
        """Yield every phrase that means the concept."""
        yield from self.phrases
        for site in self.sites:
            yield from (f"{site} {phrase}" for phrase in (*self.phrases, *self.heads))


class Context(Frozen):
    """A kind of picture: the words for it, and the concepts known in such pictures."""

    words: tuple[str, ...]
    concepts: tuple[str, ...]


class WordFile(Frozen):
    """The file as it stands; its ``fields`` explain the rest."""

    version: str
    reviewed_by: str | None
    sources: tuple[str, ...]
    fields: Mapping[str, str]
    spellings: Mapping[str, str]
    concepts: Mapping[str, ConceptWords]
    ambiguous: Mapping[str, tuple[str, ...]]
    contexts: Mapping[str, Context]
    fillers: str
    parts: str
    negations: str
    joins: str
    others: tuple[str, ...]


@dataclass(frozen=True)
class Spelling:
    """Turns text into words: lower case, singular, American, abbreviations written out.

    Attributes:
        table: word -> the words it stands for.
    """

    table: Mapping[str, tuple[str, ...]]

    def words(self, text: str) -> tuple[str, ...]:
        """Return the words of a text in their order; letters of any script make words."""
        raws = _WORD.findall(_JOIN_SIGN.sub(" and ", fold(text)))
        return tuple(word for raw in raws for word in self.of_word(raw))

    def of_word(self, raw: str) -> tuple[str, ...]:
        """Return what one lower-case word stands for."""
        word = singular(raw)
        return self.table.get(raw) or self.table.get(word) or (word,)


def spelling_of(file: WordFile) -> Spelling:
    """Return the spelling rules of a file; every name of a modality becomes its first."""
    modalities = {word: name for name, words in MODALITY_WORDS.items() for word in words}
    table = {**modalities, **file.spellings}
    return Spelling({word: tuple(means.split()) for word, means in table.items()})


@cache
def load_words() -> WordFile:
    """Read the table that is shipped with the code."""
    return WordFile.model_validate_json(WORDS.read_text(encoding="utf-8"))

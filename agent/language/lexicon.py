"""The words of the trade: terms, synonyms, phrases and priors, read from `prompts/lexicon.json`."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import Field

from agent.schemas.plan import MAX_CONCEPT_WORDS
from agent.schemas.runs import MAX_REQUEST_CHARS
from segmenter.contract import Fraction, Frozen
from segmenter.words.modalities import modality_words
from segmenter.words.phrases import PhraseTable, Words
from segmenter.words.spelling import fold, plain, singular

# Marks end a clause; every other sign only separates words.
_TOKEN = re.compile(r"[a-z0-9]+|[,;.:?!]")
# The longest word of the lexicon has 16 letters; three such words stay under MAX_TEXT_CHARS.
MAX_CONCEPT_WORD_CHARS = 32


class Term(Frozen):
    """One entry of the lexicon; `prompts/lexicon.json` explains the fields."""

    label: str
    phrases: Annotated[tuple[str, ...], Field(min_length=1)]
    synonyms: tuple[str, ...]
    modalities: tuple[str, ...]
    area_share: tuple[Fraction, Fraction]
    count: Literal["one", "several", "unknown"]
    paired: bool
    within: tuple[str, ...] = ()


class ModalityEntry(Frozen):
    """How a modality is named, and whose left its left is.

    Attributes:
        dicom: codes of the tag (0008,0060).
        words: what requests call it; `segmenter.words.modalities` adds their synonyms.
        side: ``patient`` where by convention the patient's left is the image's right.
    """

    dicom: tuple[str, ...]
    words: tuple[str, ...]
    side: Literal["patient", "image"]


class LexiconFile(Frozen):
    """The file as it stands."""

    version: str
    reviewed_by: str | None
    sources: tuple[str, ...]
    fields: dict[str, str]
    modalities: dict[str, ModalityEntry]
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Lexicon:
    """The file, indexed by normalised words.

    Attributes:
        phrases: the terms that a phrase may mean; the one that is called so comes first, the
            others follow in the order of the file.
        modalities: our name of a modality by the words that name it.
        labels: the terms by their labels.
    """

    file: LexiconFile
    phrases: PhraseTable[tuple[Term, ...]]
    modalities: PhraseTable[str]
    labels: Mapping[str, Term]

    def named(self, labels: Iterable[str]) -> tuple[Term, ...]:
        """Return the terms of these labels."""
        return tuple(self.labels[label] for label in labels)

    def terms_of(self, words: Words) -> tuple[Term, ...]:
        """Return the terms a phrase may mean, () for an unknown one."""
        return self.phrases.get(words) or ()


def normalise(text: str) -> Words:
    """Turn text into lower-case singular words in American spelling, and clause marks.

    At most `MAX_REQUEST_CHARS` characters are read.
    """
    return tuple(map(singular, _TOKEN.findall(fold(text[:MAX_REQUEST_CHARS]))))


@cache
def load_lexicon() -> Lexicon:
    """Read and index the lexicon that is shipped with the code."""
    text = resources.files("prompts").joinpath("lexicon.json").read_text(encoding="utf-8")
    file = LexiconFile.model_validate_json(text)
    phrases: defaultdict[Words, list[Term]] = defaultdict(list)
    for term in file.terms:
        label = normalise(term.label)
        for phrase in {label, *map(normalise, (*term.phrases, *term.synonyms))}:
            phrases[phrase].insert(0 if phrase == label else len(phrases[phrase]), term)
    modalities = {
        normalise(phrase): name
        for name, entry in file.modalities.items()
        for word in entry.words
        for phrase in modality_words(word)
    }
    terms = {phrase: tuple(found) for phrase, found in phrases.items()}
    labels = {term.label: term for term in file.terms}
    return Lexicon(file, PhraseTable(terms), PhraseTable(modalities), labels)


def to_concept(text: str) -> str | None:
    """Return text as an admissible concept, or None if nothing of it is left.

    Lower-case letters, digits, spaces and hyphens, at most three words; whatever else was in it
    is dropped, so a concept can never hold a path, a format string or a sentence.
    """
    words = re.sub(r"[^a-z0-9-]+", " ", plain(text[:MAX_REQUEST_CHARS])).split()
    kept = [word[:MAX_CONCEPT_WORD_CHARS] for raw in words if (word := raw.strip("-"))]
    return " ".join(kept[:MAX_CONCEPT_WORDS]) or None

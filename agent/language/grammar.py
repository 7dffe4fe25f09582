"""What the words of requests ask for, read from `prompts/grammar.json`."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from agent.language.tokens import tokenize
from agent.schemas.intent import Act, Height, Rank, Side, Talk, Topic, Unit
from segmenter.contract import Frozen
from segmenter.words.phrases import PhraseTable, Words

Phrases = tuple[str, ...]
_GAP = "..."


class WordGroups(Frozen):
    """The words; `prompts/grammar.json` explains the groups.

    Of a phrase in several groups the first group here counts, the others are looked at where
    that one says nothing.
    """

    sides: dict[Side, Phrases]
    frames: dict[Literal["patient", "image"], Phrases]
    places: dict[Height, Phrases]
    ranks: dict[Rank, Phrases]
    ordinals: dict[int, Phrases]
    several: Phrases
    only: Phrases
    all_but: Phrases
    rest: Phrases
    negations: dict[Literal["exclude", "subtract", "leave"], Phrases]
    acts: dict[Act, Phrases]
    comparatives: dict[Literal["bigger", "tighter"], Phrases]
    talk: dict[Talk, Phrases]
    thresholds: Phrases
    conditions: Phrases
    unsupported: Phrases
    box: Phrases
    units: dict[Unit, Phrases]
    descriptions: Phrases
    context: Phrases
    image_words: Phrases
    joins: dict[Literal["and", "but", "comma"], Phrases]
    pronouns: Phrases
    numbers: dict[float, Phrases]
    topics: dict[Topic, Phrases]
    mask_words: Phrases
    locatives: Phrases
    polite: Phrases
    function: Phrases
    find: Phrases
    asks: Phrases
    also: Phrases
    breaks: Phrases
    mild: dict[Act, Phrases]
    margin: Phrases
    border: dict[Literal["touching", "clear"], Phrases]
    border_nouns: Phrases
    tails: Phrases
    regions: Phrases
    diagnoses: Phrases
    number_before: Phrases
    number_after: Phrases
    determiners: Phrases
    spelled: Phrases
    slips: dict[str, Phrases]
    questions: Phrases
    sources: Phrases


class Implied(Frozen):
    """Words of a measure that say which structures it is of, by the labels of their terms.

    Attributes:
        within: the words say so only of a measure of this structure: "of the lung is affected".
    """

    topic: Topic
    of: Phrases
    words: Phrases
    within: str | None = None


class GrammarFile(Frozen):
    """The file as it stands."""

    version: str
    reviewed_by: str | None
    sources: tuple[str, ...]
    fields: dict[str, str]
    words: WordGroups
    implied: tuple[Implied, ...]


# What a phrase means, by the groups it stands in: {"acts": "drop"}; "" in a group without meanings.
Roles = Mapping[str, str]


@dataclass(frozen=True)
class Grammar:
    """The file, indexed by normalised words.

    Attributes:
        phrases: the roles of a phrase, the one that counts first.
        gaps: phrases in two parts ("take ... away"): by the first, the second and the roles.
        implied: what a measure is of, by its phrase.
        questions: words that questions begin with.
    """

    file: GrammarFile
    phrases: PhraseTable[Roles]
    gaps: Mapping[Words, tuple[tuple[Words, Roles], ...]]
    implied: Mapping[Words, Implied]
    questions: frozenset[str]


def words_of(text: str) -> Words:
    """Return the words of a phrase as requests have them, without marks that join words."""
    return tuple(token.word for token in tokenize(text) if token.word not in "-'\u2019.\"()")


@cache
def load_grammar() -> Grammar:
    """Read and index the grammar that is shipped with the code."""
    text = resources.files("prompts").joinpath("grammar.json").read_text(encoding="utf-8")
    file = GrammarFile.model_validate_json(text)
    phrases: defaultdict[Words, dict[str, str]] = defaultdict(dict)
    gaps: defaultdict[Words, list[tuple[Words, Roles]]] = defaultdict(list)
    for group, meaning, phrase in _entries(file.words):
        if _GAP in phrase:
            first, last = map(words_of, phrase.split(_GAP))
            gaps[first].append((last, {group: meaning}))
        else:
            phrases[words_of(phrase) or (phrase,)].setdefault(group, meaning)
    implied = {words_of(phrase): entry for entry in file.implied for phrase in entry.words}
    for words, entry in implied.items():
        if entry.within is None:
            phrases[words] = {"topics": entry.topic}
    pairs = {first: tuple(found) for first, found in gaps.items()}
    questions = frozenset(words_of(phrase)[0] for phrase in file.words.questions)
    return Grammar(file, PhraseTable(phrases), pairs, implied, questions)


def _entries(groups: WordGroups) -> Iterator[tuple[str, str, str]]:
    """Yield each phrase with its group and its meaning."""
    for group in WordGroups.model_fields:
        table = getattr(groups, group)
        if group in ("spelled", "slips", "questions"):
            continue
        for meaning, phrases in table.items() if isinstance(table, dict) else [("", table)]:
            for phrase in phrases:
                yield group, str(meaning), phrase

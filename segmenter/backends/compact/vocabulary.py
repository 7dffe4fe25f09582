"""What free words ask a model of few concepts for: one concept, one of several, or an unknown.

Every word of a phrase has to be accounted for: as part of a known phrase, as a word that changes
nothing, or as the kind of picture. One word too many ("left lung", "polyp and stool", "no tumor")
makes it unknown, because a mask of something else is worse than none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from segmenter.backends.compact.words import WordFile, load_words, spelling_of
from segmenter.backends.contract import Prediction
from segmenter.contract import Prompt
from segmenter.words.modalities import modality_words
from segmenter.words.phrases import PhraseTable, Words
from segmenter.words.spelling import IRREGULAR_PLURALS
from segmenter.words.typos import nearest_words

# More strange words than this make a phrase hopeless, and bound the time of a look-up.
MAX_STRANGE = 2
# Dice of the letter triples from which a concept is worth suggesting; set by hand, not fitted.
SUGGEST_FROM = 0.4
MAX_SUGGESTIONS = 3

Key = frozenset[str]


@dataclass(frozen=True)
class Meaning:
    """What a phrase asks for.

    Attributes:
        concepts: the concept; several if only the picture can tell which; none if unknown.
        reason: plain words why it is unknown, None if it is known.
    """

    concepts: tuple[str, ...]
    reason: str | None = None


class Vocabulary:
    """The concepts of a model and all the words for them; immutable, safe to share."""

    def __init__(self, concepts: Mapping[str, Sequence[str]], file: WordFile | None = None) -> None:
        """Index the words.

        Args:
            concepts: name -> further phrases for exactly the same thing, in the model's order.
            file: table of words; None means the one that is shipped.
        """
        file = file or load_words()
        self._names = tuple(concepts)
        self._spelling = spelling_of(file)
        self._fillers, self._parts, self._negations, self._joins = (
            frozenset(self._spelling.words(text))
            for text in (file.fillers, file.parts, file.negations, file.joins)
        )
        contexts = {
            self._spelling.words(phrase): name
            for name, context in file.contexts.items()
            for word in context.words
            for phrase in modality_words(word)
        }
        self._contexts = PhraseTable(contexts)
        self._known_in = {name: frozenset(kind.concepts) for name, kind in file.contexts.items()}
        self._index = self._index_phrases(concepts, file)
        self._right = self._right_words(file) | frozenset(chain.from_iterable(contexts))
        self._triples = self._index_triples(concepts, file)

    def look_up(self, text: str) -> Meaning:
        """Return what a phrase asks for."""
        words, contexts = self._take_contexts(self._spelling.words(text))
        wanted = tuple(word for word in words if word not in self._fillers)
        concepts = self._index.get(frozenset(wanted)) or self._corrected(wanted)
        if not concepts:
            return Meaning((), f"{self._fault(text, wanted)}; {self._what_it_knows()}")
        seen = tuple(name for name in concepts if all(name in self._known_in[c] for c in contexts))
        if not seen:
            where = " and ".join(contexts)
            why = f"this model does not know {' or '.join(concepts)} in {where} images"
            return Meaning((), f"{why} ({text!r}); {self._what_it_knows()}")
        return Meaning(seen)

    def _take_contexts(self, words: Words) -> tuple[Words, tuple[str, ...]]:
        """Split words that say what kind of picture it is from the others."""
        found = list(self._contexts.find(words))
        taken = {at for phrase in found for at in range(phrase.start, phrase.end)}
        kept = tuple(word for at, word in enumerate(words) if at not in taken)
        return kept, tuple(dict.fromkeys(phrase.meaning for phrase in found))

    def _corrected(self, wanted: Words) -> tuple[str, ...]:
        """Look a phrase up with its typing errors corrected, () if that stays in doubt."""
        strange = [word for word in wanted if word not in self._right]
        if not 0 < len(strange) <= MAX_STRANGE or any(word.isdigit() for word in strange):
            return ()
        supported = len(wanted) > len(strange)
        phrases: list[Words] = [()]
        for word in wanted:
            means: set[Words] = {(word,)}
            if word in strange:
                near = nearest_words(word, self._right, supported=supported)
                means = {self._spelling.of_word(candidate) for candidate in near}
            phrases = [(*head, *tail) for head in phrases for tail in means]
        # A correction that gives a word of the phrase again, or one of no weight, explains nothing.
        found = {self._index.get(_distinct(phrase), ()) for phrase in phrases}
        return found.pop() if len(found) == 1 else ()

    def _fault(self, text: str, wanted: Words) -> str:
        """Say in plain words what stands in the way of an answer."""
        given = frozenset(wanted)
        whole = self._index.get(given - self._parts)
        if given & self._negations:
            return f"{text!r} says what is not wanted; ask for one thing that is"
        if given & self._joins:
            return f"{text!r} may be more than one thing; ask for each by itself"
        if given & self._parts and whole:
            return f"{text!r} asks for a part or a side; this model finds {' or '.join(whole)}"
        if not given:
            return f"{text!r} names nothing to look for"
        near = self.suggestions(text)
        hint = f"; nearest: {', '.join(near)}" if near else ""
        return f"this model does not know {text!r}{hint}"

    def _what_it_knows(self) -> str:
        return f"it knows {', '.join(self._names)}"

    def suggestions(self, text: str) -> tuple[str, ...]:
        """Return the concepts whose phrases look most like a text, best first, at most three.

        Source: Dice coefficient of letter triples, 2 |A and B| / (|A| + |B|).
        """
        asked = _triples(" ".join(self._spelling.words(text)))
        best: dict[str, float] = {}
        for name, triples in self._triples:
            likeness = 2 * len(asked & triples) / (len(asked) + len(triples))
            best[name] = max(best.get(name, 0.0), likeness)
        likely = sorted((-value, name) for name, value in best.items() if value >= SUGGEST_FROM)
        return tuple(name for _, name in likely[:MAX_SUGGESTIONS])

    def _key(self, phrase: str) -> Key:
        """Return a phrase as it is looked up: its words without those that change nothing."""
        return frozenset(self._spelling.words(phrase)) - self._fillers

    def _index_phrases(
        self, concepts: Mapping[str, Sequence[str]], file: WordFile
    ) -> dict[Key, tuple[str, ...]]:
        """Index every phrase; the model's own names come before the table's."""
        index = {}
        for phrase, names in file.ambiguous.items():
            index[self._key(phrase)] = tuple(name for name in names if name in concepts)
        for name, phrase in _phrases(concepts, file):
            index[self._key(phrase)] = (name,)
        for name in concepts:
            index[self._key(name)] = (name,)
        return index

    def _right_words(self, file: WordFile) -> frozenset[str]:
        """Return every word that is no typing error."""
        phrases = chain.from_iterable(words.all() for words in file.concepts.values())
        words = chain.from_iterable(map(self._spelling.words, (*phrases, *file.others)))
        listed = chain(self._fillers, self._parts, self._negations, self._joins)
        own = chain.from_iterable(self._index)
        return frozenset(chain(words, listed, own, self._spelling.table, IRREGULAR_PLURALS))

    def _index_triples(
        self, concepts: Mapping[str, Sequence[str]], file: WordFile
    ) -> tuple[tuple[str, Key], ...]:
        plain = _phrases(concepts, file, sites=False)
        spelled = {(name, " ".join(self._spelling.words(phrase))) for name, phrase in plain}
        return tuple((name, _triples(phrase)) for name, phrase in sorted(spelled))


def likeliest(prompt: Prompt, answers: Sequence[Prediction]) -> Prediction:
    """Return the answer to what a prompt most likely means in this picture.

    Args:
        prompt: as it was asked.
        answers: one for each concept that its text may mean, at least one.
    """
    best = max(answers, key=lambda answer: answer.presence)
    if len(answers) == 1 or best.reason is None:
        return best
    meant = ", ".join(answer.concept or "" for answer in answers)
    return replace(best, reason=f"{prompt.text!r} may mean {meant}; {best.reason}")


def _phrases(
    concepts: Mapping[str, Sequence[str]], file: WordFile, *, sites: bool = True
) -> Iterator[tuple[str, str]]:
    """Yield (concept, phrase) of a model's concepts."""
    for name, aliases in concepts.items():
        yield from ((name, phrase) for phrase in (name, *aliases))
        if name in file.concepts:
            words = file.concepts[name]
            yield from ((name, phrase) for phrase in (words.all() if sites else words.phrases))


def _triples(text: str) -> Key:
    padded = f"  {text} "
    return frozenset(padded[at : at + 3] for at in range(len(padded) - 2))


def _distinct(words: Words) -> Key:
    """Return the words as a key, an empty one if a word stands there twice."""
    key = frozenset(words)
    return key if len(key) == len(words) else frozenset()

"""Finds known phrases among words, the longest first. Pure."""

from collections.abc import Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar

Words = tuple[str, ...]
Meaning = TypeVar("Meaning")


class Found(NamedTuple, Generic[Meaning]):
    """Words ``start`` to ``end`` (half-open) of a text, and what they mean."""

    start: int
    end: int
    meaning: Meaning


class PhraseTable(Generic[Meaning]):
    """Phrases and what each means; immutable, safe to share."""

    def __init__(self, meanings: Mapping[Words, Meaning]) -> None:
        """Take the meanings by the words of their phrases."""
        self._meanings = dict(meanings)
        # Most words begin no phrase, so that most places cost one look-up.
        self._longest: dict[str, int] = {}
        for words in meanings:
            self._longest[words[0]] = max(len(words), self._longest.get(words[0], 0))

    def get(self, words: Words) -> Meaning | None:
        """Return what a phrase means, None for an unknown one."""
        return self._meanings.get(words)

    def phrases(self) -> tuple[Words, ...]:
        """Return all phrases."""
        return tuple(self._meanings)

    def words(self) -> frozenset[str]:
        """Return all words of the phrases."""
        return frozenset(word for words in self._meanings for word in words)

    def find_at(self, words: Words, start: int) -> Found[Meaning] | None:
        """Return the longest phrase that starts at a word."""
        longest = self._longest.get(words[start], 0) if start < len(words) else 0
        for end in range(min(len(words), start + longest), start, -1):
            meaning = self._meanings.get(words[start:end])
            if meaning is not None:
                return Found(start, end, meaning)
        return None

    def find(self, words: Words) -> Iterator[Found[Meaning]]:
        """Yield the phrases of a text in their order; they never overlap."""
        start = 0
        while start < len(words):
            found = self.find_at(words, start)
            if found:
                yield found
            start = found.end if found else start + 1

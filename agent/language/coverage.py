"""Accounts for the words of a request: which of them its parts say, and which are left. Pure.

A word is what holds a letter or a digit; it counts by its form, so "Tumours" says "tumor".
"""

from collections.abc import Collection, Iterable

from agent.language.tokens import Token, tokenize
from agent.schemas.intent import Correction

Places = frozenset[int]

# A part that is longer does not tell what it is about: whole sentences would hide their words.
MAX_PART_WORDS = 12
# Words that ask for nothing when they are all that is left.
FILLERS = frozenset(
    {"a", "an", "the", "this", "that", "these", "those", "it", "its", "is", "are", "be", "of"}
    | {"in", "on", "at", "to", "for", "with", "from", "by", "as", "and", "or", "also", "please"}
    | {"my", "your", "our", "his", "her", "their", "there", "then", "so", "just", "now"}
    | {"me", "i", "you", "we"}
)
_CLAUSE_MARKS = frozenset(",;.:?!")
_JOINING = frozenset({"and", "then", "but"})


class Words:
    """The words of a request, by their places.

    Args:
        request: as it was typed.
        corrections: typing errors; such a word is said by what was typed and by what was meant.
    """

    def __init__(self, request: str, corrections: Iterable[Correction] = ()) -> None:
        self._request = request
        self._tokens = _words(request)
        self._names = [token.word for token in self._tokens]
        self._meant = self._names.copy()
        for correction in corrections:
            typed, read = _words(correction.typed), _words(correction.read)
            if len(typed) == len(read) == 1:
                for at in self.places(correction.typed):
                    self._meant[at] = read[0].word

    @property
    def all(self) -> Places:
        """The places of all words."""
        return frozenset(range(len(self._names)))

    def places(self, part: str) -> Places:
        """Return the places of a part, wherever it stands; none if the request does not say it."""
        said = [token.word for token in _words(part)]
        starts = range(len(self._names) - len(said) + 1) if said else ()
        return frozenset(
            at + offset for at in starts if self._says(at, said) for offset in range(len(said))
        )

    def _says(self, at: int, said: list[str]) -> bool:
        forms = zip(self._names[at:], self._meant[at:], said, strict=False)
        return all(word in (typed, meant) for typed, meant, word in forms)

    def of(self, parts: Iterable[str]) -> Places:
        """Return the places of several parts; a part of more than `MAX_PART_WORDS` has none."""
        short = (part for part in parts if len(_words(part)) <= MAX_PART_WORDS)
        return self.every(short)

    def every(self, parts: Iterable[str]) -> Places:
        """Return the places of several parts, however long."""
        return frozenset[int]().union(*map(self.places, parts))

    def telling(self, places: Iterable[int]) -> Places:
        """Return the places whose words are no fillers."""
        return frozenset(at for at in places if self._names[at] not in FILLERS)

    def clauses(self) -> tuple[Places, ...]:
        """Return the places of the clauses, as marks and joining words divide them."""
        found: list[list[int]] = [[]]
        for at, name in enumerate(self._names):
            if name in _JOINING:
                found.append([])
                continue
            if at and not self._are_joined(at - 1, at, ()):
                found.append([])
            found[-1].append(at)
        return tuple(frozenset(clause) for clause in found if clause)

    def rest(self, covered: Collection[int]) -> tuple[str, ...]:
        """Return what is not covered, verbatim, in parts that no mark and no covered word cuts."""
        parts: list[list[int]] = []
        for at in sorted(self.telling(self.all) - frozenset(covered)):
            if parts and self._are_joined(parts[-1][-1], at, covered):
                parts[-1].append(at)
            else:
                parts.append([at])
        return tuple(dict.fromkeys(self._text(part[0], part[-1]) for part in parts))

    def _are_joined(self, first: int, last: int, covered: Collection[int]) -> bool:
        between = self._request[self._tokens[first].end : self._tokens[last].start]
        is_open = not any(at in covered for at in range(first + 1, last))
        return is_open and _CLAUSE_MARKS.isdisjoint(between)

    def _text(self, first: int, last: int) -> str:
        return self._request[self._tokens[first].start : self._tokens[last].end]


def _words(text: str) -> list[Token]:
    return [token for token in tokenize(text) if any(map(str.isalnum, token.word))]

"""Typing errors: which known word a strange one was meant to be, if that is beyond doubt. Pure."""

from collections import defaultdict
from collections.abc import Iterable

# Edits where the longer of the two words has at least so many letters; set by hand, not fitted.
TWO_EDITS_LETTERS = 12
ONE_EDIT_LETTERS = 6
# The same where other words of the phrase speak for the correction.
TWO_EDITS_LETTERS_SUPPORTED = 9
ONE_EDIT_LETTERS_SUPPORTED = 5
# Shorter words are never corrected.
SLIP_LETTERS = 4


class Typos:
    """Knows the right words; errors keep the first letter (they nearly always do)."""

    def __init__(self, known: Iterable[str]) -> None:
        """Take the words that are spelled right."""
        by_letter: defaultdict[str, set[str]] = defaultdict(set)
        for word in known:
            by_letter[word[0]].add(word)
        self._by_letter = {letter: sorted(words) for letter, words in by_letter.items()}

    def candidates(self, strange: str, *, supported: bool) -> tuple[str, ...]:
        """Return the known words that are equally near and near enough, () without one.

        Args:
            strange: a word that is not known.
            supported: whether known words stand beside it.
        """
        found: defaultdict[int, list[str]] = defaultdict(list)
        for word in self._by_letter.get(strange[0], ()):
            edits = _allowed(max(len(strange), len(word)), supported=supported)
            rank = _near(strange, word, edits)
            if rank is not None:
                found[rank].append(word)
        return tuple(found[min(found)]) if found else ()


def _allowed(letters: int, *, supported: bool) -> int:
    """Return how many edits the longer word allows; 0 still allows a slip (see `is_slip`)."""
    if letters >= (TWO_EDITS_LETTERS_SUPPORTED if supported else TWO_EDITS_LETTERS):
        return 2
    least = ONE_EDIT_LETTERS_SUPPORTED if supported else ONE_EDIT_LETTERS
    return int(letters >= least)


def _near(strange: str, word: str, edits: int) -> int | None:
    """Rank how near two words are, a slip before any other edit; None if too far."""
    if is_slip(strange, word):
        return 0
    if abs(len(strange) - len(word)) > edits or len(set(strange) ^ set(word)) > 2 * edits:
        return None
    distance = edit_distance(strange, word)
    return distance if distance <= edits else None


def is_slip(first: str, second: str) -> bool:
    """Tell whether two neighbours of one word are swapped, or a letter doubled, in the other."""
    if min(len(first), len(second)) < SLIP_LETTERS:
        return False
    if len(first) == len(second):
        swaps = (
            first[:at] + first[at + 1] + first[at] + first[at + 2 :] for at in range(len(first) - 1)
        )
        return second in swaps
    short, long = sorted((first, second), key=len)
    return any(short[:at] + short[at - 1] + short[at:] == long for at in range(1, len(short) + 1))


def edit_distance(first: str, second: str) -> int:
    """Return how many letters to insert, delete, replace or swap with their neighbour.

    Source: Damerau (1964), Commun. ACM 7(3):171-176; the restricted form, no letter edited twice.
    """
    before: list[int] = []
    above = list(range(len(second) + 1))
    for row, letter in enumerate(first, start=1):
        current = [row]
        for column, other in enumerate(second, start=1):
            cost = int(letter != other)
            best = min(above[column] + 1, current[-1] + 1, above[column - 1] + cost)
            swapped = row > 1 and column > 1 and first[row - 2 : row] == other + second[column - 2]
            current.append(min(best, before[column - 2] + 1) if swapped else best)
        before, above = above, current
    return above[-1]

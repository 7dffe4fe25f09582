"""Typing errors: which known word a strange one was meant to be, if that is beyond doubt. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby

from rapidfuzz.distance import OSA

# Letters of the longer of two words from which one and two edits are allowed, without and with
# other words of the phrase that speak for the correction; set by hand, not fitted.
LETTERS_PER_EDIT = {False: (6, 12), True: (5, 9)}
# Shorter words are never corrected.
SLIP_LETTERS = 4


def nearest_words(strange: str, known: Iterable[str], *, supported: bool) -> tuple[str, ...]:
    """Return the known words that are equally near and near enough, () without one.

    Errors keep the first letter (they nearly always do).

    Args:
        strange: a word that is not known.
        known: the words that are spelled right.
        supported: whether known words stand beside it.

    Source: Damerau (1964), Commun. ACM 7(3):171-176; the restricted form, no letter edited twice.
    """
    near: defaultdict[int, list[str]] = defaultdict(list)
    for word in known:
        if word[0] != strange[0]:
            continue
        edits = OSA.distance(strange, word, score_cutoff=2)
        letters = max(len(strange), len(word))
        allowed = sum(letters >= least for least in LETTERS_PER_EDIT[supported])
        if edits == 1 and is_slip(strange, word):
            near[0].append(word)
        elif edits <= allowed:
            near[edits].append(word)
    return tuple(sorted(near[min(near)])) if near else ()


def is_slip(first: str, second: str) -> bool:
    """Tell whether two neighbours of one word are swapped, or a letter doubled, in the other."""
    if min(len(first), len(second)) < SLIP_LETTERS or OSA.distance(first, second) != 1:
        return False
    if len(first) == len(second):
        return sorted(first) == sorted(second)
    return [letter for letter, _ in groupby(first)] == [letter for letter, _ in groupby(second)]

"""Reads what a follow-up says about masks that are there: "mask 2 is wrong", "tighter". Pure."""

import itertools
import re
from typing import NamedTuple

from agent.language.function_words import word_set
from agent.language.lexicon import normalise
from agent.schemas.intent import Act
from segmenter.words.phrases import Words

_MASK_ID = re.compile(r"m[1-9][0-9]{0,5}")
_NUMBER = re.compile(r"[1-9][0-9]{0,5}")
_MASK_WORDS = frozenset({"mask", "outline", "segmentation", "number"})
_JOINS = frozenset({"and", ",", "or"})
# The first act of which a word is said is meant.
_ACTS: dict[Act, frozenset[str]] = {
    "drop": word_set("remove delete drop discard forget erase"),
    "wrong": word_set("wrong incorrect bad false reject not mistaken inaccurate"),
    "tighter": word_set("tighter smaller shrink tight narrower"),
    "bigger": word_set("looser larger bigger wider grow expand extend"),
    "accept": word_set("accept good correct keep fine ok okay perfect confirm"),
}
_TOO: dict[str, Act] = {
    "large": "tighter",
    "big": "tighter",
    "wide": "tighter",
    "small": "bigger",
    "tight": "bigger",
}
_ONLY = frozenset({"only", "just", "keep"})
_UNDO = frozenset({"undo", "revert"})
_UNDO_FILLERS = word_set("that it this the last step change please again")


class Command(NamedTuple):
    """What a follow-up says.

    Attributes:
        masks: ids of the masks it names.
        act: what is to happen to them, or to the target that is meant; None for nothing.
        only: everything else of the target is to go.
    """

    masks: tuple[str, ...]
    act: Act | None
    only: bool


def read_command(words: Words) -> Command:
    """Read the masks a follow-up names and what it wants of them."""
    return Command(masks=_masks(words), act=_act(words), only=not _ONLY.isdisjoint(words))


def is_undo(text: str) -> bool:
    """Tell whether a follow-up takes the last run back, and says nothing else."""
    words = {word for word in normalise(text) if word.isalnum()}
    return not _UNDO.isdisjoint(words) and words <= _UNDO | _UNDO_FILLERS


def _masks(words: Words) -> tuple[str, ...]:
    """Return the ids named, as in "mask 2 and 3" or "m2"."""
    ids: list[str] = []
    counting = False
    for word in words:
        if _MASK_ID.fullmatch(word):
            ids.append(word)
        elif word in _MASK_WORDS:
            counting = True
        elif counting and _NUMBER.fullmatch(word):
            ids.append(f"m{word}")
        elif word not in _JOINS:
            counting = False
    return tuple(dict.fromkeys(ids))


def _act(words: Words) -> Act | None:
    for before, after in itertools.pairwise(words):
        if before == "too" and after in _TOO:
            return _TOO[after]
    return next((act for act, marks in _ACTS.items() if not marks.isdisjoint(words)), None)

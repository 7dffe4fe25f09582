"""Reads what a follow-up says about masks that are there: "mask 2 is wrong", "tighter". Pure."""

import itertools
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from agent.language.lexicon import normalise

_MASK_ID = re.compile(r"m[1-9][0-9]{0,5}")
_NUMBER = re.compile(r"[1-9][0-9]{0,5}")
_MASK_WORDS = frozenset({"mask", "outline", "segmentation", "number"})
_JOINS = frozenset({"and", ",", "or"})
_REMOVE = frozenset(["remove", "delete", "drop", "discard", "forget", "erase"])
_WRONG = frozenset(
    ["wrong", "incorrect", "bad", "false", "reject", "not", "mistaken", "inaccurate"]
)
_ACCEPT = frozenset(
    ["accept", "good", "correct", "keep", "fine", "ok", "okay", "perfect", "confirm"]
)
_TIGHTER = frozenset(["tighter", "smaller", "shrink", "tight", "narrower"])
_LOOSER = frozenset(["looser", "larger", "bigger", "wider", "grow", "expand", "extend"])
_TOO = {
    "large": "tighter",
    "big": "tighter",
    "wide": "tighter",
    "small": "looser",
    "tight": "looser",
}
_ONLY = frozenset({"only", "just", "keep"})
_UNDO = frozenset({"undo", "revert"})
_UNDO_FILLERS = frozenset(
    ["that", "it", "this", "the", "last", "step", "change", "please", "again"]
)

Act = Literal["remove", "wrong", "accept", "tighter", "looser"]


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


def read_command(text: str) -> Command:
    """Read the masks a follow-up names and what it wants of them."""
    words = normalise(text)
    return Command(masks=_masks(words), act=_act(words), only=bool(_ONLY & set(words)))


def is_undo(text: str) -> bool:
    """Tell whether a follow-up takes the last run back, and says nothing else."""
    words = {word for word in normalise(text) if word.isalnum()}
    return bool(words & _UNDO) and words <= _UNDO | _UNDO_FILLERS


def _masks(words: Sequence[str]) -> tuple[str, ...]:
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


def _act(words: Sequence[str]) -> Act | None:
    for before, after in itertools.pairwise(words):
        if before == "too" and after in _TOO:
            return "tighter" if _TOO[after] == "tighter" else "looser"
    said = set(words)
    acts: tuple[tuple[Act, frozenset[str]], ...] = (
        ("remove", _REMOVE),
        ("wrong", _WRONG),
        ("tighter", _TIGHTER),
        ("looser", _LOOSER),
        ("accept", _ACCEPT),
    )
    return next((act for act, marks in acts if said & marks), None)

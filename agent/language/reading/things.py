"""Reads which structures a part of a request names, and which of several are meant. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from agent.language.lexicon import MAX_CONCEPT_WORD_CHARS
from agent.language.reading.parts import Part
from agent.language.reading.units import Unit
from agent.schemas.intent import ANY, Thing, Which
from agent.schemas.plan import MAX_CONCEPT_WORDS

MODIFIERS = frozenset(
    {"sides", "frames", "places", "ranks", "ordinals", "several", "numbers", "border"}
)
_LOCATING = frozenset({"locatives", "sources"})
_BETWEEN = frozenset({*MODIFIERS, "function", "descriptions", "context", "polite"})
# What may follow a noun; after anything else a strange word may be a verb.
_AFTER_NOUN = (
    _LOCATING
    | MODIFIERS
    | {"polite", "also", "only", "acts", "topics", "mask_words", "find", "mild", "context"}
    | {"comparatives", "modality"}
)
_DEFINITE = frozenset({"the", "these", "those", "all", "both", "my", "your", "its"})
_STRANGE = frozenset({"unknown", "unsupported"})
# Nobody can say them: typed at random, not a word that a model may know.
_UNSPEAKABLE = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}|^[^aeiouy]+$|[a-z]\d|\d[a-z]")


@dataclass
class Objects:
    """What a part is about.

    Attributes:
        things: structures it names.
        which: which of the masks meant, where it names none.
        masks: ids.
        is_empty: it says nothing of the kind.
    """

    things: tuple[Thing, ...] = ()
    which: Which = ANY
    masks: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is named."""
        return not self.things and not self.masks and self.which == ANY


def read_objects(
    part: Part, units: Sequence[Unit], *, pairs: bool = False, unknown: bool = False
) -> Objects:
    """Read the objects among some units of a part, and mark what they consume.

    Args:
        part: they are of.
        units: to read.
        pairs: what stands after "with" or "from" is an object as well.
        unknown: a noun that the lexicon does not hold may be one.
    """
    masks = tuple(dict.fromkeys(one for unit in units for one in unit.ids))
    for unit in units:
        if unit.ids:
            unit.by = "operation"
    terms = [at for at, unit in enumerate(units) if unit.kind == "term"]
    located = [] if pairs else [at for at in terms if _is_located(units, at)]
    heads = [at for at in terms if at not in located]
    strange: range | None = None
    if not heads and unknown and not masks:
        strange = _strange_noun(units)
    if not heads and strange is None and not masks and not _has_pronoun(units, located):
        heads, located = located, []
    if strange is not None:
        heads = [strange[-1]]
    if not heads:
        return Objects((), _which(units, numbers=not masks), masks)
    things = tuple(
        _thing(units, at, heads, located, strange if strange and at == strange[-1] else None)
        for at in heads
    )
    if pairs and len(things) == 1:
        things = _both_sides(things[0], units)
    return Objects(things, ANY, masks)


def _both_sides(thing: Thing, units: Sequence[Unit]) -> tuple[Thing, ...]:
    """Return the two that "the left lung and the right one" are."""
    sides = list(dict.fromkeys(unit.value for unit in units if unit.kind == "sides"))
    if len(sides) < 2:
        return (thing,)
    values = [Which.model_validate(thing.which.model_dump() | {"side": side}) for side in sides]
    return tuple(thing.model_copy(update={"which": which}) for which in values)


def _is_located(units: Sequence[Unit], at: int) -> bool:
    """Tell whether a term says where something is ("in the left lung", "GGO both lungs")."""
    for before in reversed(units[:at]):
        if before.kind in _LOCATING:
            return True
        if before.kind not in (*_BETWEEN, "unknown", "unsupported"):
            return before.kind == "term"
    return False


def _has_pronoun(units: Sequence[Unit], located: list[int]) -> bool:
    if not located:
        return False
    place = max(at for at in range(located[0]) if units[at].kind in _LOCATING)
    return any(unit.kind in ("pronouns", "several") for unit in units[:place])


def _strange_noun(units: Sequence[Unit]) -> range | None:
    """Return the places of a noun phrase that the lexicon does not hold."""
    at = next((at for at, unit in enumerate(units) if unit.kind == "unknown"), None)
    if at is None or _is_located_noun(units, at):
        return None
    noun = [unit.words[0] for unit in takewhile(lambda unit: unit.kind == "unknown", units[at:])]
    end = at + len(noun)
    ends = end == len(units) or units[end].kind in _AFTER_NOUN
    if not ends or any(_UNSPEAKABLE.search(word) or not word.isalpha() for word in noun):
        return None
    start = at
    while start and units[start - 1].kind == "descriptions":
        start -= 1
    return range(max(start, end - MAX_CONCEPT_WORDS), end)


def _is_located_noun(units: Sequence[Unit], at: int) -> bool:
    before = [unit for unit in units[:at] if unit.kind not in _BETWEEN]
    return bool(before) and before[-1].kind in _LOCATING


def _thing(
    units: Sequence[Unit], at: int, heads: list[int], located: list[int], strange: range | None
) -> Thing:
    """Gather what stands around a head, up to its neighbours."""
    head = units[at]
    before = max((one for one in heads if one < at), default=-1)
    after = min((one for one in heads if one > at), default=len(units))
    mine = [one for one in range(before + 1, after) if _belongs(units, one, at, heads)]
    place = next((one for one in located if at < one < after), None)
    if place is not None and any(
        unit.by is None and unit.kind in _STRANGE for unit in units[at + 1 : place]
    ):
        place = None
    words = head.words
    if strange is not None:
        words = tuple(word for one in strange for word in units[one].words)
        for one in strange:
            units[one].by = "thing"
    head.by = "thing"
    if place is not None:
        units[place].by = "thing"
    which = _which([units[one] for one in mine], numbers=True, thing=True)
    if which.several and which.limit is None and limits_number(units[before + 1 : at]):
        which = which.model_copy(update={"limit": _number([units[one] for one in mine])})
    return Thing(
        words=" ".join(word[:MAX_CONCEPT_WORD_CHARS] for word in words),
        terms=tuple(term.label for term in head.terms),
        which=which,
        where=_words(units[at + 1 : place + 1]) if place is not None else "",
    )


def _belongs(units: Sequence[Unit], one: int, at: int, heads: list[int]) -> bool:
    """Tell whether a modifier is of this head: of the next one, but for places after one."""
    if units[one].kind not in MODIFIERS:
        return False
    if one > at:
        is_last = at == heads[-1]
        return is_last or any(unit.kind in _LOCATING for unit in units[at + 1 : one])
    is_first = at == heads[0]
    before = max((head for head in heads if head < at), default=-1)
    return is_first or not any(unit.kind in _LOCATING for unit in units[before + 1 : one])


def _words(units: Iterable[Unit]) -> str:
    return " ".join(word for unit in units for word in unit.words)


def which_of(units: Sequence[Unit]) -> Which:
    """Read which masks are meant, of units without a noun."""
    return _which(units, numbers=True)


def _which(units: Sequence[Unit], *, numbers: bool, thing: bool = False) -> Which:
    mine = [unit for unit in units if unit.kind in MODIFIERS]
    if not mine:
        return ANY
    values: dict[str, str] = {}
    for unit in mine:
        values.setdefault(unit.kind, unit.value)
    sides = {unit.value for unit in mine if unit.kind == "sides"}
    rank = values.get("ranks")
    # "By 3" chooses nothing; "the two" means both.
    is_said = any(unit.kind == "numbers" and unit.words[0].isalpha() for unit in mine)
    counts = rank is not None or thing or "ordinals" in values or is_said
    number = _number(mine) if numbers and counts else None
    nth = int(values.get("ordinals", "1"))
    for unit in mine:
        if unit.kind == "numbers" and (not counts or unit.number != number):
            continue
        if unit.kind == "frames" and not sides:
            unit.by = "context"
            continue
        unit.by = "thing" if thing else "operation"
    counted = rank is not None or "ordinals" in values
    return Which.model_validate(
        {
            "side": next(iter(sides)) if len(sides) == 1 else None,
            "frame": values.get("frames") if sides else None,
            "place": values.get("places"),
            "rank": rank,
            "nth": abs(nth),
            "from_end": nth < 0,
            "limit": (number or 1) if counted else None,
            "several": "several" in values or (number or 1) > 1,
            "border": values.get("border"),
        }
    )


def limits_number(units: Sequence[Unit]) -> bool:
    """Tell "outline 3 lesions" from "the two lungs", which are all there are."""
    return any(
        unit.kind == "numbers"
        and unit.number > 1
        and (before is None or before.words[-1] not in _DEFINITE)
        for before, unit in zip([None, *units], units, strict=False)
    )


def _number(units: Iterable[Unit]) -> int | None:
    whole = [unit.number for unit in units if unit.kind == "numbers"]
    return next((int(one) for one in whole if one >= 1 and one == int(one)), None)

"""Makes the intent of the wishes of a request. Pure."""

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar, cast

from agent.language.grammar import Grammar
from agent.language.lexicon import Lexicon, normalise
from agent.language.reading.chain import Chain, say_not_understood
from agent.language.reading.parts import Part
from agent.language.reading.units import By, Unit
from agent.language.reading.wishes import Kind, Wish
from agent.schemas.intent import (
    EDITS,
    Act,
    Intent,
    Operation,
    Question,
    Talk,
    Thing,
    Topic,
    Which,
)
from segmenter.contract import Box

_Wanted = TypeVar("_Wanted", Operation, Question)
# What these are about must be there: what is not, is to be found first.
_NEEDING: frozenset[Act] = EDITS | {"add", "keep", "subtract", "box"}
_BECAME: dict[Kind, By | None] = {
    "find": "thing",
    "act": "operation",
    "exclude": "operation",
    "subtract": "operation",
    "ask": "question",
    "leave": "context",
    "talk": "talk",
    "none": None,
}
_TALKS: tuple[Talk, ...] = ("off_topic", "help", "thanks", "greeting")


def assemble(
    parts: Sequence[Part], grammar: Grammar, lexicon: Lexicon, held: Collection[str] | None
) -> Intent:
    """Return the intent of the parts of a request, but for what was not understood.

    Args:
        parts: of the request; what consumes their units is marked in them.
        grammar: of the words.
        lexicon: of structures.
        held: labels of what the thread shows; see `agent.language.request.read_request`.
    """
    wishes = Chain(parts, grammar, lexicon).read()
    operations = _operations(wishes, held)
    questions = _once(question for wish in wishes for question in _questions(wish))
    find = _find(wishes, operations, held)
    talk = _talk(parts, wishes, is_empty=not (find or operations or questions))
    _account(wishes, parts)
    say_not_understood(parts)
    if not (find or operations or questions or talk):
        _answer_nothing(parts)
    return Intent(find=find, operations=operations, questions=questions, talk=talk)


def _answer_nothing(parts: Sequence[Part]) -> None:
    """Let no request go by in silence: what is asked, and small words alone, are not understood."""
    units = [unit for part in parts for unit in part.units]
    if any(part.has("find") and part.has("pronouns") for part in parts):
        # "Segment this" leaves the target to a box.
        return
    asks = any(part.asked or part.is_question for part in parts)
    if asks or all(unit.by == "function" for unit in units):
        for unit in units:
            unit.by = None


def _operations(wishes: Sequence[Wish], held: Collection[str] | None) -> tuple[Operation, ...]:
    operations: list[Operation] = []
    named: tuple[Thing, ...] = ()
    is_alone = sum(wish.kind != "none" for wish in wishes) == 1
    any_thing = any(wish.objects.things for wish in wishes)
    for wish in wishes:
        if wish.kind == "act":
            if not wish.spoken and not is_alone:
                _forget(wish)
                continue
            done = _operation(wish)
            names = bool(done.things or done.masks)
            chooses = held is not None and not held and not any_thing
            if done.act == "keep" and chooses and not names:
                # There is nothing to choose from.
                _lose(wish)
                continue
            if done.act == "keep" and done.things and held is not None and not held:
                wish.is_moot = True
                named = wish.objects.things
                continue
            operations.append(done)
        elif wish.kind == "find" and wish.only and wish.objects.things and held != ():
            operations.append(Operation(act="keep", things=wish.objects.things, words=_said(wish)))
        elif wish.kind in ("exclude", "subtract"):
            operations.append(_without(wish, named))
        named = wish.objects.things if wish.kind in ("find", "act", "ask") else named
    return _once(operations)


def _once(wishes: Iterable[_Wanted]) -> tuple[_Wanted, ...]:
    """Return what differs in more than its words."""
    unique: dict[_Wanted, _Wanted] = {}
    for wish in wishes:
        unique.setdefault(wish.model_copy(update={"words": ""}), wish)
    return tuple(unique.values())


def _account(wishes: Sequence[Wish], parts: Sequence[Part]) -> None:
    """Let what was consumed be of what it became; of what no wish took, nothing is."""
    taken = {id(part) for wish in wishes for part in wish.parts}
    for part in parts:
        for unit in part.units:
            if id(part) not in taken and unit.by in ("operation", "question", "thing"):
                unit.by = None
    for wish in wishes:
        _account_of(wish)


def _account_of(wish: Wish) -> None:
    became = _BECAME[wish.kind]
    if wish.kind == "find" or wish.is_moot:
        became = "thing" if wish.objects.things else None
    for part in wish.parts:
        for unit in part.units:
            whole = wish.kind in ("leave", "none") and unit.by == "thing"
            if unit.by in ("operation", "question") or whole:
                unit.by = became


def _lose(wish: Wish) -> None:
    for part in wish.parts:
        for unit in part.units:
            unit.by = None


def _forget(wish: Wish) -> None:
    """Let a word such as "ok" before something else be one of courtesy."""
    for part in wish.parts:
        for unit in part.of("mild"):
            unit.by = "function"
    wish.kind = "none"


def _operation(wish: Wish) -> Operation:
    act = cast("Act", wish.acts[0])
    things, minus = wish.objects.things, wish.minus
    if act == "swap":
        things, minus = things[:1], things[1:2]
    box = None
    if wish.box is not None:
        x0, y0, x1, y1 = wish.box.corners
        if x1 > x0 and y1 > y0:
            box = Box(x0=x0, y0=y0, x1=x1, y1=y1)
        else:
            wish.box.by = None
    amount = wish.amount
    return Operation(
        act=act,
        masks=wish.objects.masks,
        things=things,
        which=wish.objects.which,
        minus=minus,
        amount=amount.number if amount else None,
        unit=amount.value if amount else None,
        box=box,
        words=_said(wish),
    )


def _without(wish: Wish, named: tuple[Thing, ...]) -> Operation:
    """Return what leaves things out: of one that was just named, else of all there is."""
    things, which = wish.objects.things, wish.objects.which
    if wish.objects.masks and not things:
        return Operation(act="drop", masks=wish.objects.masks, words=_said(wish))
    if wish.kind == "subtract" and named and things:
        return Operation(act="subtract", things=named[-1:], minus=things, words=_said(wish))
    masks = wish.objects.masks
    return Operation(act="exclude", masks=masks, things=things, which=which, words=_said(wish))


def _questions(wish: Wish) -> Iterable[Question]:
    if wish.kind != "ask":
        return
    several = len(wish.objects.things) + len(wish.objects.masks) > 1
    topics = ("compare",) if several and wish.acts == ("difference",) else wish.acts
    for topic in topics:
        yield Question(
            topic=cast("Topic", topic),
            masks=wish.objects.masks,
            things=wish.objects.things,
            which=wish.objects.which,
            unit=wish.length,
            words=_said(wish),
        )


def _said(wish: Wish) -> str:
    return " ".join(word for part in wish.parts for unit in part.units for word in unit.words)[:200]


def _find(
    wishes: Sequence[Wish], operations: Sequence[Operation], held: Collection[str] | None
) -> tuple[Thing, ...]:
    """Return what is to be outlined that the thread does not show."""
    del operations
    names = None if held is None else {" ".join(normalise(label)) for label in held}
    found: list[Thing] = []
    for wish in wishes:
        things = wish.objects.things
        if wish.kind == "find" and not (wish.only and things and held != ()):
            found += things
        elif wish.kind == "ask" or (wish.kind == "act" and wish.acts[0] in _NEEDING):
            found += [thing for thing in things if _is_wanted(wish, thing, names)]
        elif wish.kind == "find":
            found += [thing for thing in things if names is not None and not _is_in(thing, names)]
    return _merged(found)


def _is_wanted(wish: Wish, thing: Thing, names: set[str] | None) -> bool:
    if names is not None:
        return not _is_in(thing, names)
    finds = any(part.has("find") for part in wish.parts)
    return wish.kind == "ask" or wish.acts[0] in ("add", "box") or finds


def _is_in(thing: Thing, names: set[str]) -> bool:
    own = {" ".join(normalise(label)) for label in thing.terms} | {thing.words}
    return not own.isdisjoint(names)


def _merged(things: Iterable[Thing]) -> tuple[Thing, ...]:
    """Join mentions of the same thing; what any of them says about it holds."""
    merged: dict[object, Thing] = {}
    for thing in things:
        key = thing.terms or thing.words
        first = merged.setdefault(key, thing)
        if first.which.side != thing.which.side and first.which.side and thing.which.side:
            # "the left lung and the right lung": both.
            merged[key] = first.model_copy(update={"which": Which(several=True)})
        elif first.which == Which():
            merged[key] = thing
    return tuple(merged.values())


def _talk(parts: Sequence[Part], wishes: Sequence[Wish], *, is_empty: bool) -> Talk | None:
    """Return the small talk of a request that asks for nothing else."""
    talks = [unit for part in parts for unit in part.of("talk")]
    said = {unit.value for unit in talks}
    helps = any(wish.acts == ("help",) for wish in wishes)
    named = not helps and any(part.has("term", "ids") for part in parts)
    is_empty = is_empty and not named
    if not is_empty or not talks:
        courtesy = ("greeting", "thanks")
        for unit in (unit for part in parts for unit in part.units):
            if unit.kind == "talk" or unit.by == "talk":
                unit.by = "function" if unit.value in courtesy or unit.by == "function" else None
        return None
    first = next(talk for talk in _TALKS if talk in said)
    if first in ("off_topic", "help"):
        for part in parts:
            _take(part.units)
    for unit in talks:
        unit.by = "talk"
    return first


def _take(units: Iterable[Unit]) -> None:
    for unit in units:
        unit.by = "talk"

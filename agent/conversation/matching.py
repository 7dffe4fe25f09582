"""What a model's reading of a request says beside the rules': what is the same, what is new. Pure.

A part of a model's plan accounts for words only by what it brings: a target that says what the
rules said already, with more words, would hide those words.
"""

from collections.abc import Sequence

from agent.language.coverage import Places, Words
from agent.schemas.intent import ANY, Intent, Operation, Question, Thing, Which


def told(
    rules: Intent, model: Intent, asked: Sequence[Operation | Question], words: Words
) -> Places:
    """Return the places of words that only the model understood.

    Args:
        rules: as the rules read the request.
        model: as the model read it.
        asked: its operations and questions that are admissible.
        words: of the request.
    """
    dark = words.every(rules.not_understood)
    parts = [one.words for one in asked if _brings(one, rules)]
    narrow = [part for part in parts if not _reaches_too_far(part, rules, words, dark)]
    things = [one.words for one in model.find if _brings_thing(one, rules)]
    return (dark & words.of([*narrow, *things])) - words.every(model.not_understood)


def _reaches_too_far(part: str, rules: Intent, words: Words, dark: Places) -> bool:
    """Tell whether words of one part reach from a clause the rules understood into another.

    Who repeats all of a request does not tell which of its words are meant.
    """
    said = words.telling(words.of([part]))
    clauses = [said & clause for clause in words.clauses() if said & clause]
    understood = rules.find or rules.operations or rules.questions
    lit = [clause for clause in clauses if not clause & dark]
    return bool(understood and lit and len(lit) < len(clauses))


def _brings(one: Operation | Question, rules: Intent) -> bool:
    if isinstance(one, Question):
        return asked_as(one) not in map(asked_as, rules.questions)
    same = next((own for own in rules.operations if says_same(own, one)), None)
    return same is None or completed_by(same, one) != same


def _brings_thing(thing: Thing, rules: Intent) -> bool:
    """Tell whether a target is new, or says anew which is meant; a number alone says nothing."""
    same = next((own for own in rules.find if is_same(own, thing)), None)
    if same is None:
        return True
    fuller = complete(same.which, thing.which)
    return fuller.model_copy(update={"several": same.which.several}) != same.which


def asked_as(one: Question) -> tuple[object, ...]:
    """Return what tells a question from others."""
    return (one.topic, *names_of(one.things))


def completed_by(one: Operation, other: Operation) -> Operation:
    """Return an operation with what only the other says of it."""
    update: dict[str, object] = {"which": complete(one.which, other.which)}
    if one.amount is None:
        update |= {"amount": other.amount, "unit": other.unit}
    if one.box is None:
        update |= {"box": other.box}
    return one.model_copy(update=update)


def says_same(one: Operation, other: Operation) -> bool:
    """Tell whether two operations are one: of an act, with masks and things that agree."""
    agree = [
        not first or not second or first == second
        for first, second in (
            (one.masks, other.masks),
            (names_of(one.things), names_of(other.things)),
            (names_of(one.minus), names_of(other.minus)),
        )
    ]
    return one.act == other.act and all(agree)


def names_of(things: Sequence[Thing]) -> list[object]:
    """Return what things are, by the lexicon where it holds them."""
    return [thing.terms or thing.words for thing in things]


def complete(own: Which, other: Which) -> Which:
    """Return which is meant, with what only the other says of it."""
    update = {
        name: getattr(other, name)
        for name in Which.model_fields
        if getattr(own, name) == getattr(ANY, name)
    }
    return own.model_copy(update=update)


def is_same(thing: Thing, target: Thing) -> bool:
    """Tell whether a plan's target is what a request names."""
    if set(thing.terms) & set(target.terms):
        return True
    own, other = thing.words.split(), target.words.split()
    starts = range(len(other) - len(own) + 1)
    return bool(own) and any(other[at : at + len(own)] == own for at in starts)

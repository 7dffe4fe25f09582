"""Joins what the rules and a model made of one request: what the rules understood holds. Pure.

The model adds meaning to words that the rules did not understand, and to no others. A word is not
understood if neither of them understood it.
"""

from collections.abc import Collection, Sequence

from agent.conversation.matching import (
    asked_as,
    complete,
    completed_by,
    is_same,
    says_same,
    told,
)
from agent.language.coverage import Places, Words
from agent.language.lexicon import normalise
from agent.schemas.intent import Act, Intent, Operation, Question, Thing
from agent.schemas.plan import Plan
from agent.schemas.runs import ThreadRecord

# A run that takes another back is known as such before any model is asked.
_OF_THE_THREAD: frozenset[Act] = frozenset({"undo", "redo"})


def merge(rules: Intent, plan: Plan, request: str, thread: ThreadRecord) -> Intent:
    """Return a request's meaning.

    - Operations and questions of the rules stay, in their order. The model's follow them if their
      words are, at least in part, words that the rules did not understand; one that says the same
      only completes what the rules found: its amount, its box, which masks.
    - Things to find are the rules', completed in the same way by the plan's targets, and those
      targets whose words the rules did not understand. A thing that the plan has no target for is
      not understood.
    - What the model only calls context is not understood: it may not silence a word.
    - Small talk is the rules', else the model's if they understood nothing at all.
    - Masks that the thread does not have, and steps of the thread, cannot be the model's.

    Args:
        rules: as the rules read the request.
        plan: the model's, with its intent.
        request: the caller's words.
        thread: as it was before the run.
    """
    model = plan.intent
    if model is None:
        return rules
    words = Words(request, rules.corrections)
    masks = {candidate.id for candidate in thread.candidates}
    operations = [one for one in model.operations if _is_admissible(one, masks)]
    questions = [one for one in model.questions if set(one.masks) <= masks]
    known = told(rules, model, (*operations, *questions), words)
    kept, strange = _kept(rules, plan, words, thread)
    understood = rules.find or rules.operations or rules.questions or rules.talk
    return rules.model_copy(
        update={
            "find": (*_completed(kept, plan, words, known), *_added(rules, plan, words, known)),
            "operations": _operations(rules.operations, operations, words, known),
            "questions": _questions(rules.questions, questions, words, known),
            "talk": rules.talk if understood else model.talk,
            "not_understood": _not_understood((*rules.not_understood, *strange), words, known),
        }
    )


def unplanned(find: Sequence[Thing], plan: Plan, words: Words) -> tuple[Thing, ...]:
    """Return the things that no target of a model's plan stands for.

    A target whose words are not the request's ("mass" for "lump") stands for the first thing that
    no other target stands for.
    """
    if plan.intent is None:
        return ()
    targets = plan.intent.find
    left = [thing for thing in find if not any(is_same(thing, one) for one in targets)]
    others = [
        one
        for one in targets
        if not words.places(one.words) and not any(is_same(thing, one) for thing in find)
    ]
    return tuple(left[len(others) :])


def _is_admissible(operation: Operation, masks: Collection[str]) -> bool:
    return operation.act not in _OF_THE_THREAD and set(operation.masks) <= set(masks)


def _operations(
    own: tuple[Operation, ...], others: Sequence[Operation], words: Words, known: Places
) -> tuple[Operation, ...]:
    """Complete operations by others that say the same, and append the rest of these."""
    found = list(own)
    for other in others:
        if not known & words.of([other.words]):
            continue
        at = next((at for at, one in enumerate(found) if says_same(one, other)), None)
        if at is None:
            found.append(other)
        else:
            found[at] = completed_by(found[at], other)
    return tuple(found)


def _questions(
    own: tuple[Question, ...], others: Sequence[Question], words: Words, known: Places
) -> tuple[Question, ...]:
    asked = set(map(asked_as, own))
    new = (one for one in others if asked_as(one) not in asked)
    return (*own, *(one for one in new if known & words.of([one.words])))


def _kept(
    rules: Intent, plan: Plan, words: Words, thread: ThreadRecord
) -> tuple[list[Thing], list[str]]:
    """Return the rules' things that stand or are looked for, and the words of those left out."""
    model = plan.intent or Intent()
    if not model.find:
        return list(rules.find), []
    left = [thing for thing in unplanned(rules.find, plan, words) if not _stands(thing, thread)]
    strange: list[str] = []
    for thing in left:
        places = words.places(thing.words)
        if not places:
            strange.append(thing.words)
        else:
            strange += words.rest(words.all - places)
    return [thing for thing in rules.find if thing not in left], strange


def _stands(thing: Thing, thread: ThreadRecord) -> bool:
    labels = {normalise(result.target.label) for result in thread.targets}
    return not labels.isdisjoint(map(normalise, (thing.words, *thing.terms)))


def _completed(
    things: Sequence[Thing], plan: Plan, words: Words, known: Places
) -> tuple[Thing, ...]:
    """Complete which of each thing are meant by what the plan says of it in new words."""
    targets = plan.intent.find if plan.intent else ()
    found: list[Thing] = []
    for thing in things:
        same = next((one for one in targets if is_same(thing, one)), None)
        if same is not None and known & words.of([same.words]):
            thing = thing.model_copy(update={"which": complete(thing.which, same.which)})
        found.append(thing)
    return tuple(found)


def _added(rules: Intent, plan: Plan, words: Words, known: Places) -> tuple[Thing, ...]:
    """Return the plan's targets that the rules did not read, in words they did not understand."""
    spoken = [thing for one in rules.operations for thing in (*one.things, *one.minus)]
    return tuple(
        thing.model_copy(update={"words": " ".join(normalise(target.label)) or thing.words})
        for target, thing in zip(plan.targets, plan.intent.find if plan.intent else (), strict=True)
        if known & words.of([thing.words])
        and not any(is_same(one, thing) for one in (*rules.find, *spoken))
    )


def _not_understood(parts: Sequence[str], words: Words, known: Places) -> tuple[str, ...]:
    """Return what nobody understood; a part of which nothing is known stays as it is."""
    left: list[str] = []
    for part in parts:
        places = words.places(part)
        if known & words.telling(places):
            left += words.rest(words.all - (places - known))
        else:
            left.append(part)
    return tuple(dict.fromkeys(left))

"""Translates what a model made of a request's words into an `Intent`. Pure.

The request's words are the measure, not the model's: an operation or a question counts only if its
words stand in the request, and a word that no part of the answer says is not understood, whatever
the model says of it. What is not used is named.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from agent.language.coverage import Words
from agent.language.lexicon import load_lexicon, normalise
from agent.mllm.json.misfit import Misfit
from agent.planners.coordinates import BoxCoordinates, to_box
from agent.planners.meanings import label_thing
from agent.planners.reading.calls import bounded
from agent.planners.reading.fields import list_of
from agent.planners.reading.operations import (
    RawOperation,
    operation_of,
    parts_of,
    question_of,
    talk_of,
)
from agent.planners.reply_schemas import (
    OperationReply,
    QuestionReply,
    TalkReply,
    TargetReply,
    WhichReply,
    parse,
)
from agent.schemas.intent import ANY, Intent, Operation, Question, Talk, Thing, Which


class ReadIntent(NamedTuple):
    """A model's intent, and remarks on what of it is not used.

    Attributes:
        intent: its `find` holds the plan's targets, in their order; its `not_understood` is what no
            part of the answer says.
    """

    intent: Intent
    notes: tuple[str, ...]


class _Items(NamedTuple):
    """What was read of a list, and the names of what was not."""

    read: tuple[Operation | Question, ...]
    unread: tuple[str, ...]
    unsaid: tuple[str, ...]


def to_intent(
    fields: Mapping[str, object],
    targets: Sequence[TargetReply],
    words: Words,
    coordinates: BoxCoordinates,
) -> ReadIntent:
    """Translate a plan's fields beside its targets and calls.

    Args:
        fields: of the answer, by our names.
        targets: those that are looked for.
        words: of the request.
        coordinates: between the model's boxes and ours.

    Raises:
        Misfit: a list is far too long.
    """
    labels = [target.label for target in targets]

    def operation(value: object, where: str) -> Operation:
        return _operation(operation_of(value, labels, where, coordinates.style), where, coordinates)

    def question(value: object, where: str) -> Question:
        return _question(question_of(value, labels, where))

    orders = _items(fields.get("operations"), "operations", operation, words)
    asked = _items(fields.get("questions"), "questions", question, words)
    context, invented = _said(parts_of(fields.get("context")), words)
    refused, _ = _said(parts_of(fields.get("not_understood")), words)
    talk, strange = _talk(fields.get("talk"))
    operations = tuple(one for one in orders.read if isinstance(one, Operation))
    questions = tuple(one for one in asked.read if isinstance(one, Question))
    said = [*map(mention, targets), *(one.words for one in operations)]
    said += [one.words for one in questions]
    # What the model refuses is not understood, even if it says it elsewhere. Nor does it understand
    # what it only calls context: which words ask for nothing is listed, and no model's to say.
    covered = words.of(said) - words.of(refused)
    return ReadIntent(
        Intent(
            find=tuple(map(_found, targets)),
            operations=operations,
            questions=questions,
            talk=talk,
            context=context,
            not_understood=words.rest(covered),
        ),
        tuple(
            f"{remark}: {', '.join(names)}"
            for remark, names in (
                ("read as asking for nothing", context),
                ("not said in the request", (*orders.unsaid, *asked.unsaid, *invented)),
                ("not understood of the plan", (*orders.unread, *asked.unread, *strange)),
            )
            if names
        ),
    )


def mention(target: TargetReply) -> str:
    """Return the words that a target stands for: the request's, else its label."""
    return target.words or target.label


def invented(targets: Sequence[TargetReply], words: Words) -> frozenset[int]:
    """Return the places of targets whose words the request does not say, if it says any other's.

    A plan without one that is said may be in another language than the request.
    """
    named = [bool(words.places(one.words) or words.places(one.label)) for one in targets]
    unsaid = {place for place, one in enumerate(targets) if one.words and not named[place]}
    return frozenset(unsaid if any(named) else ())


def _items(
    value: object,
    name: str,
    read: Callable[[object, str], Operation | Question],
    words: Words,
) -> _Items:
    """Read the items of a list, each for itself."""
    found: list[Operation | Question] = []
    unread: list[str] = []
    unsaid: list[str] = []
    for place, item in enumerate(bounded(list_of(value), name)):
        where = f"{name}[{place}]"
        try:
            one = read(item, where)
        except Misfit as misfit:
            unread.append(misfit.where or where)
            continue
        if words.places(one.words):
            found.append(one)
        else:
            unsaid.append(one.act if isinstance(one, Operation) else one.topic)
    return _Items(tuple(found), tuple(unread), tuple(unsaid))


def _operation(raw: RawOperation, where: str, coordinates: BoxCoordinates) -> Operation:
    reply = parse(raw.fields, OperationReply)
    path = f"{where}.{coordinates.style.key}"
    return Operation(
        act=reply.act,
        masks=tuple(reply.masks),
        things=tuple(map(_labelled, reply.targets)),
        which=_which(reply.which, ANY),
        minus=tuple(map(_labelled, reply.minus)),
        amount=reply.amount,
        unit=reply.unit,
        box=None if raw.box is None else to_box(raw.box, coordinates, path),
        words=reply.words,
    )


def _question(fields: Mapping[str, object]) -> Question:
    reply = parse(fields, QuestionReply)
    return Question(
        topic=reply.topic,
        masks=tuple(reply.masks),
        things=tuple(map(_labelled, reply.targets)),
        unit=reply.unit,
        words=reply.words,
    )


def _said(parts: Sequence[str], words: Words) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the parts that the request says, and those it does not."""
    said = tuple(part for part in parts if words.places(part))
    return said, tuple(part for part in parts if part not in said)


def _talk(value: object) -> tuple[Talk | None, tuple[str, ...]]:
    try:
        return parse({"talk": talk_of(value)}, TalkReply).talk, ()
    except Misfit:
        return None, ("talk",)


def _found(target: TargetReply) -> Thing:
    """Return the thing that a target stands for; its words are the request's, as they are."""
    label = _labelled(target.label)
    own = label_thing(mention(target), load_lexicon())
    said = " ".join(normalise(mention(target))) or label.words
    which = _which(target.which, own.which if own.terms else label.which)
    several = target.count == "several" or which.several
    return Thing(
        words=said,
        terms=own.terms or label.terms,
        which=which.model_copy(update={"several": several and which.limit != 1}),
    )


def _labelled(label: str) -> Thing:
    return label_thing(label, load_lexicon())


def _which(reply: WhichReply | None, own: Which) -> Which:
    """Return which of several is meant: as the model says it, else as the words do."""
    if reply is None:
        return own
    is_ranked = reply.rank is not None or reply.nth is not None
    limit = reply.limit or (1 if is_ranked else own.limit)
    return Which(
        side=reply.side or own.side,
        frame=reply.whose or own.frame,
        place=reply.place or own.place,
        rank=reply.rank or own.rank,
        nth=reply.nth or own.nth,
        limit=limit,
        several=(limit or 1) > 1,
        border=reply.border or own.border,
    )

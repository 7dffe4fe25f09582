"""What a model's plan says, in whichever form it says it: targets, calls and their boxes. Pure.

A plan may come as it was asked for, as a list of boxes with labels (native grounding), or as
something between. Nothing is left out: what cannot be used as it stands is a `Misfit`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent.mllm.box_formats import BoxStyle
from agent.mllm.json.misfit import Misfit
from agent.planners.reading.box_shapes import (
    box_fields,
    boxes_of,
    is_boxed,
    is_four_numbers,
    strays,
)
from agent.planners.reading.calls import (
    RawCall,
    bounded,
    items_of,
    merged,
    read_calls,
    references,
)
from agent.planners.reading.concepts import concept_of
from agent.planners.reading.fields import fields_of, fold, list_of
from agent.planners.reading.intent_words import WHICH_FIELDS
from agent.planners.reading.numbering import number_of, to_numbering
from agent.planners.reading.wordings import CALL_FIELDS, PLAN_FIELDS, TARGET_FIELDS, holds_numbers

# Names of what holds an answer, not of what a box is a box of.
_WRAPPERS = frozenset(
    {"rect", "rectangle", "coordinates", "coords", "region", "location", "position", "area"}
    | {"answer", "result", "output", "response", "data", "plan", "arguments", "parameters", "args"}
    | {"input", "function", "json", "content", "object", "target", "call"}
)
# What a box without a word is a box of.
REGION = "marked region"


class RawPlan(NamedTuple):
    """A plan in its parts.

    Attributes:
        fields: the outermost ones by our names, without targets and calls.
        targets: each by our names.
    """

    fields: dict[str, object]
    targets: list[dict[str, object]]
    calls: list[RawCall]


def read_plan(value: object, style: BoxStyle) -> RawPlan:
    """Read a plan.

    Raises:
        Misfit: what does not fit; `is_other` if it is no plan at all.
    """
    plan = {"calls": value} if _is_grounding(value) else value
    if not isinstance(plan, dict):
        raise Misfit(
            "", "must be one JSON object with a decision, targets and calls", is_other=True
        )
    known, rest = fields_of(plan, PLAN_FIELDS, "")
    items = items_of(known.pop("calls", None))
    targets = known.pop("targets", None)
    if labelled := _by_label(plan):
        items = labelled
    elif is_boxed(rest):
        items = [*items, *_own_items(plan, rest)]
        # Beside a box it says whose box that is.
        targets = targets if isinstance(targets, list) else None
    elif (known or items or targets is not None) and strays(rest):
        raise Misfit("calls", "must hold all boxes")
    says = {"operations", "questions", "talk"} & set(known)
    if not items and targets is None and "decision" not in plan and not says:
        raise Misfit("", "must have a decision, targets and calls", is_other=True)
    return _assembled(known, _targets(targets), items, style)


def _is_grounding(value: object) -> bool:
    """Tell whether a value is a list of boxes with labels, as models were trained to give them."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and is_boxed(item) for item in value)
        and not any({"calls", "targets", "decision"} & set(map(fold, item)) for item in value)
    )


def _by_label(plan: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Return the calls of an object that names boxes by what they are boxes of."""
    known = fields_of(plan, PLAN_FIELDS, "").known or fields_of(plan, CALL_FIELDS, "").known
    if known or any("box" in fold(key) or fold(key) in _WRAPPERS for key in plan):
        return []
    items: list[Mapping[str, object]] = []
    for label, item in plan.items():
        if isinstance(item, dict) and is_boxed(item):
            items.append({"label": label, **item})
        elif is_four_numbers(item):
            items.append({"label": label, "box": item})
    return items if len(items) == len(plan) else []


def _own_items(
    plan: Mapping[str, object], rest: Mapping[str, object]
) -> list[Mapping[str, object]]:
    """Return the calls that boxes beside the plan's fields stand for."""
    lists = [inner for inner in box_fields(rest).values() if isinstance(inner, list)]
    labelled: list[Mapping[str, object]] = [
        item
        for held in lists
        for item in held
        if isinstance(item, dict) and fields_of(item, CALL_FIELDS, "calls").known
    ]
    if labelled and len(labelled) == sum(map(len, lists)):
        return labelled
    names = fields_of(plan, CALL_FIELDS, "").known
    words = {name: word for name, word in names.items() if isinstance(word, str | int)}
    return [{**words, **rest}]


def _targets(value: object) -> list[tuple[dict[str, object], dict[str, object]]]:
    """Return each target by our names, and what else stands with it (a box of its own)."""
    found = []
    for place, item in enumerate(bounded(list_of(value), "targets")):
        where = f"targets[{place}]"
        if isinstance(item, str) or number_of(item) is not None:
            item = {"label": item}
        if not isinstance(item, dict):
            raise Misfit(where, "must be an object with a label")
        known, rest = fields_of(item, TARGET_FIELDS, where)
        if "label" not in known and "id" in known:
            known["label"] = known["id"]
        if beside := fields_of(rest, WHICH_FIELDS, where).known:
            own = known.get("which")
            known["which"] = {**beside, **own} if isinstance(own, dict) else own or beside
        if holds_numbers(known.get("label")):
            raise Misfit(f"{where}.label", "must be a word, with its box in a call")
        found.append((known, rest))
    return found


def _assembled(
    fields: dict[str, object],
    targets: list[tuple[dict[str, object], dict[str, object]]],
    items: Sequence[Mapping[str, object]],
    style: BoxStyle,
) -> RawPlan:
    inferred = not targets
    if inferred:
        named, items = _inferred(items)
    else:
        named = [known for known, _ in targets]
    labels = [str(known.get("label", "")) for known in named]
    ids = [known["id"] for known in named if "id" in known]
    calls = read_calls(items, to_numbering(labels, references(items), ids), style)
    for place, (known, rest) in enumerate(targets):
        calls += _of_target(place, known, rest, style, calls)
    return RawPlan(fields, named, merged(calls) if inferred else calls)


def _of_target(
    place: int,
    known: Mapping[str, object],
    rest: Mapping[str, object],
    style: BoxStyle,
    calls: Sequence[RawCall],
) -> list[RawCall]:
    """Return the call that a target with a box of its own stands for, if none has that box."""
    where = f"targets[{place}]"
    boxes = boxes_of(rest, style, where)
    if strays(rest):
        raise Misfit(where, "must not hold boxes")
    given = {box for call in calls if call.target == place for box in call.boxes}
    if not set(boxes) - given:
        return []
    concept, unused = concept_of(known.get("label"), where, boxed=True)
    return [RawCall(place, concept, boxes, (), unused)]


def _inferred(
    items: Sequence[Mapping[str, object]],
) -> tuple[list[dict[str, object]], list[Mapping[str, object]]]:
    """Return a target for each thing that calls name, and the calls with their targets' names."""
    targets: dict[str, dict[str, object]] = {}
    counted: list[Mapping[str, object]] = []
    for place, item in enumerate(items):
        known, rest = fields_of(item, CALL_FIELDS, f"calls[{place}]")
        number = number_of(known.get("target"))
        words = [known.get("target"), known.get("label"), *list_of(known.get("concept")), REGION]
        label = next(word for word in words if isinstance(word, str) and number_of(word) is None)
        name = f"target{number}" if number is not None else fold(label) or label
        targets.setdefault(name, {"label": label, "id": name})
        counted.append({**known, **rest, "target": name})
    return list(targets.values()), counted

"""What a model's plan says, in whichever form it says it: targets, calls and their boxes. Pure.

A plan may come as it was asked for, as a list of boxes with labels (native grounding), or as
something between. Nothing is left out: what cannot be used as it stands is a `Misfit`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent.mllm.box_formats import BoxStyle
from agent.mllm.json.misfit import Misfit
from agent.planners.spoken.box_shapes import (
    BOX_KEYS,
    SpokenBox,
    boxes_of,
    holds_box,
    is_boxed,
    read_boxes,
)
from agent.planners.spoken.concepts import ENGLISH, concept_of
from agent.planners.spoken.numbering import Numbering, number_of, to_numbering
from agent.planners.spoken.wordings import (
    CALL_FIELDS,
    PLAN_FIELDS,
    TARGET_FIELDS,
    fields_of,
    fold,
    join,
    list_of,
)
from segmenter.contract import MAX_BOXES

# Far more than is used; bounds the work on a runaway list.
MAX_ITEMS = 64
MAX_AVOID_BOXES = 4
# What a box without a word is a box of.
REGION = "marked region"


class SpokenCall(NamedTuple):
    """A call as the model asks for it.

    Attributes:
        target: place of its target, from 0.
        concept: an admissible one, or None.
        boxes: where it is, in the model's coordinates.
        avoid: where it is not.
        unused: words that are no concept and stood with a box, "" for none.
    """

    target: int
    concept: str | None
    boxes: tuple[SpokenBox, ...]
    avoid: tuple[SpokenBox, ...]
    unused: str = ""


class SpokenPlan(NamedTuple):
    """A plan in its parts.

    Attributes:
        fields: the outermost ones by our names, without targets and calls.
        targets: each by our names.
    """

    fields: dict[str, object]
    targets: list[dict[str, object]]
    calls: list[SpokenCall]


def read_plan(value: object, style: BoxStyle) -> SpokenPlan:
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
    stray = {key: inner for key, inner in rest.items() if key not in BOX_KEYS}
    if is_boxed(plan):
        items, stray = [*items, *_own_items(plan, rest)], {}
    targets = known.pop("targets", None)
    if not items and targets is None and "decision" not in plan:
        raise Misfit("", "must have a decision, targets and calls", is_other=True)
    if holds_box(stray):
        raise Misfit("calls", "must hold all boxes")
    return _assembled(known, _targets(targets), items, style)


def _is_grounding(value: object) -> bool:
    """Tell whether a value is a list of boxes with labels, as models were trained to give them."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and is_boxed(item) for item in value)
        and not any({"calls", "targets", "decision"} & set(map(fold, item)) for item in value)
    )


def items_of(value: object) -> list[Mapping[str, object]]:
    """Return calls as objects: a phrase or a box alone is a call too.

    Raises:
        Misfit: there are too many, or one is none of these.
    """
    items = _bounded(list_of(value), "calls")
    if items and not any(isinstance(item, dict | str) for item in items):
        return [{"boxes": items}]
    found: list[Mapping[str, object]] = []
    for place, item in enumerate(items):
        if isinstance(item, list):
            found.append({"box": item})
        elif isinstance(item, str):
            found.append({"concept": item})
        elif isinstance(item, dict):
            found.append(item)
        else:
            raise Misfit(f"calls[{place}]", "must be an object with a target, and a box or concept")
    return found


def _own_items(
    plan: Mapping[str, object], rest: Mapping[str, object]
) -> list[Mapping[str, object]]:
    """Return the calls that boxes beside the plan's fields stand for."""
    lists = [inner for key, inner in rest.items() if key in BOX_KEYS and isinstance(inner, list)]
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


def _bounded(items: list[object], where: str) -> list[object]:
    if len(items) > MAX_ITEMS:
        raise Misfit(where, f"must be at most {MAX_ITEMS}")
    return items


def _targets(value: object) -> list[tuple[dict[str, object], dict[str, object]]]:
    """Return each target by our names, and what else stands with it (a box of its own)."""
    found = []
    for place, item in enumerate(_bounded(list_of(value), "targets")):
        where = f"targets[{place}]"
        if isinstance(item, str) or number_of(item) is not None:
            item = {"label": item}
        if not isinstance(item, dict):
            raise Misfit(where, "must be an object with a label")
        known, rest = fields_of(item, TARGET_FIELDS, where)
        if "label" not in known and "id" in known:
            known["label"] = known["id"]
        found.append((known, rest))
    return found


def _assembled(
    fields: dict[str, object],
    targets: list[tuple[dict[str, object], dict[str, object]]],
    items: Sequence[Mapping[str, object]],
    style: BoxStyle,
) -> SpokenPlan:
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
    return SpokenPlan(fields, named, merged(calls) if inferred else calls)


def _of_target(
    place: int,
    known: Mapping[str, object],
    rest: Mapping[str, object],
    style: BoxStyle,
    calls: Sequence[SpokenCall],
) -> list[SpokenCall]:
    """Return the call that a target with a box of its own stands for, if none has that box."""
    where = f"targets[{place}]"
    boxes = boxes_of(rest, style, where)
    if holds_box({key: inner for key, inner in rest.items() if key not in BOX_KEYS}):
        raise Misfit(where, "must not hold boxes")
    given = {box for call in calls if call.target == place for box in call.boxes}
    if not set(boxes) - given:
        return []
    concept, unused = concept_of(known.get("label"), where, boxed=True)
    return [SpokenCall(place, concept, boxes, (), unused)]


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


def merged(calls: Sequence[SpokenCall]) -> list[SpokenCall]:
    """Put the boxes of one concept on one call, as many as a call may hold: they are instances."""
    found: list[SpokenCall] = []
    for call in calls:
        last = next(
            (
                place
                for place, other in enumerate(found)
                if call.boxes
                and (other.target, other.concept, other.avoid)
                == (call.target, call.concept, call.avoid)
                and len(other.boxes) + len(call.boxes) <= MAX_BOXES
            ),
            None,
        )
        if last is None:
            found.append(call)
        else:
            boxes = tuple(dict.fromkeys((*found[last].boxes, *call.boxes)))
            found[last] = found[last]._replace(boxes=boxes)
    return found


def references(items: Sequence[Mapping[str, object]]) -> list[object]:
    """Return what calls refer to targets with."""
    known = [fields_of(item, CALL_FIELDS, "calls").known for item in items]
    return [each["target"] for each in known if "target" in each]


def read_calls(
    items: Sequence[Mapping[str, object]], numbering: Numbering, style: BoxStyle
) -> list[SpokenCall]:
    """Read calls; one with several phrases is as many calls.

    Raises:
        Misfit: one has no target, no admissible concept or box, or a box that cannot be read.
    """
    found: list[SpokenCall] = []
    for place, item in enumerate(items):
        calls = _read_call(item, numbering, style, f"calls[{place}]")
        found += [call for call in calls if call not in found]
    return found


def _read_call(
    item: Mapping[str, object], numbering: Numbering, style: BoxStyle, where: str
) -> list[SpokenCall]:
    known, rest = fields_of(item, CALL_FIELDS, where)
    boxes = tuple(dict.fromkeys(boxes_of(rest, style, where)))
    if len(boxes) > MAX_BOXES:
        raise Misfit(join(where, style.key), f"must be at most {MAX_BOXES} boxes")
    if holds_box({key: inner for key, inner in rest.items() if key not in BOX_KEYS}):
        raise Misfit(where, f"must hold boxes as `{style.key}` and `avoid` only")
    target = numbering.place_of(known.get("target", known.get("label")), f"{where}.target")
    avoid = read_boxes(known.get("avoid"), style, f"{where}.avoid")
    if len(avoid) > MAX_AVOID_BOXES:
        raise Misfit(f"{where}.avoid", f"must be at most {MAX_AVOID_BOXES} boxes")
    calls = []
    for phrase in list_of(known.get("concept", known.get("label"))) or [None]:
        concept, unused = concept_of(phrase, f"{where}.concept", boxed=bool(boxes))
        if concept is None and not boxes:
            raise Misfit(f"{where}.concept", ENGLISH)
        calls.append(SpokenCall(target, concept, boxes, avoid, unused))
    return calls

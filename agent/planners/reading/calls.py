"""The calls of a plan or an inspection, in whichever form a model asks for them. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent.mllm.box_formats import BoxStyle
from agent.mllm.json.misfit import Misfit
from agent.planners.reading.box_shapes import boxes_of, read_boxes, strays
from agent.planners.reading.concepts import ENGLISH, concept_of
from agent.planners.reading.corners import RawBox
from agent.planners.reading.fields import fields_of, join, list_of, opened_json
from agent.planners.reading.numbering import Numbering
from agent.planners.reading.wordings import CALL_FIELDS
from segmenter.contract import MAX_BOXES

# Far more than is used; bounds the work on a runaway list.
MAX_ITEMS = 64
MAX_AVOID_BOXES = 4


class RawCall(NamedTuple):
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
    boxes: tuple[RawBox, ...]
    avoid: tuple[RawBox, ...]
    unused: str = ""


def items_of(value: object) -> list[Mapping[str, object]]:
    """Return calls as objects: a phrase or a box alone is a call too.

    Raises:
        Misfit: there are too many, or one is none of these.
    """
    items = bounded(list_of(value), "calls")
    if items and not any(isinstance(item, dict | str) for item in items):
        return [{"boxes": items}]
    found: list[Mapping[str, object]] = []
    for place, item in enumerate(items):
        if isinstance(item, list):
            found.append({"box": item})
        elif isinstance(opened := opened_json(item), dict):
            found.append(opened)
        elif isinstance(item, str):
            found.append({"concept": item})
        else:
            raise Misfit(f"calls[{place}]", "must be an object with a target, and a box or concept")
    return found


def bounded(items: list[object], where: str) -> list[object]:
    """Return a list.

    Raises:
        Misfit: it is too long.
    """
    if len(items) > MAX_ITEMS:
        raise Misfit(where, f"must be at most {MAX_ITEMS}")
    return items


def merged(calls: Sequence[RawCall]) -> list[RawCall]:
    """Put the boxes of one concept on one call, as many as a call may hold: they are instances."""
    found: list[RawCall] = []
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
) -> list[RawCall]:
    """Read calls; one with several phrases is as many calls.

    Raises:
        Misfit: one has no target, no admissible concept or box, or a box that cannot be read.
    """
    found: list[RawCall] = []
    for place, item in enumerate(items):
        calls = _read_call(item, numbering, style, f"calls[{place}]")
        found += [call for call in calls if call not in found]
    return found


def _read_call(
    item: Mapping[str, object], numbering: Numbering, style: BoxStyle, where: str
) -> list[RawCall]:
    known, rest = fields_of(item, CALL_FIELDS, where)
    boxes = tuple(dict.fromkeys(boxes_of(rest, style, where)))
    if len(boxes) > MAX_BOXES:
        raise Misfit(join(where, style.key), f"must be at most {MAX_BOXES} boxes")
    if strays(rest):
        raise Misfit(where, f"must hold boxes as `{style.key}` and `avoid` only")
    target = numbering.place_of(known.get("target", known.get("label")), f"{where}.target")
    if numbering.names_another(known.get("concept"), target):
        raise Misfit(f"{where}.target", "must be the number of the target that the concept names")
    avoid = read_boxes(known.get("avoid"), style, f"{where}.avoid")
    if len(avoid) > MAX_AVOID_BOXES:
        raise Misfit(f"{where}.avoid", f"must be at most {MAX_AVOID_BOXES} boxes")
    calls = []
    for phrase in list_of(known.get("concept", known.get("label"))) or [None]:
        concept, unused = concept_of(phrase, f"{where}.concept", boxed=bool(boxes))
        if concept is None and not boxes:
            raise Misfit(f"{where}.concept", ENGLISH)
        calls.append(RawCall(target, concept, boxes, avoid, unused))
    return calls

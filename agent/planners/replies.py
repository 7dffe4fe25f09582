"""Translates the MLLM's answers into our terms: the coordinate coordinates. Pure.

What is wrong in a detail costs that detail (a box, a call, a verdict on an unknown id), never the
whole answer.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.drawing.layout import Size
from agent.errors import MllmReplyError
from agent.language.lexicon import to_concept
from agent.mllm.box_formats import BoxStyle
from agent.mllm.json.decode import clean_text
from agent.planners.reply_schemas import (
    MAX_ITEMS,
    CallReply,
    ComparisonReply,
    InspectReply,
    MaskReply,
    PlanReply,
    TargetReply,
    parse,
    sound_items,
)
from agent.schemas.plan import MAX_CALLS_PER_ROUND, MAX_TARGETS, Call, Plan, Target
from agent.schemas.rounds import Inspection, Verdict
from segmenter.contract import Box, BoxPrompt, is_finite_box
from segmenter.masks.geometry import clip_box

MAX_AVOID_BOXES = 4
# A box thinner than this is a slip of the pen, in pixels of the image.
MIN_SIDE_PX = 1.0

_GRID = 1000.0
# A phrase is cut before these: "mass in the left breast" asks for a mass.
_CUT = re.compile(r"\s(?:in|of|on|at|with|near|from|within|under|above|below)\s.*", re.DOTALL)

Numbers = tuple[float, float, float, float]


@dataclass(frozen=True)
class BoxCoordinates:
    """All it takes to translate boxes between a model and us.

    Attributes:
        style: the model's way with boxes.
        shown: size of the clean picture as it was sent.
        image: size of the image.
    """

    style: BoxStyle
    shown: Size
    image: Size


def to_plan(content: Mapping[str, object], coordinates: BoxCoordinates) -> Plan:
    """Translate the answer to ``plan.md``; targets are called ``t1``, ``t2`` ... in its order.

    Raises:
        MllmReplyError: an outermost field is missing or of another type, or there is no target.
    """
    reply = parse(content, PlanReply)
    named = _targets(reply.targets)
    ids = [f"t{number}" for number in range(1, len(named) + 1)]
    calls = to_calls(reply.calls, ids, coordinates)
    targets = [_target(one, id_, calls) for one, id_ in zip(named, ids, strict=True)]
    kept = {target.id: target for target in targets if target is not None}
    if reply.decision == "segment" and not kept:
        raise MllmReplyError("the plan names no target to segment")
    return Plan(
        decision=reply.decision,
        modality=reply.modality or "unknown",
        targets=tuple(kept.values()),
        calls=tuple(call for call in calls if call.target in kept),
        note=reply.note,
    )


def to_inspection(
    content: Mapping[str, object],
    coordinates: BoxCoordinates,
    *,
    targets: Sequence[str],
    panels: Mapping[str, Sequence[str]],
) -> Inspection:
    """Translate the answer to ``inspect.md``.

    Args:
        content: the checked JSON object.
        coordinates: between the model's boxes and ours.
        targets: ids of the targets in the order of their numbers.
        panels: label of each panel -> ids of the candidates it shows.

    Raises:
        MllmReplyError: an outermost field is missing or of another type.
    """
    reply = parse(content, InspectReply)
    complete = {number for number in reply.complete if type(number) is int}
    return Inspection(
        verdicts=_verdicts(sound_items(reply.masks, MaskReply), panels),
        complete={name: number in complete for number, name in enumerate(targets, start=1)},
        missing=reply.missing,
        next=reply.next,
        calls=to_calls(reply.calls, targets, coordinates),
    )


def to_winner(content: Mapping[str, object]) -> Literal["first", "second", "same"]:
    """Translate the answer to ``compare.md``: panel A shows the first set, B the second.

    Raises:
        MllmReplyError: the answer names no panel.
    """
    names: dict[str, Literal["first", "second", "same"]] = {
        "A": "first",
        "B": "second",
        "same": "same",
    }
    return names[parse(content, ComparisonReply).better]


def to_calls(
    items: Sequence[object], targets: Sequence[str], coordinates: BoxCoordinates
) -> tuple[Call, ...]:
    """Translate calls; those without an admissible concept or box, or for no target, are dropped.

    Args:
        items: as the model wrote them.
        targets: ids of the targets in the order of their numbers, which count from 1.
        coordinates: between the model's boxes and ours.
    """
    renamed = [_renamed(item, coordinates.style) for item in items[:MAX_ITEMS]]
    calls: list[Call] = []
    for reply in sound_items(renamed, CallReply):
        if not 1 <= reply.target <= len(targets):
            continue
        call = _to_call(reply, targets[reply.target - 1], coordinates)
        if call is not None and call not in calls:
            calls.append(call)
    return tuple(calls[:MAX_CALLS_PER_ROUND])


def to_box(value: object, coordinates: BoxCoordinates) -> Box | None:
    """Translate a model's box into pixels of the image; None for a bad one.

    Order and scale come from the style, never from the values, with one exception: four numbers
    that do not exceed 1 are shares of the sides.
    """
    numbers = _numbers(value)
    if numbers is None:
        return None
    if coordinates.style.order == "yx":
        numbers = (numbers[1], numbers[0], numbers[3], numbers[2])
    across, down = _scale(numbers, coordinates)
    x0, x1 = sorted(
        (
            numbers[0] / across * coordinates.image.width,
            numbers[2] / across * coordinates.image.width,
        )
    )
    y0, y1 = sorted(
        (numbers[1] / down * coordinates.image.height, numbers[3] / down * coordinates.image.height)
    )
    if not is_finite_box((x0, y0, x1, y1)):
        return None
    box = clip_box(
        Box(x0=x0, y0=y0, x1=x1, y1=y1),
        width=coordinates.image.width,
        height=coordinates.image.height,
    )
    if box is None or min(box.x1 - box.x0, box.y1 - box.y0) < MIN_SIDE_PX:
        return None
    return box


def from_box(box: Box, coordinates: BoxCoordinates) -> tuple[int, int, int, int]:
    """Write a box of the image the way the model writes boxes."""
    across, down = _extent(coordinates)
    x0, x1 = (round(side / coordinates.image.width * across) for side in (box.x0, box.x1))
    y0, y1 = (round(side / coordinates.image.height * down) for side in (box.y0, box.y1))
    return (y0, x0, y1, x1) if coordinates.style.order == "yx" else (x0, y0, x1, y1)


def phrase(text: str | None) -> str | None:
    """Make a concept of a model's words, None if that cannot be done."""
    return None if text is None else to_concept(_CUT.sub("", clean_text(text)))


def _to_call(reply: CallReply, target: str, coordinates: BoxCoordinates) -> Call | None:
    concept = phrase(reply.concept)
    box = to_box(reply.box, coordinates)
    # Words that could not be made a concept were meant to say something; the box alone would not.
    if (reply.concept is not None and concept is None) or (concept is None and box is None):
        return None
    rejected = reply.avoid[:MAX_AVOID_BOXES] if isinstance(reply.avoid, list) else []
    avoided = (to_box(item, coordinates) for item in rejected)
    boxes = [] if box is None else [BoxPrompt(box=box)]
    boxes += [BoxPrompt(box=item, label="negative") for item in avoided if item is not None]
    return Call(target=target, concept=concept, boxes=tuple(boxes))


def _renamed(item: object, style: BoxStyle) -> object:
    """Give the box the one name we use, whichever the model was asked for."""
    if not isinstance(item, dict):
        return item
    return {**item, "box": item.get(style.key)}


def _numbers(value: object) -> Numbers | None:
    if not isinstance(value, list) or len(value) != 4:
        return None
    sides = [float(side) for side in value if type(side) in {int, float}]
    return (sides[0], sides[1], sides[2], sides[3]) if len(sides) == 4 else None


def _scale(numbers: Numbers, coordinates: BoxCoordinates) -> tuple[float, float]:
    if all(0.0 <= side <= 1.0 for side in numbers):
        return 1.0, 1.0
    return _extent(coordinates)


def _extent(coordinates: BoxCoordinates) -> tuple[float, float]:
    if coordinates.style.scale == "pixels":
        return float(coordinates.shown.width), float(coordinates.shown.height)
    return _GRID, _GRID


def _targets(items: Sequence[object]) -> list[TargetReply]:
    """Return the sound targets of a plan; their numbers are their places, from 1.

    A bad one in the middle would shift the numbers of those behind it, so the list ends there.
    """
    found: list[TargetReply] = []
    for item in items[:MAX_TARGETS]:
        sound = sound_items([item], TargetReply)
        if not sound:
            break
        found += sound
    return found


def _target(reply: TargetReply, name: str, calls: Sequence[Call]) -> Target | None:
    """Make a target; its phrases is what the model asks for first, else its label."""
    asked = [call.concept for call in calls if call.target == name and call.concept is not None]
    phrases = tuple(dict.fromkeys(asked)) or tuple(filter(None, [phrase(reply.label)]))
    if not phrases:
        return None
    return Target(id=name, label=reply.label, phrases=phrases, count=reply.count, where=reply.where)


def _verdicts(
    replies: Sequence[MaskReply], panels: Mapping[str, Sequence[str]]
) -> tuple[Verdict, ...]:
    """Give a panel's verdict to each of its candidates; the first word on a panel counts."""
    by_label = {label.upper(): ids for label, ids in panels.items()}
    found: dict[str, Verdict] = {}
    for reply in replies:
        for candidate in by_label.get(reply.id.upper(), ()):
            found.setdefault(
                candidate,
                Verdict(
                    candidate=candidate,
                    verdict=reply.verdict,
                    issue=reply.issue,
                    better_than_incumbent=reply.better_than_incumbent,
                    by="mllm",
                ),
            )
    return tuple(found.values())

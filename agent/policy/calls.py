"""Which calls may be put to the tool: clean, new, and such that the model can take them. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from agent.language.lexicon import to_concept
from agent.schemas.plan import MAX_CALLS_PER_ROUND, Call, Target
from agent.schemas.rounds import Round
from segmenter.contract import MAX_BOXES, BoxPrompt, Capabilities, ImageRef
from segmenter.masks.geometry import box_iou

Item = TypeVar("Item")

# Boxes that overlap more ask the same question.
SAME_BOX_IOU = 0.9
# A box below it holds nothing that a model could see.
MIN_BOX_PX = 4.0


class CallLimits(NamedTuple):
    """What a call must fit: the image, the model, and what was tried before.

    Attributes:
        unknown: concepts of which the model has said that it cannot look for them.
    """

    image: ImageRef
    capabilities: Capabilities
    tried: tuple[Call, ...]
    unknown: frozenset[str] = frozenset()


def knows(capabilities: Capabilities, concept: str) -> bool:
    """Tell whether a model lists a concept; an open vocabulary knows every word."""
    return capabilities.concepts is None or concept in capabilities.concepts


def listed_phrases(target: Target, capabilities: Capabilities) -> tuple[str, ...]:
    """Return the phrases of a target that the model lists."""
    return tuple(phrase for phrase in target.phrases if knows(capabilities, phrase))


def admit(calls: Iterable[Call], targets: Sequence[Target], limits: CallLimits) -> tuple[Call, ...]:
    """Return the calls that may be made: clean, new, for a known target, at most four.

    Their boxes lie in the image: whoever reads a person's or a model's box cuts it there.
    """
    by_id = {target.id: target for target in targets}
    admitted: list[Call] = []
    for call in calls:
        target = by_id.get(call.target)
        clean = _clean(call, target, limits) if target else None
        if clean is None or is_tried(clean, (*limits.tried, *admitted)):
            continue
        admitted.append(clean)
    return tuple(in_turns(admitted, lambda call: call.target)[:MAX_CALLS_PER_ROUND])


def is_tried(call: Call, tried: Iterable[Call]) -> bool:
    """Tell whether the same question was put before, for the same target."""
    return any(_same_call(call, other) for other in tried)


def _same_call(first: Call, second: Call) -> bool:
    lower = (first.threshold or 1.0) < (second.threshold or 1.0)
    return (
        first.target == second.target
        and first.concept == second.concept
        and len(first.boxes) == len(second.boxes)
        and not lower
        and all(map(_same_box, first.boxes, second.boxes))
    )


def _same_box(first: BoxPrompt, second: BoxPrompt) -> bool:
    return first.label == second.label and box_iou(first.box, second.box) > SAME_BOX_IOU


def _clean(call: Call, target: Target, limits: CallLimits) -> Call | None:
    """Fit a call to the image and the model; None if nothing is left to ask."""
    capabilities = limits.capabilities
    boxes = _clean_boxes(call.boxes, limits)
    positive = any(box.label == "positive" for box in boxes)
    concept = _sayable(call.concept, target, limits, boxed=positive)
    if concept and positive and "text+box" not in capabilities.prompts:
        boxes = ()
    if not concept and not (positive and "box" in capabilities.prompts):
        return None
    return call.model_copy(update={"concept": concept, "boxes": boxes})


def _sayable(text: str | None, target: Target, limits: CallLimits, *, boxed: bool) -> str | None:
    """Return the concept to put to the model.

    A box is too good to be lost on a word that the model does not list: the target's first listed
    phrase takes its place, or none.
    """
    concept = to_concept(text) if text else None
    if concept is None or knows(limits.capabilities, concept):
        return concept
    if boxed:
        return next(iter(listed_phrases(target, limits.capabilities)), None)
    return None if concept in limits.unknown else concept


def _clean_boxes(boxes: Sequence[BoxPrompt], limits: CallLimits) -> tuple[BoxPrompt, ...]:
    return tuple(
        prompt
        for prompt in boxes[:MAX_BOXES]
        if min(prompt.box.x1 - prompt.box.x0, prompt.box.y1 - prompt.box.y0) >= MIN_BOX_PX
        and (prompt.label == "positive" or limits.capabilities.negative_boxes)
    )


def in_turns(items: Iterable[Item], target_of: Callable[[Item], str]) -> list[Item]:
    """Order items so that every target has its first one before any has its second."""
    seen: Counter[str] = Counter()
    turns: list[tuple[int, Item]] = []
    for item in items:
        target = target_of(item)
        turns.append((seen[target], item))
        seen[target] += 1
    return [item for _, item in sorted(turns, key=lambda entry: entry[0])]


def unknown_concepts(calls: Sequence[Call], known: Sequence[bool]) -> frozenset[str]:
    """Return the concepts of a round that the model cannot look for."""
    return frozenset(
        call.concept
        for call, is_known in zip(calls, known, strict=True)
        if call.concept is not None and not is_known
    )


def limits_after(limits: CallLimits, rounds: Iterable[Round]) -> CallLimits:
    """Return the limits with everything the rounds tried and learned."""
    for past in rounds:
        limits = limits._replace(
            tried=(*limits.tried, *past.calls),
            unknown=limits.unknown | unknown_concepts(past.calls, past.known),
        )
    return limits

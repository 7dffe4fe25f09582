"""Which calls may be put to the tool, which come next, and when a run stops. Pure."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from agent.lexicon import to_concept
from agent.state import (
    MAX_CALLS_PER_ROUND,
    Call,
    Candidate,
    Issue,
    Round,
    Target,
)
from segmenter.contract import MAX_BOXES, Box, BoxPrompt, Capabilities, ImageRef
from segmenter.geometry import box_iou, clip_box, grow_box

# Boxes that overlap more ask the same question.
SAME_BOX_IOU = 0.9
# Sets that overlap more are the same answer.
SAME_MASK_IOU = 0.98
# Second chance for a faint structure: 0.5 -> 0.3 (agent-loop.md, "refine"), for a model with another
# threshold in proportion.
LOWERED_SHARE = 0.6
# A judged mask that is too small gets a larger box, one that leaks a smaller one.
WIDER, TIGHTER = 1.5, 0.8
# Two failed judgements in a row, and the rules finish the run.
MAX_FAILURES = 2
# A box below it holds nothing that a model could see.
MIN_BOX_PX = 4.0


class Limits(NamedTuple):
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


def phrases(target: Target, capabilities: Capabilities) -> tuple[str, ...]:
    """Return the phrases worth a call: those the model lists, else the first two all the same.

    A model may take spellings that it does not list, so an unlisted ladder is tried before it is
    said that the model cannot look for the thing.
    """
    listed = tuple(phrase for phrase in target.ladder if knows(capabilities, phrase))
    return listed or target.ladder[:2]


def lowered_threshold(capabilities: Capabilities) -> float:
    """Return the threshold of the second chance."""
    return round(LOWERED_SHARE * capabilities.threshold, 3)


def admit(calls: Iterable[Call], targets: Sequence[Target], limits: Limits) -> tuple[Call, ...]:
    """Return the calls that may be made: clean, new, for a known target, at most four."""
    by_id = {target.id: target for target in targets}
    admitted: list[Call] = []
    for call in calls:
        target = by_id.get(call.target)
        clean = _clean(call, target, limits) if target else None
        if clean is None or is_tried(clean, (*limits.tried, *admitted)):
            continue
        admitted.append(clean)
    return tuple(_in_turns(admitted)[:MAX_CALLS_PER_ROUND])


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
        and all(_same_box(one, two) for one, two in zip(first.boxes, second.boxes, strict=True))
    )


def _same_box(first: BoxPrompt, second: BoxPrompt) -> bool:
    return first.label == second.label and box_iou(first.box, second.box) > SAME_BOX_IOU


def _clean(call: Call, target: Target, limits: Limits) -> Call | None:
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


def _sayable(text: str | None, target: Target, limits: Limits, *, boxed: bool) -> str | None:
    """Return the concept to put to the model.

    A box is too good to be lost on a word that the model does not list: the target's first listed
    phrase takes its place, or none.
    """
    concept = to_concept(text) if text else None
    if concept is None or knows(limits.capabilities, concept):
        return concept
    if boxed:
        return next((one for one in target.ladder if knows(limits.capabilities, one)), None)
    return None if concept in limits.unknown else concept


def _clean_boxes(boxes: Sequence[BoxPrompt], limits: Limits) -> tuple[BoxPrompt, ...]:
    kept = []
    for prompt in boxes[:MAX_BOXES]:
        box = clip_box(prompt.box, width=limits.image.width, height=limits.image.height)
        if box is None or min(box.x1 - box.x0, box.y1 - box.y0) < MIN_BOX_PX:
            continue
        if prompt.label == "positive" or limits.capabilities.negative_boxes:
            kept.append(BoxPrompt(box=box, label=prompt.label))
    return tuple(kept)


def _in_turns(calls: Sequence[Call]) -> list[Call]:
    """Give every target its first call before any gets a second."""
    seen: dict[str, int] = {}
    turns: list[tuple[int, int, Call]] = []
    for place, call in enumerate(calls):
        turn = seen.get(call.target, 0)
        seen[call.target] = turn + 1
        turns.append((turn, place, call))
    return [call for _, _, call in sorted(turns, key=lambda entry: entry[:2])]


def first_calls(
    targets: Sequence[Target], proposed: Sequence[Call], box: Box | None, limits: Limits
) -> tuple[Call, ...]:
    """Return the first round: the caller's box, the planner's calls, then what code adds.

    Code adds the ladder's first phrase, the planner's boxes also without text's help and the text
    also without the box, and a synonym if the model knows more than one phrase.
    """
    wanted: list[Call] = []
    for target in targets:
        own = [call for call in proposed if call.target == target.id]
        wanted += _with_box(target, box, limits.capabilities) if box else []
        wanted += own
        wanted += [call.model_copy(update={"boxes": ()}) for call in own if call.concept]
        wanted += _phrase_calls(target, limits.capabilities, 2)
    return admit(wanted, targets, limits)


def _with_box(target: Target, box: Box, capabilities: Capabilities) -> list[Call]:
    """Ask for what is in a box: with the phrase if the model knows it, else by the box alone."""
    boxes = (BoxPrompt(box=box),)
    listed = [phrase for phrase in target.ladder if knows(capabilities, phrase)]
    concept = listed[0] if listed else None
    return [Call(target=target.id, concept=concept, boxes=boxes)]


def _phrase_calls(target: Target, capabilities: Capabilities, limit: int) -> list[Call]:
    return [
        Call(target=target.id, concept=phrase) for phrase in phrases(target, capabilities)[:limit]
    ]


def widening_calls(target: Target, limits: Limits) -> tuple[Call, ...]:
    """Return what to try when nothing was found: untried phrases, then the lowered threshold."""
    texts = _phrase_calls(target, limits.capabilities, len(target.ladder))
    untried = admit(texts, [target], limits)
    if untried:
        return untried
    lowered = lowered_threshold(limits.capabilities)
    faint = [call.model_copy(update={"threshold": lowered}) for call in texts[:2]]
    return admit(faint, [target], limits)


def is_searched(target: Target, limits: Limits) -> bool:
    """Tell whether the whole ladder and the lowered threshold were tried."""
    return not widening_calls(target, limits)


class Flaw(NamedTuple):
    """What the inspector found wrong with a candidate of a target.

    Attributes:
        box: where the planner or the caller says that the target is, or None.
    """

    issue: Issue
    candidate: Candidate
    box: Box | None


def repair_calls(target: Target, flaw: Flaw, limits: Limits) -> tuple[Call, ...]:
    """Translate an issue into the next calls (the table of agent-loop.md)."""
    wanted: list[Call] = []
    found = flaw.candidate.mask.box
    concept = flaw.candidate.concept
    if flaw.issue in (Issue.TOO_SMALL, Issue.MISSING_PARTS):
        wanted += _phrase_calls(target, limits.capabilities, len(target.ladder))
        wanted.append(_boxed(target, concept, flaw.box or grow_box(found, WIDER)))
    elif flaw.issue in (Issue.TOO_LARGE, Issue.LEAK):
        wanted.append(_boxed(target, concept, flaw.box or grow_box(found, TIGHTER)))
    elif flaw.issue in (Issue.WRONG_STRUCTURE, Issue.WRONG_SIDE, Issue.NOT_PRESENT):
        avoid = (BoxPrompt(box=found, label="negative"),)
        texts = _phrase_calls(target, limits.capabilities, len(target.ladder))
        if flaw.box is not None:
            wanted += [_boxed(target, call.concept, flaw.box, avoid) for call in texts]
        wanted += texts
        if limits.capabilities.negative_boxes:
            wanted += [call.model_copy(update={"boxes": avoid}) for call in texts[:1]]
    return admit(wanted, [target], limits)[:2]


def _boxed(
    target: Target, concept: str | None, box: Box, avoid: tuple[BoxPrompt, ...] = ()
) -> Call:
    return Call(target=target.id, concept=concept, boxes=(BoxPrompt(box=box), *avoid))


class Progress(NamedTuple):
    """What the decision to go on needs.

    Attributes:
        rounds: how many are done.
        settled: every target is accepted and complete.
        unchanged: the last round gave what the one before had given.
        proposed: what the inspector wants.
        seconds_left: of the run's time.
    """

    rounds: int
    max_rounds: int
    settled: bool
    unchanged: bool
    proposed: Literal["stop", "segment", "absent"]
    seconds_left: float


def next_step(progress: Progress) -> Literal["refine", "finish"]:
    """Go on unless the run is settled, told to stop, treading water or out of rounds or time.

    "absent" goes on too: it is never the planner's word alone, so the ladder is tried first.
    """
    over = progress.rounds >= progress.max_rounds or progress.seconds_left <= 0.0
    if over or progress.settled or progress.unchanged or progress.proposed == "stop":
        return "finish"
    return "refine"


def unknown_concepts(calls: Sequence[Call], known: Sequence[bool]) -> frozenset[str]:
    """Return the concepts of a round that the model cannot look for."""
    return frozenset(
        call.concept
        for call, is_known in zip(calls, known, strict=True)
        if call.concept is not None and not is_known
    )


def limits_after(limits: Limits, rounds: Iterable[Round]) -> Limits:
    """Return the limits with everything the rounds tried and learned."""
    for one in rounds:
        limits = limits._replace(
            tried=(*limits.tried, *one.calls),
            unknown=limits.unknown | unknown_concepts(one.calls, one.known),
        )
    return limits

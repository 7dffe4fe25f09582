"""Which calls may be put to the tool, which come next, and when a run stops. Pure."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from agent.policy.calls import CallLimits, admit, listed_phrases
from agent.schemas.plan import Call, Target
from agent.schemas.rounds import Candidate, Issue
from segmenter.contract import Box, BoxPrompt, Capabilities, ImageRef
from segmenter.masks.geometry import clip_box, grow_box

# Sets that overlap more are the same answer.
SAME_MASK_IOU = 0.98
# Second chance for a faint structure: 0.5 -> 0.3 (agent-loop.md, "refine"), and in proportion for
# a model with another threshold.
LOWERED_SHARE = 0.6
# A judged mask that is too small gets a larger box, one that leaks a smaller one.
WIDER, TIGHTER = 1.5, 0.8
# Two failed judgements in a row, and the rules finish the run.
MAX_FAILURES = 2


def phrases(target: Target, capabilities: Capabilities) -> tuple[str, ...]:
    """Return the phrases worth a call: those the model lists, else the first two all the same.

    A model may take spellings that it does not list, so an unlisted phrase is tried before it is
    said that the model cannot look for the thing.
    """
    return listed_phrases(target, capabilities) or target.phrases[:2]


def lowered_threshold(capabilities: Capabilities, concept: str | None) -> float:
    """Return the threshold of the second chance."""
    return round(LOWERED_SHARE * capabilities.threshold_of(concept), 3)


def first_calls(
    targets: Sequence[Target], proposed: Sequence[Call], box: Box | None, limits: CallLimits
) -> tuple[Call, ...]:
    """Return the first round: the caller's box, the planner's calls, then what code adds.

    Code adds the target's first phrase, the planner's boxes also without text's help and the text
    also without the box, and a synonym if the model knows more than one phrase.
    """
    wanted: list[Call] = []
    for target in targets:
        own = [call for call in proposed if call.target == target.id]
        if box is not None:
            # With the phrase if the model knows it, else by the box alone.
            concept = next(iter(listed_phrases(target, limits.capabilities)), None)
            wanted.append(_boxed(target, concept, box))
        wanted += own
        wanted += [call.model_copy(update={"boxes": ()}) for call in own if call.concept]
        wanted += _phrase_calls(target, limits)[:2]
    return admit(wanted, targets, limits)


def _phrase_calls(target: Target, limits: CallLimits) -> list[Call]:
    asked = phrases(target, limits.capabilities)
    return [Call(target=target.id, concept=phrase) for phrase in asked]


def widening_calls(target: Target, limits: CallLimits) -> tuple[Call, ...]:
    """Return what to try when nothing was found: untried phrases, then the lowered threshold."""
    texts = _phrase_calls(target, limits)
    untried = admit(texts, [target], limits)
    if untried:
        return untried
    faint = [
        call.model_copy(update={"threshold": lowered_threshold(limits.capabilities, call.concept)})
        for call in texts[:2]
    ]
    return admit(faint, [target], limits)


def retry_calls(target: Target, limits: CallLimits) -> tuple[Call, ...]:
    """Return a second look: the phrases with a threshold below all that were tried."""
    calls = [
        call.model_copy(update={"threshold": _below_tried(call, limits)})
        for call in _phrase_calls(target, limits)[:2]
    ]
    return admit(calls, [target], limits)


def _below_tried(call: Call, limits: CallLimits) -> float:
    """Return the lowered threshold, or so much below the lowest that was tried."""
    tried = [
        past.threshold
        for past in limits.tried
        if past.target == call.target and past.concept == call.concept and past.threshold
    ]
    first = lowered_threshold(limits.capabilities, call.concept)
    return round(LOWERED_SHARE * min(tried), 3) if tried else first


def is_searched(target: Target, limits: CallLimits) -> bool:
    """Tell whether all phrases and the lowered threshold were tried."""
    return not widening_calls(target, limits)


class Flaw(NamedTuple):
    """What the inspector found wrong with a candidate of a target.

    Attributes:
        box: where the planner or the caller says that the target is, or None.
    """

    issue: Issue
    candidate: Candidate
    box: Box | None


def repair_calls(target: Target, flaw: Flaw, limits: CallLimits) -> tuple[Call, ...]:
    """Translate an issue into the next calls (the table of agent-loop.md)."""
    wanted: list[Call] = []
    found = flaw.candidate.mask.box
    concept = flaw.candidate.concept
    texts = _phrase_calls(target, limits)
    if flaw.issue in (Issue.TOO_SMALL, Issue.MISSING_PARTS):
        wanted += texts
        wanted.append(_boxed(target, concept, flaw.box or _grown(found, limits.image)))
    elif flaw.issue in (Issue.TOO_LARGE, Issue.LEAK):
        wanted.append(_boxed(target, concept, flaw.box or grow_box(found, TIGHTER)))
    elif flaw.issue in (Issue.WRONG_STRUCTURE, Issue.WRONG_SIDE, Issue.NOT_PRESENT):
        avoid = (BoxPrompt(box=found, label="negative"),)
        if flaw.box is not None:
            wanted += [_boxed(target, call.concept, flaw.box, avoid) for call in texts]
        wanted += texts
        if limits.capabilities.negative_boxes:
            wanted += [call.model_copy(update={"boxes": avoid}) for call in texts[:1]]
    return admit(wanted, [target], limits)[:2]


def _grown(found: Box, image: ImageRef) -> Box:
    """Return a larger box around a mask's, cut to the image."""
    grown = clip_box(grow_box(found, WIDER), width=image.width, height=image.height)
    return grown or found


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
        spent: the budget of tokens is used up.
    """

    rounds: int
    max_rounds: int
    settled: bool
    unchanged: bool
    proposed: Literal["stop", "segment", "absent"]
    seconds_left: float
    spent: bool = False


def next_step(progress: Progress) -> Literal["refine", "finish"]:
    """Go on unless the run is settled, told to stop, not getting on or out of its budget.

    "absent" goes on too: it is never the planner's word alone, so the phrases are tried first.
    """
    over = progress.rounds >= progress.max_rounds or progress.seconds_left <= 0.0 or progress.spent
    if over or progress.settled or progress.unchanged or progress.proposed == "stop":
        return "finish"
    return "refine"

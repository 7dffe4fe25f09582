"""Calls to the tool and back: one request a round, candidates out of its masks."""

from collections.abc import Sequence

from agent.loop.context import RunContext
from agent.loop.state import RoundResult
from agent.masks.selection import cut_pieces, needs_pieces, to_mask
from agent.schemas.plan import Call, Target
from agent.schemas.rounds import Candidate, Failure
from segmenter.contract import (
    Capabilities,
    ImageRef,
    Mask,
    Prompt,
    PromptResult,
    SegmentRequest,
    SegmentResult,
)
from segmenter.errors import (
    DeadlineExceeded,
    InvalidPrompt,
    JobCancelled,
    NoWorker,
    QueueFull,
    SegmenterError,
    TransportDown,
)

_WORDS: tuple[tuple[type[SegmenterError], str], ...] = (
    (NoWorker, "No segmentation worker is running, so nothing was looked for."),
    (QueueFull, "The segmentation queue is full; try again in a moment."),
    (TransportDown, "The segmentation queue cannot be reached."),
    (DeadlineExceeded, "The segmentation took longer than allowed."),
    (JobCancelled, "The segmentation was cancelled."),
    (InvalidPrompt, "The segmentation model refused the prompt."),
)
_OTHER_WORDS = "The segmentation model failed on this image."
MAX_REASON_CHARS = 300


def to_failure(error: SegmenterError) -> Failure:
    """Say in plain words, without internals, what failed."""
    words = next((words for kind, words in _WORDS if isinstance(error, kind)), _OTHER_WORDS)
    return Failure(kind=type(error).__name__, message=words)


def to_request(
    calls: Sequence[Call], image: ImageRef, capabilities: Capabilities
) -> SegmentRequest:
    """Put all calls of a round into one request, at the lowest threshold that any asks for."""
    lowered = [call.threshold for call in calls if call.threshold is not None]
    usual = (capabilities.threshold, *capabilities.thresholds.values())
    return SegmentRequest(
        image=image,
        prompts=tuple(Prompt(text=call.concept, boxes=call.boxes) for call in calls),
        threshold=min(*lowered, *usual) if lowered else None,
    )


def take_in(
    calls: Sequence[Call],
    result: SegmentResult,
    context: RunContext,
    *,
    number: int,
    targets: Sequence[Target],
) -> RoundResult:
    """Keep every mask of a round as a candidate, under the model's own name of what it shows."""
    by_id = {target.id: target for target in targets}
    ids: list[str] = []
    reasons: list[str] = []
    for place, (call, answer) in enumerate(zip(calls, result.results, strict=True)):
        masks = _above_threshold(call, answer, context.tool_capabilities())
        for mask in masks:
            named = call.model_copy(update={"concept": answer.concept or call.concept})
            ids += _keep(mask, named, place, number, by_id[call.target], context)
        reasons.append("" if masks else (answer.reason or "nothing found")[:MAX_REASON_CHARS])
    return RoundResult(
        number=number,
        calls=tuple(calls),
        candidates=tuple(ids),
        reasons=tuple(reasons),
        presence=tuple(answer.presence for answer in result.results),
        known=tuple(answer.known for answer in result.results),
    )


def best_concepts(ids: Sequence[str], context: RunContext) -> dict[str, str]:
    """Return for the targets of a round the model's own name of its surest mask of each."""
    named = [one for name in ids if (one := context.candidates[name]).concept is not None]
    surest = sorted(named, key=lambda one: one.mask.joint)
    return {one.target: one.concept for one in surest if one.concept is not None}


def _above_threshold(call: Call, answer: PromptResult, capabilities: Capabilities) -> list[Mask]:
    """Drop what only came because another call of the request lowered the threshold."""
    usual = capabilities.threshold_of(answer.concept)
    limit = usual if call.threshold is None else call.threshold
    return [mask for mask in answer.masks if mask.joint >= limit]


def _keep(
    mask: Mask, call: Call, place: int, number: int, target: Target, context: RunContext
) -> list[str]:
    """Keep a mask, and its separate pieces where single ones are asked for."""
    whole = Candidate(
        id=context.new_id(),
        target=target.id,
        round=number,
        call=place,
        concept=call.concept,
        mask=mask,
    )
    context.add(whole)
    if not needs_pieces(target):
        return [whole.id]
    return [whole.id, *cut_up(whole, context, touching=target.touching)]


def cut_up(whole: Candidate, context: RunContext, *, touching: bool) -> list[str]:
    """Keep the separate pieces of a candidate as candidates of their own."""
    ids: list[str] = []
    for piece in cut_pieces(whole, context.mask(whole.id), touching=touching):
        part = whole.model_copy(
            update={
                "id": context.new_id(),
                "mask": to_mask(whole.mask, piece.mask),
                "derived_from": whole.id,
                "quality": None,
            }
        )
        context.add(part)
        ids.append(part.id)
    return ids

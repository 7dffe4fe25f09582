"""Puts one question to the service, word for word as POST /segment and POST /agent/segment do."""

import time
from collections.abc import Sequence
from typing import Literal, NamedTuple

from agent.schemas.rounds import Status
from agent.schemas.runs import ResultMask, RunRecord
from api.bootstrap.parts import AppServices
from api.operations import answer_prompts, check_request, stored_image
from api.schemas.answers import ConceptResult
from api.schemas.requests import AgentBody, SegmentBody
from benchmarks.evaluation.cases import to_row
from benchmarks.evaluation.records import Case, Mode
from segmenter.contract import MAX_MASKS, BinaryMask, Rle
from segmenter.training.ask import MOVED, prompt_for

BoxSides = tuple[float, float, float, float]
DirectStatus = Literal["found", "not_found", "unknown"]
Planner = Literal["auto", "rules", "gemini", "openai"]
# Beyond it the sides of a moved box could swap places.
MAX_JITTER = 0.5
PHRASE = "{phrase}"


class Manner(NamedTuple):
    """How all questions of an evaluation are asked.

    Attributes:
        request: words for the agent; ``{phrase}`` stands for the phrase.
        threshold: of the joint score, [0, 1]; None for the model's own. Not for the agent.
        box_jitter: a moved box's sides are off by up to this share of its size.
        timeout_s: deadline of a direct question; the agent has its own.
    """

    request: str
    planner: Planner
    threshold: float | None
    box_jitter: float
    timeout_s: float


class Reply(NamedTuple):
    """What the service answered.

    Attributes:
        masks: in no order.
        presence: [0, 1].
        score: highest joint score, [0, 1]; 0 without a mask.
        expected_dice: score before presence of the mask with the highest joint score, [0, 1].
        seconds: from bytes to masks. A second question about an image finds it encoded.
        rounds: of the agent; 0 for a direct question.
        error: of a failed run.
        fallbacks: steps the rules took over from the planner that was asked for.
    """

    status: Literal["found", "not_found", "uncertain", "unknown", "failed"]
    masks: tuple[Rle, ...]
    presence: float
    score: float
    expected_dice: float | None
    seconds: float
    rounds: int = 0
    error: str | None = None
    fallbacks: int = 0


def box_of(case: Case, target: BinaryMask, *, jitter: float) -> BoxSides:
    """Return the box around the largest piece of the target, half-open xyxy pixels.

    Args:
        case: its image's name decides how the box is moved.
        target: bool, shape (H, W), not empty.
        jitter: each side is off by up to this share of the box's size; 0 is tight.
    """
    row = to_row(case)
    tight = prompt_for(row, target, "T+I").boxes[0].box.as_tuple()
    if jitter == 0.0:
        return tight
    moved = prompt_for(row, target, "T+I moved").boxes[0].box.as_tuple()
    share = jitter / MOVED
    x0, y0, x1, y1 = (side + (far - side) * share for side, far in zip(tight, moved, strict=True))
    return x0, y0, x1, y1


def direct_body(case: Case, target: BinaryMask, mode: Mode, manner: Manner) -> SegmentBody:
    """Return the body of POST /segment.

    Raises:
        ValidationError: the phrase is none the service takes.
    """
    prompt: dict[str, object] = {} if mode == "box" else {"text": case.phrase}
    if mode != "T":
        jitter = manner.box_jitter if mode == "T+I moved" else 0.0
        prompt["boxes"] = [{"box": box_of(case, target, jitter=jitter)}]
    # Of an image with hundreds of nuclei every mask counts, so the service's own bound is used.
    fields = {"prompts": [prompt], "threshold": manner.threshold, "max_masks": MAX_MASKS}
    return SegmentBody.model_validate(fields, strict=False)


async def ask(
    parts: AppServices, content: bytes, case: Case, target: BinaryMask, mode: Mode, manner: Manner
) -> Reply:
    """Ask one question about an image.

    Raises:
        SegmenterError, AgentError, ApiError, ValidationError: the question failed.
    """
    if mode == "agent":
        return await _ask_agent(parts, content, case, manner)
    body = direct_body(case, target, mode, manner)
    started = time.monotonic()
    answer = await answer_prompts(parts, body, content, timeout_s=manner.timeout_s)
    return to_reply(answer.results[0], seconds=time.monotonic() - started)


async def _ask_agent(parts: AppServices, content: bytes, case: Case, manner: Manner) -> Reply:
    words = manner.request.replace(PHRASE, case.phrase)
    body = AgentBody(request=words, planner=manner.planner)
    started = time.monotonic()
    image = await stored_image(parts.images, content, None)
    check_request(body, image)
    run = await parts.agent.run(body.to_request(image))
    reply = to_agent_reply(run, seconds=time.monotonic() - started)
    # Nobody comes back to it; kept threads would fill the store of records.
    await parts.agent.erase_thread(run.thread_id)
    return reply


def to_reply(result: ConceptResult, *, seconds: float) -> Reply:
    """Read the result of one direct prompt."""
    status: DirectStatus = "found" if result.masks else "not_found"
    best = max(result.masks, key=lambda mask: mask.joint, default=None)
    return Reply(
        status=status if result.known else "unknown",
        masks=tuple(Rle(size=mask.rle.size, counts=mask.rle.counts) for mask in result.masks),
        presence=result.presence,
        score=best.joint if best else 0.0,
        expected_dice=best.score if best else None,
        seconds=seconds,
    )


def to_agent_reply(run: RunRecord, *, seconds: float) -> Reply:
    """Read a run; one that could not look for any concept is unknown, not uncertain."""
    masks = [mask for target in run.targets for mask in target.masks]
    best = max((found.candidate.mask for found in masks), key=lambda mask: mask.joint, default=None)
    return Reply(
        status="unknown" if _knows_nothing(run, masks) else run.status.value,
        masks=tuple(found.candidate.mask.rle for found in masks),
        presence=max((presence for done in run.rounds for presence in done.presence), default=0.0),
        score=best.joint if best else 0.0,
        expected_dice=best.score if best else None,
        seconds=seconds,
        rounds=len(run.rounds),
        error=f"{run.error_kind}: {run.error}" if run.status is Status.FAILED else None,
        fallbacks=len(run.provenance.planner.fallbacks),
    )


def _knows_nothing(run: RunRecord, masks: Sequence[ResultMask]) -> bool:
    asked = [known for done in run.rounds for known in done.known]
    return run.status is Status.UNCERTAIN and not masks and bool(asked) and not any(asked)

"""Writes what segmenter and agent found as answers: pure translation, no decisions but one.

The one: whether a person should look at a direct result (`needs_review`).
"""

from collections.abc import Iterator, Mapping

from agent.state import (
    Call,
    Candidate,
    Provenance,
    ResultMask,
    Round,
    RunRecord,
    TargetResult,
    ThreadRecord,
    Usage,
    Verdict,
)
from api import answers
from segmenter.contract import (
    ImageRef,
    Mask,
    ModelInfo,
    PromptResult,
    SegmentRequest,
    SegmentResult,
)

# Below it a mask is less likely right than wrong by the model's own word.
REVIEW_BELOW = 0.5
BOX_LABEL = "box"


def to_image(ref: ImageRef) -> answers.ImageOut:
    """Describe a stored image."""
    spacing = ref.spacing
    return answers.ImageOut(
        image_id=ref.id,
        width=ref.width,
        height=ref.height,
        format=ref.format,
        modality=ref.modality,
        spacing=None
        if spacing is None
        else answers.SpacingOut(
            row_mm=spacing.row_mm, column_mm=spacing.column_mm, source=spacing.source
        ),
        rendering=ref.rendering,
    )


def to_model(info: ModelInfo) -> answers.ModelOut:
    """Describe the weights."""
    return answers.ModelOut(
        kind=info.kind, weights_id=info.weights_id, weights_sha256=info.weights_sha256
    )


def to_segment_answer(
    request: SegmentRequest, result: SegmentResult, *, seconds: float, pngs: Mapping[str, str]
) -> answers.SegmentAnswer:
    """Describe a direct result; `pngs`: base64 by mask id, empty when none were asked for."""
    ids = iter(mask_ids(result))
    texts = [prompt.text for prompt in request.prompts]
    return answers.SegmentAnswer(
        image=to_image(result.image),
        results=tuple(
            _concept_result(index, text, found, result.image, ids, pngs)
            for index, (text, found) in enumerate(zip(texts, result.results, strict=True))
        ),
        needs_review=any(wants_review(found) for found in result.results),
        embedding_cached=result.embedding_cached,
        provenance=answers.ProvenanceOut(
            segmenter=to_model(result.model),
            planner=None,
            prompts_version=None,
            rounds=0,
            usage=_usage(Usage()),
            seconds=round(seconds, 3),
        ),
    )


def mask_ids(result: SegmentResult) -> list[str]:
    """Number the masks of all prompts through: ``m1``, ``m2`` ..."""
    count = sum(len(found.masks) for found in result.results)
    return [f"m{number}" for number in range(1, count + 1)]


def wants_review(found: PromptResult) -> bool:
    """Whether a person should look: nothing found, nothing to look for, or a doubtful mask."""
    doubtful = any(mask.joint < REVIEW_BELOW for mask in found.masks)
    return not found.known or not found.masks or doubtful


def area_mm2(mask: Mask, image: ImageRef) -> float | None:
    """Physical area of a mask, None unless the file states its pixel size."""
    if image.spacing is None:
        return None
    return mask.area_px * image.spacing.row_mm * image.spacing.column_mm


def to_run_answer(run: RunRecord) -> answers.RunAnswer:
    """Describe a run."""
    plan = run.plan
    return answers.RunAnswer(
        id=run.id,
        thread_id=run.thread_id,
        created_at=run.created_at,
        request=run.request,
        image=to_image(run.image),
        status=run.status.value,
        message=run.message,
        needs_review=run.needs_review,
        error=run.error,
        plan=None
        if plan is None
        else answers.PlanOut(decision=plan.decision, modality=plan.modality, note=plan.note),
        rounds=tuple(_round(item, run) for item in run.rounds),
        targets=tuple(_target(item, run.image, run.id) for item in run.targets),
        overlay_url=f"/agent/runs/{run.id}/overlay.png",
        provenance=_provenance(run.provenance),
    )


def to_thread_answer(thread: ThreadRecord) -> answers.ThreadAnswer:
    """Describe a thread; its masks' pictures are those of its last run."""
    last = thread.runs[-1] if thread.runs else None
    return answers.ThreadAnswer(
        id=thread.id,
        created_at=thread.created_at,
        image=to_image(thread.image),
        runs=thread.runs,
        requests=thread.requests,
        targets=tuple(_target(item, thread.image, last) for item in thread.targets),
    )


def _concept_result(
    index: int,
    text: str | None,
    found: PromptResult,
    image: ImageRef,
    ids: Iterator[str],
    pngs: Mapping[str, str],
) -> answers.ConceptResult:
    named = [(next(ids), mask) for mask in found.masks]
    return answers.ConceptResult(
        prompt=index,
        text=text,
        concept=found.concept,
        known=found.known,
        presence=found.presence,
        reason=found.reason,
        masks=tuple(
            _mask(
                mask,
                image,
                mask_id=mask_id,
                label=text or BOX_LABEL,
                concept=found.concept,
                area=area_mm2(mask, image),
                png=pngs.get(mask_id),
            )
            for mask_id, mask in named
        ),
    )


def _mask(
    mask: Mask,
    image: ImageRef,
    *,
    mask_id: str,
    label: str,
    concept: str | None,
    area: float | None,
    round_number: int | None = None,
    verdict: answers.VerdictOut | None = None,
    png_url: str | None = None,
    png: str | None = None,
) -> answers.MaskOut:
    return answers.MaskOut(
        id=mask_id,
        label=label,
        concept=concept,
        rle=answers.RleOut(size=mask.rle.size, counts=mask.rle.counts),
        box=mask.box.as_tuple(),
        score=mask.score,
        presence=mask.presence,
        joint=mask.joint,
        area_px=mask.area_px,
        area_mm2=area,
        spacing_source=image.spacing.source if image.spacing else None,
        round=round_number,
        verdict=verdict,
        png_url=png_url,
        png=png,
    )


def _target(result: TargetResult, image: ImageRef, run_id: str | None) -> answers.TargetOut:
    return answers.TargetOut(
        id=result.target.id,
        label=result.target.label,
        status=result.status.value,
        reason=result.reason,
        masks=tuple(_run_mask(item, image, run_id) for item in result.masks),
    )


def _run_mask(item: ResultMask, image: ImageRef, run_id: str | None) -> answers.MaskOut:
    candidate = item.candidate
    return _mask(
        candidate.mask,
        image,
        mask_id=candidate.id,
        label=item.label,
        concept=candidate.concept,
        area=item.area_mm2,
        round_number=candidate.round,
        verdict=item.verdict,
        png_url=None if run_id is None else _mask_url(run_id, candidate.id),
    )


def _mask_url(run_id: str, mask_id: str) -> str:
    return f"/agent/runs/{run_id}/masks/{mask_id}.png"


def _round(item: Round, run: RunRecord) -> answers.RoundOut:
    verdicts = {verdict.candidate: verdict for verdict in item.inspection.verdicts}
    by_id = {candidate.id: candidate for candidate in run.candidates}
    return answers.RoundOut(
        number=item.number,
        planner=item.planner,
        calls=tuple(
            _call(call, item.reasons[index] if index < len(item.reasons) else "")
            for index, call in enumerate(item.calls)
        ),
        masks=tuple(
            _judged(by_id[mask_id], verdicts.get(mask_id), run.id)
            for mask_id in item.candidates
            if mask_id in by_id
        ),
        next=item.inspection.next,
        picture_url=f"/agent/runs/{run.id}/rounds/{item.number}.png",
    )


def _call(call: Call, reason: str) -> answers.CallOut:
    return answers.CallOut(
        target=call.target,
        concept=call.concept,
        boxes=tuple(
            answers.PromptBoxOut(box=item.box.as_tuple(), label=item.label) for item in call.boxes
        ),
        threshold=call.threshold,
        reason=reason,
    )


def _judged(candidate: Candidate, verdict: Verdict | None, run_id: str) -> answers.JudgedOut:
    return answers.JudgedOut(
        id=candidate.id,
        target=candidate.target,
        concept=candidate.concept,
        box=candidate.mask.box.as_tuple(),
        joint=candidate.mask.joint,
        area_px=candidate.mask.area_px,
        verdict=verdict.verdict if verdict else None,
        issue=verdict.issue.value if verdict else None,
        by=verdict.by if verdict else None,
        png_url=_mask_url(run_id, candidate.id),
    )


def _provenance(provenance: Provenance) -> answers.ProvenanceOut:
    planner = provenance.planner
    return answers.ProvenanceOut(
        segmenter=to_model(provenance.segmenter) if provenance.segmenter else None,
        planner=answers.PlannerOut(
            kind=planner.kind, model=planner.model, fallbacks=planner.fallbacks
        ),
        prompts_version=provenance.prompts_version,
        rounds=provenance.rounds,
        usage=_usage(provenance.usage),
        seconds=round(provenance.seconds, 3),
    )


def _usage(usage: Usage) -> answers.UsageOut:
    return answers.UsageOut(
        calls=usage.calls, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens
    )

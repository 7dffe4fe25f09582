"""Writes what segmenter and agent found as answers: pure translation, no decisions but one.

The one: whether a person should look at a direct result (`needs_review`).
"""

from collections.abc import Iterator, Mapping

from agent.schemas.rounds import Usage
from api.schemas import answers
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
        kind=info.kind,
        weights_id=info.weights_id,
        weights_sha256=info.weights_sha256,
        adapter=info.adapter,
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
            usage=to_usage(Usage()),
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
            to_mask(
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


def to_mask(
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
    """Describe a mask; `area` is in square millimetres."""
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


def to_usage(usage: Usage) -> answers.UsageOut:
    """Describe what the MLLM cost."""
    return answers.UsageOut(
        calls=usage.calls, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens
    )

"""Writes what segmenter and agent found as answers: pure translation, no decisions but one.

The one: whether a person should look at a direct result (`needs_review`).
"""

from collections.abc import Iterator, Mapping

from agent.schemas.rounds import Usage
from api.schemas import answers
from segmenter.contract import (
    ImageRef,
    Mask,
    Measures,
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
    return answers.ImageOut.of(ref, image_id=ref.id)


def direct_provenance(model: ModelInfo, seconds: float) -> answers.ProvenanceOut:
    """Say where a result comes from that nobody planned."""
    return answers.ProvenanceOut(
        segmenter=model,
        planner=None,
        prompts_version=None,
        rounds=0,
        usage=Usage(),
        seconds=round(seconds, 3),
    )


def to_segment_answer(
    request: SegmentRequest,
    result: SegmentResult,
    *,
    seconds: float,
    pngs: Mapping[str, str],
    measures: Mapping[str, Measures],
) -> answers.SegmentAnswer:
    """Describe a direct result.

    Args:
        request: what was asked.
        result: what the model found.
        seconds: that it took.
        pngs: base64 by mask id, empty when none were asked for.
        measures: by mask id, as far as masks were measured.
    """
    ids = iter(masks_by_id(result))
    texts = [prompt.text for prompt in request.prompts]
    return answers.SegmentAnswer(
        image=to_image(result.image),
        results=tuple(
            _concept_result(index, text, found, result.image, ids, pngs, measures)
            for index, (text, found) in enumerate(zip(texts, result.results, strict=True))
        ),
        needs_review=any(wants_review(found) for found in result.results),
        embedding_cached=result.embedding_cached,
        provenance=direct_provenance(result.model, seconds),
    )


def masks_by_id(result: SegmentResult) -> dict[str, Mask]:
    """Number the masks of all prompts through: ``m1``, ``m2`` ..."""
    masks = (mask for found in result.results for mask in found.masks)
    return {f"m{number}": mask for number, mask in enumerate(masks, start=1)}


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
    measures: Mapping[str, Measures],
) -> answers.ConceptResult:
    return answers.ConceptResult.of(
        found,
        prompt=index,
        text=text,
        masks=tuple(
            to_mask(
                mask,
                image,
                id=mask_id,
                label=text or BOX_LABEL,
                concept=found.concept,
                area_mm2=area_mm2(mask, image),
                png=pngs.get(mask_id),
                measures=measures.get(mask_id),
            )
            # Masks come first: after the last one no id is taken.
            for mask, mask_id in zip(found.masks, ids, strict=False)
        ),
    )


def to_mask(mask: Mask, image: ImageRef, **own: object) -> answers.MaskOut:
    """Describe a mask; `own` are those of an answer's fields that the mask does not have."""
    direct = {"round": None, "verdict": None, "png_url": None, "png": None}
    source = image.spacing.source if image.spacing else None
    return answers.MaskOut.of(mask, spacing_source=source, **(direct | own))

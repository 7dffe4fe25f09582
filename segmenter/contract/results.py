"""What a model answers, and what it can do."""

from typing import Annotated

from pydantic import Field

from segmenter.contract.images import Box, Fraction, Frozen, ImageRef
from segmenter.contract.prompts import Postprocess, Rle


class Mask(Frozen):
    """One mask as it travels; never empty.

    Attributes:
        rle: run lengths at the size of the original image.
        box: tight box around the mask.
        score: the model's raw score of this mask, [0, 1].
        presence: the model's belief that the concept is in the image, [0, 1].
        joint: what masks are ranked by; score x presence.
        area_px: number of pixels.
        stability: IoU of the masks at probability 0.35 and 0.65, [0, 1]; 1 is a crisp edge.
    """

    rle: Rle
    box: Box
    score: Fraction
    presence: Fraction
    joint: Fraction
    area_px: Annotated[int, Field(ge=1)]
    stability: Fraction


class PromptResult(Frozen):
    """What one prompt gave. No masks means "looked and found none".

    Attributes:
        concept: the model's own name of what it looked for, or None for a box alone.
        presence: as in `Mask`; 0 for a concept the model does not know.
        known: False if the model cannot look for this concept at all.
        reason: plain words why there is no mask, or None.
    """

    masks: tuple[Mask, ...]
    concept: str | None
    presence: Fraction
    known: bool = True
    reason: str | None = None


class ModelInfo(Frozen):
    """Which weights answered.

    Attributes:
        adapter: in use, of those the model has; None for a model without.
    """

    kind: str
    weights_id: str
    weights_sha256: str
    adapter: str | None = None


class SegmentResult(Frozen):
    """Results in the order of the prompts, and what they cost.

    Attributes:
        embedding_cached: the image's embedding was there already.
        encode_s: seconds spent on the embedding (0 if cached).
        predict_s: seconds spent on the prompts.
    """

    image: ImageRef
    results: tuple[PromptResult, ...]
    model: ModelInfo
    embedding_cached: bool
    encode_s: float
    predict_s: float


class Capabilities(Frozen):
    """What a model can be asked for.

    Attributes:
        concepts: the phrases it knows; None for an open vocabulary.
        prompts: of ``text``, ``box``, ``text+box``, ``point``, ``mask``.
        threshold: default joint-score threshold.
        thresholds: by concept, where it is another one.
        adapters: that a request may name, the model's own first; empty for a model without.
        postprocess: that a request may name, the model's own first.
        pictures: by concept, the kind of picture it was trained on ("chest X-ray"); a concept that
            is not listed may be looked for on any.
        unproven: concepts that are drawn on pictures without them too, so that a find does not
            say that they are there.
    """

    model: ModelInfo
    concepts: tuple[str, ...] | None
    prompts: tuple[str, ...]
    negative_boxes: bool
    threshold: Fraction
    thresholds: dict[str, Fraction] = Field(default_factory=dict)
    adapters: tuple[str, ...] = ()
    postprocess: tuple[Postprocess, ...] = ("sam3",)
    pictures: dict[str, str] = Field(default_factory=dict)
    unproven: tuple[str, ...] = ()

    def threshold_of(self, concept: str | None) -> float:
        """Return the joint-score threshold of a concept; None is a box alone."""
        return self.threshold if concept is None else self.thresholds.get(concept, self.threshold)

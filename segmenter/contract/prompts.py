"""What a model is asked."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from segmenter.contract.images import Box, Fraction, Frozen, ImageRef

# SAM 3's phrases are short; 100 characters hold any three-word concept and bound what travels.
MAX_TEXT_CHARS = 100
# As many prompts in one request as the widest neighbour accepts (reference/ecosystem.md, h4).
MAX_PROMPTS = 16
MAX_BOXES = 16
MAX_POINTS = 32
MAX_MASKS = 200
# A mask of 40 million pixels with an edge of 100,000 takes some 400,000 letters.
MAX_RLE_CHARS = 1_000_000
Label = Literal["positive", "negative"]
# Every instance of a concept, or the one object that is pointed at.
Kind = Literal["concept", "object"]
Postprocess = Literal["sam3", "medsam3"]


class BoxPrompt(Frozen):
    """A box as a prompt: an example of what is wanted, or (negative) of what is not."""

    box: Box
    label: Label = "positive"


class PointPrompt(Frozen):
    """A point on the object, or (negative) on what is not of it: pixels, as corners of boxes."""

    x: float
    y: float
    label: Label = "positive"


class Rle(Frozen):
    """COCO run lengths: ``size`` is (height, width), ``counts`` the compressed string."""

    size: tuple[int, int]
    counts: str


class Prompt(Frozen):
    """One prompt to the model.

    Attributes:
        text: concept, of which every instance is wanted.
        boxes: examples of it; of an object the one box around it.
        points: on the object and beside it.
        mask: the object as it was found before, at the size of the image.
        kind: ``concept`` takes text and boxes, ``object`` points, one box and a mask.
    """

    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)] | None = None
    boxes: Annotated[tuple[BoxPrompt, ...], Field(max_length=MAX_BOXES)] = ()
    points: Annotated[tuple[PointPrompt, ...], Field(max_length=MAX_POINTS)] = ()
    mask: Rle | None = None
    kind: Kind = "concept"

    @model_validator(mode="after")
    def _asks_for_something(self) -> "Prompt":
        fault = _object_fault(self) if self.kind == "object" else _concept_fault(self)
        if fault is not None:
            raise ValueError(fault)
        return self


def _concept_fault(prompt: Prompt) -> str | None:
    if prompt.points or prompt.mask is not None:
        return "points and a mask show one object: the kind of the prompt must be object"
    positive = any(box.label == "positive" for box in prompt.boxes)
    if (prompt.text is None or not prompt.text.strip()) and not positive:
        return "a prompt needs a text or at least one positive box"
    return None


def _object_fault(prompt: Prompt) -> str | None:
    if prompt.text is not None:
        return "a prompt for one object takes no text"
    if len(prompt.boxes) > 1 or any(box.label == "negative" for box in prompt.boxes):
        return "a prompt for one object takes one positive box at most"
    if prompt.mask is not None and len(prompt.mask.counts) > MAX_RLE_CHARS:
        return f"the counts of a mask are {MAX_RLE_CHARS} letters at most"
    shown = prompt.boxes or prompt.mask or any(each.label == "positive" for each in prompt.points)
    return None if shown else "a prompt for one object needs a positive point, a box or a mask"


class SegmentRequest(Frozen):
    """All prompts of one request on one image; they run as one batch.

    Attributes:
        threshold: masks with a joint score below it are dropped; None means the model's own.
        nms_iou: of two masks of one prompt whose IoU is above it the lower one is dropped.
        max_masks: at most so many masks per prompt, best first.
        adapter: of `Capabilities.adapters`; None for the model's own.
        postprocess: which score the threshold is put to: ``sam3`` the joint one, ``medsam3`` the
            raw one, and of two masks whose boxes overlap by more than `nms_iou` the lower is
            dropped. None for the model's own.
    """

    image: ImageRef
    prompts: Annotated[tuple[Prompt, ...], Field(min_length=1, max_length=MAX_PROMPTS)]
    threshold: Fraction | None = None
    nms_iou: Fraction = 0.5
    max_masks: Annotated[int, Field(ge=1, le=MAX_MASKS)] = 20
    adapter: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")] | None = None
    postprocess: Postprocess | None = None

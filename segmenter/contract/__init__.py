"""The segmenter's contract: what callers say and what they get. No torch, no redis, no Pillow.

Pixel convention, written once: an image is uint8, shape (H, W, 3), RGB, upright. A box is xyxy
floats in pixels of that image, half-open, origin at the outer corner of the top-left pixel. A mask
is bool, shape (H, W), in memory and COCO run lengths on the wire.
"""

import math
from typing import Annotated, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

RgbImage = npt.NDArray[np.uint8]
BinaryMask = npt.NDArray[np.bool_]
Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]

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


class Frozen(BaseModel):
    """Immutable, closed model for everything that crosses a process or trust border."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Box(Frozen):
    """Half-open xyxy box in pixels of the original upright image."""

    x0: float
    y0: float
    x1: float
    y1: float

    @model_validator(mode="after")
    def _has_area(self) -> "Box":
        if not (self.x1 > self.x0 and self.y1 > self.y0):
            raise ValueError("a box needs x1 > x0 and y1 > y0")
        return self

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def as_tuple(self) -> tuple[float, float, float, float]:
        """Return (x0, y0, x1, y1)."""
        return (self.x0, self.y0, self.x1, self.y1)


class Spacing(Frozen):
    """Physical pixel size.

    Attributes:
        row_mm: distance between rows (down), millimetres.
        column_mm: distance between columns (right), millimetres.
        source: tag or field it was read from, for example ``PixelSpacing``.
    """

    row_mm: Annotated[float, Field(gt=0.0)]
    column_mm: Annotated[float, Field(gt=0.0)]
    source: str


class ImageRef(Frozen):
    """Handle of stored image bytes; content-addressed, so also the cache key.

    Attributes:
        sha256: lower-case hex digest of the stored bytes.
        width: pixels of the upright decoded image.
        height: pixels of the upright decoded image.
        format: short name of the format found in the content, for example ``png`` or ``dicom``.
        modality: what the file itself says (DICOM code such as ``US``), or None.
        spacing: physical pixel size if the file says so, or None.
        rendering: the named rule that turned stored values into uint8 (``identity``, ``window
            from tags``, ``full range``, ...).
        may_show_name: the pixels may show who the patient is: nothing in the file says otherwise.
        region: columns and rows (x0, y0, x1, y1) that hold the picture proper, without margins of
            text; None where the file does not say.
    """

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    format: str
    modality: str | None = None
    spacing: Spacing | None = None
    rendering: str = "identity"
    may_show_name: bool = False
    region: tuple[int, int, int, int] | None = None

    @property
    def id(self) -> str:
        """Public id: ``img_`` and the digest."""
        return f"img_{self.sha256}"


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
    """

    model: ModelInfo
    concepts: tuple[str, ...] | None
    prompts: tuple[str, ...]
    negative_boxes: bool
    threshold: Fraction
    thresholds: dict[str, Fraction] = Field(default_factory=dict)
    adapters: tuple[str, ...] = ()
    postprocess: tuple[Postprocess, ...] = ("sam3",)

    def threshold_of(self, concept: str | None) -> float:
        """Return the joint-score threshold of a concept; None is a box alone."""
        return self.threshold if concept is None else self.thresholds.get(concept, self.threshold)


class Segmenter(Protocol):
    """What callers use; `segmenter.client.QueuedSegmenter` implements it over a queue."""

    async def segment(self, request: SegmentRequest, *, timeout_s: float) -> SegmentResult:
        """Run all prompts of `request` on its image.

        Raises:
            ImageNotFound, InvalidPrompt, QueueFull, NoWorker, TransportDown, DeadlineExceeded,
            JobFailed: see `segmenter.errors`.
        """
        ...

    async def capabilities(self, *, timeout_s: float) -> Capabilities:
        """Return what the live worker's model can do; raises NoWorker when there is none."""
        ...


class ImageStore(Protocol):
    """Uploaded bytes, content-addressed, bounded, expiring."""

    async def put(self, content: bytes) -> ImageRef:
        """Decode (off the event loop), check, store and describe an upload.

        Raises:
            UnsupportedImage, BrokenImage, ImageTooLarge.
        """
        ...

    async def ref(self, image_id: str) -> ImageRef:
        """Return the reference of a stored image by its public id; refreshes its life.

        Raises:
            ImageNotFound.
        """
        ...

    async def pixels(self, ref: ImageRef) -> RgbImage:
        """Return the decoded image: uint8, shape (H, W, 3), RGB, upright.

        Raises:
            ImageNotFound.
        """
        ...

    async def delete(self, ref: ImageRef) -> None:
        """Forget the image; not an error when it is gone already."""
        ...


class RecordStore(Protocol):
    """Small expiring records (runs, threads, image descriptions) under string keys."""

    async def put(self, key: str, record: bytes, *, ttl_s: float) -> None:
        """Store or replace."""
        ...

    async def put_new(self, key: str, record: bytes, *, ttl_s: float) -> bool:
        """Store only if the key is free; the answer says whether it was."""
        ...

    async def get(self, key: str) -> bytes | None:
        """Return the record, or None when it is not there (never stored, expired, deleted)."""
        ...

    async def delete(self, key: str) -> None:
        """Forget the record; not an error when it is gone already."""
        ...


def is_finite_box(box: tuple[float, float, float, float]) -> bool:
    """Tell whether four numbers are finite and span a positive area."""
    x0, y0, x1, y1 = box
    return all(math.isfinite(side) for side in box) and x1 > x0 and y1 > y0

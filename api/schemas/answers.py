"""What clients get: plain closed models, snake_case, boxes as [x0, y0, x1, y1]."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from api.schemas.answer import Answer
from api.schemas.measure_answers import MeasuresOut
from segmenter.contract import Box, ModelInfo, Rle


def _sides(box: object) -> object:
    return box.as_tuple() if isinstance(box, Box) else box


BoxOut = Annotated[
    tuple[float, float, float, float],
    BeforeValidator(_sides),
    Field(
        description="x0, y0, x1, y1: half-open, pixels of the original upright image",
        examples=[[222.0, 151.0, 307.0, 212.0]],
    ),
]
StatusOut = Literal["found", "not_found", "uncertain", "failed"]
VerdictOut = Literal["accept", "partial", "reject"]


class SpacingOut(Answer):
    """Physical pixel size, as the file states it."""

    row_mm: float
    column_mm: float
    source: Annotated[str, Field(examples=["PixelSpacing"])]


class ImageOut(Answer):
    """A stored image; `rendering` names the rule that made 8-bit pixels of stored values."""

    image_id: str
    width: int
    height: int
    format: str
    modality: str | None
    spacing: SpacingOut | None
    rendering: str


class RleOut(Answer, Rle):
    """COCO run lengths: size is [height, width], counts the compressed string."""


class MaskOut(Answer):
    """One mask. `score` is raw, `joint` is score x presence: what masks are ranked by."""

    id: Annotated[str, Field(examples=["m1"])]
    label: str
    concept: str | None
    rle: RleOut
    box: BoxOut
    score: float
    presence: float
    joint: float
    area_px: int
    area_mm2: Annotated[float | None, Field(description="null unless the spacing is known")]
    spacing_source: str | None
    round: Annotated[int | None, Field(description="null for direct prompts")]
    verdict: Annotated[VerdictOut | None, Field(description="null where nobody inspected it")]
    measures: Annotated[
        MeasuresOut | None, Field(description="null where there was no memory to measure in")
    ] = None
    png_url: str | None
    png: Annotated[str | None, Field(description="base64, on request, direct prompts only")] = None


class ModelOut(Answer, ModelInfo):
    """Which weights answered."""

    adapter: Annotated[str | None, Field(description="null for a model without adapters")]


class PlannerOut(Answer):
    """Who planned and judged; `fallbacks`: each step the rules took over, and why."""

    kind: Literal["rules", "gemini", "openai"]
    model: str | None
    fallbacks: tuple[str, ...]


class UsageOut(Answer):
    """What the MLLM cost."""

    calls: int
    input_tokens: int
    output_tokens: int


class ProvenanceOut(Answer):
    """Where a result comes from; planner and prompts_version are null for direct prompts."""

    segmenter: ModelOut | None
    planner: PlannerOut | None
    prompts_version: str | None
    rounds: int
    usage: UsageOut
    seconds: float
    cost: Annotated[
        float | None, Field(description="of the usage; null unless the service knows prices")
    ] = None


class ConceptResult(Answer):
    """What one prompt gave. No masks means: looked and found none (or not known, see reason)."""

    prompt: Annotated[int, Field(description="index of the prompt, from 0")]
    text: str | None
    concept: str | None
    known: bool
    presence: float
    reason: str | None
    masks: tuple[MaskOut, ...]


class SegmentAnswer(Answer):
    """Results in the order of the prompts, never merged."""

    image: ImageOut
    results: tuple[ConceptResult, ...]
    needs_review: bool
    embedding_cached: bool
    provenance: ProvenanceOut


class LimitsOut(Answer):
    """Bounds of a request."""

    max_upload_bytes: int
    max_pixels: int
    max_side: int
    max_prompts: int
    max_boxes: int
    max_points: int
    max_masks: int
    max_text_chars: int
    max_request_chars: int
    max_targets: int
    max_edits: int
    max_rounds: int
    segment_timeout_s: float
    run_timeout_s: float
    image_ttl_s: float
    record_ttl_s: float


class MemoryOut(Answer):
    """What the answering process may take of memory, in bytes; the shares add up to the budget.

    Beside it a process takes some 400 MiB for the libraries and the bundled model. A picture that
    takes more than `working` is refused with 413, one that waited for its part in vain with 429. A
    share of 0 is of what is kept or done elsewhere.
    """

    budget: int
    working: int
    bodies: int
    model: int
    images: int
    volumes: int
    records: int
    volume_records: int
    pixels: int
    embeddings: int


class PlannersOut(Answer):
    """Who can plan here."""

    available: tuple[str, ...]
    default: str


class CapabilitiesAnswer(Answer):
    """What this service can do; concepts is null for an open vocabulary.

    ``thresholds`` holds the concepts whose threshold is not the common one.
    """

    version: str
    model: ModelOut
    concepts: tuple[str, ...] | None
    prompts: tuple[str, ...]
    negative_boxes: bool
    threshold: float
    thresholds: dict[str, float]
    adapters: tuple[str, ...]
    postprocess: tuple[str, ...]
    planners: PlannersOut
    egress: Literal["off", "deidentified"]
    image_formats: tuple[str, ...]
    mask_formats: tuple[str, ...]
    limits: LimitsOut
    memory: MemoryOut
    disclaimer: str


class LiveAnswer(Answer):
    """The process answers."""

    status: Literal["live"] = "live"


class ReadyAnswer(Answer):
    """Queue takes jobs, somebody lives to do them, a model is loaded.

    Attributes:
        workers: alive, with a model.
        agent_workers: alive, to carry agent runs out.
    """

    status: Literal["ready"] = "ready"
    workers: int
    agent_workers: int
    model: ModelOut

"""What clients get of runs and threads; the small parts are in `api.schemas.answers`."""

from datetime import datetime
from typing import Literal

from api.schemas.answer import Answer
from api.schemas.answers import (
    BoxOut,
    ImageOut,
    MaskOut,
    ProvenanceOut,
    StatusOut,
    VerdictOut,
)


class TargetOut(Answer):
    """One thing the request asked for, and how it ended."""

    id: str
    label: str
    status: StatusOut
    reason: str
    masks: tuple[MaskOut, ...]


class PlanOut(Answer):
    """What the planner made of the request."""

    decision: Literal["segment", "absent", "unclear"]
    modality: str
    note: str


class PromptBoxOut(Answer):
    """A box given to the model."""

    box: BoxOut
    label: Literal["positive", "negative"]


class CallOut(Answer):
    """One prompt to the model; `reason` says why it gave no mask."""

    target: str
    concept: str | None
    boxes: tuple[PromptBoxOut, ...]
    threshold: float | None
    reason: str


class JudgedOut(Answer):
    """A mask some call gave, returned or not, as it was judged in this round."""

    id: str
    target: str
    concept: str | None
    box: BoxOut
    joint: float
    area_px: int
    verdict: VerdictOut | None
    issue: str | None
    by: Literal["rules", "mllm", "client"] | None
    png_url: str


class RoundOut(Answer):
    """Segment and inspect, once."""

    number: int
    planner: str
    calls: tuple[CallOut, ...]
    masks: tuple[JudgedOut, ...]
    next: Literal["stop", "segment", "absent"]
    picture_url: str


class RunAnswer(Answer):
    """A run: its plan, rounds and targets."""

    id: str
    thread_id: str
    created_at: datetime
    request: str
    image: ImageOut
    status: StatusOut
    message: str
    answer: str
    not_understood: tuple[str, ...]
    needs_review: bool
    error: str | None
    plan: PlanOut | None
    rounds: tuple[RoundOut, ...]
    targets: tuple[TargetOut, ...]
    overlay_url: str
    provenance: ProvenanceOut


class ThreadAnswer(Answer):
    """A conversation about one image."""

    id: str
    created_at: datetime
    image: ImageOut
    runs: tuple[str, ...]
    requests: tuple[str, ...]
    targets: tuple[TargetOut, ...]


class RunningAnswer(Answer):
    """Where a run is seen and stopped: what it finds at `run_url`, its steps at `events_url`."""

    id: str
    thread_id: str
    status: Literal["running", "done", "failed", "cancelled"]
    run_url: str
    events_url: str
    cancel_url: str

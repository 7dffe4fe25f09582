"""What clients get about a volume or video: closed models, snake_case, frames counted from 0."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.answer import Answer
from api.schemas.answers import BoxOut, ProvenanceOut, RleOut, SpacingOut
from api.schemas.measure_answers import Line3dOut

VolumeState = Literal["queued", "running", "done", "failed", "cancelled"]


class SkippedOut(Answer):
    """A file among those sent that is no part of the sequence."""

    file: Annotated[int, Field(description="its number in the order sent or packed, from 1")]
    name: Annotated[str | None, Field(description="as its sender called it, without folders")]
    what: Annotated[str, Field(examples=["PDF document"])]


class FrameSourceOut(Answer):
    """Where a frame comes from; null is what its file does not tell."""

    file: Annotated[int, Field(description="number in the order sent or packed, from 1")]
    frame: Annotated[int | None, Field(description="number in a file of several, from 1")]
    instance_number: Annotated[int | None, Field(description="of the DICOM file")]
    position_mm: Annotated[
        tuple[float, float, float] | None,
        Field(description="centre of the first pixel in DICOM's patient space (LPS)"),
    ]
    time_ms: Annotated[
        float | None, Field(description="after the trigger, or the first frame of the series")
    ]


class SequenceOut(Answer):
    """What was uploaded, as it is shown; `rendering` names the rule that made 8-bit pixels."""

    frames: int
    height: int
    width: int
    format: Annotated[str, Field(examples=["nifti"])]
    modality: str | None
    rendering: str
    axis: Annotated[Literal["depth", "time"], Field(description="what frames go through")]
    spacing: SpacingOut | None
    slice_mm: Annotated[
        float | None, Field(description="between the planes of a volume's frames, along the normal")
    ]
    step_mm: Annotated[
        float | None,
        Field(description="from a pixel to that of the next frame: longer where sheared"),
    ]
    voxel_ml: Annotated[float | None, Field(description="volume of a voxel")]
    fps: Annotated[float | None, Field(description="frames a second of a video")]
    skipped: Annotated[
        tuple[SkippedOut, ...], Field(description="files that are no part of it, the first 100")
    ]
    skipped_files: Annotated[int, Field(description="number of all of them")]


class AskedOut(Answer):
    """What was asked; the frames from `first` to `last` are looked at, both included."""

    prompt: str | None
    box: BoxOut | None
    frame: int | None
    first: int
    last: int
    threshold: float | None


class ProgressOut(Answer):
    """How many of the frames are done."""

    frames_done: int
    frames_total: int


class VolumeObjectOut(Answer):
    """One object through depth or time; no mask is made up for a frame without one."""

    object_id: Annotated[int, Field(description="its value in the label map")]
    first: int
    last: int
    frames: Annotated[int, Field(description="number of frames it is on")]
    gaps: Annotated[tuple[int, ...], Field(description="frames between without a mask")]
    single: Annotated[bool, Field(description="on one frame only, though others were looked at")]
    voxels: int
    volume_ml: Annotated[float | None, Field(description="null unless all sizes are known")]
    lowest_joint: Annotated[float, Field(description="score of its most doubtful mask")]
    longest: Annotated[
        Line3dOut | None,
        Field(description="longest diameter; null unless all sizes are known; an estimate"),
    ] = None


class FailureOut(Answer):
    """Why there is no result."""

    type: Annotated[str, Field(examples=["urn:medsam3:problem:job-cancelled"])]
    title: str
    detail: str


class VolumeAnswer(Answer):
    """A job; what it found is null until it is done."""

    id: Annotated[str, Field(examples=["vol_" + "0" * 32])]
    status: VolumeState
    created_at: datetime
    sequence: SequenceOut
    asked: AskedOut
    progress: ProgressOut
    concept: Annotated[str | None, Field(description="the model's own name of what it looked for")]
    known: Annotated[bool | None, Field(description="false if the model cannot look for it")]
    reason: Annotated[str | None, Field(description="why there is no object")]
    objects: tuple[VolumeObjectOut, ...] | None
    needs_review: Annotated[bool | None, Field(description="a person should look at it")]
    events_url: str
    frames_url: str | None
    labels_url: str | None
    failure: FailureOut | None
    provenance: ProvenanceOut | None


class FrameObjectOut(Answer):
    """An object on one frame. `score` is raw, `joint` is score x presence."""

    object_id: int
    rle: RleOut
    box: BoxOut
    score: float
    presence: float
    joint: float
    area_px: int


class FrameOut(Answer):
    """One frame. No objects means: looked and found none."""

    frame: int
    source: Annotated[FrameSourceOut | None, Field(description="null if kept by an old version")]
    presence: float
    reason: str | None
    objects: tuple[FrameObjectOut, ...]


class FramesAnswer(Answer):
    """A page of frames; `next` is the frame that the next page starts with, or null."""

    frames: tuple[FrameOut, ...]
    next: int | None

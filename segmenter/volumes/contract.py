"""The contract of frame sequences: what a volume job is asked, how far it is, what it found.

A sequence is a volume (frames through depth) or a video (frames through time); its frames count
from 0 in the order in which they are shown. Masks are in pixels of a shown frame, as in
`segmenter.contract`. A job has a public id, ``vol_`` and 32 hex digits.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from segmenter.contract import (
    MAX_TEXT_CHARS,
    Box,
    Failure,
    Fraction,
    FrameBox,
    Frozen,
    Index,
    JobState,
    Line3d,
    ModelInfo,
    Rle,
    Spacing,
)
from segmenter.formats.frames import FrameOrigin
from segmenter.queue.messages import JobId
from segmenter.queue.records import JobRecord

Axis = Literal["depth", "time"]

# A long CT has about 1000 slices; more files than this are not one series.
MAX_FILES = 4096


# Nobody reads a longer list of what is not in a volume.
MAX_SKIPPED_TOLD = 100
# A number, or a UID: at most 64 digits and dots (PS3.5, 9.1).
SERIES_PATTERN = r"^[0-9.]{1,64}$"
SeriesChoice = Annotated[str, Field(pattern=SERIES_PATTERN)]


class GreyWindow(Frozen):
    """Grey window in the file's own units (Hounsfield for CT)."""

    center: float
    width: Annotated[float, Field(gt=0.0)]


class Upload(Frozen):
    """The files of a job, stored in pieces.

    Attributes:
        id: names the pieces; another one than the job's, because jobs may share an upload.
        sizes: bytes of each file.
        sha256: digest of all files in order.
    """

    id: JobId
    sizes: Annotated[tuple[int, ...], Field(min_length=1, max_length=MAX_FILES)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class VolumeRequest(Frozen):
    """One concept, one box, or both, on a sequence.

    Attributes:
        last: index of the last frame looked at; None for the last one there is.
        threshold: masks with a joint score below it are dropped; None means the model's own.
        window: grey window for the whole sequence.
        preset: a named window for CT, in place of `window`.
        series: which of several DICOM series: its number, from 1, or its SeriesInstanceUID.
        volume: which of several volumes (phases, times), from 1.
    """

    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)] | None = None
    box: FrameBox | None = None
    first: Index = 0
    last: Index | None = None
    threshold: Fraction | None = None
    window: GreyWindow | None = None
    preset: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)] | None = None
    series: SeriesChoice | None = None
    volume: Annotated[int, Field(ge=1, le=MAX_FILES)] | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> "VolumeRequest":
        if self.text is None and self.box is None:
            raise ValueError("a sequence needs a text or a box on one frame")
        if self.window is not None and self.preset is not None:
            raise ValueError("give window or preset, not both")
        return self


class Skipped(Frozen):
    """A file among those sent that is no part of the sequence.

    Attributes:
        file: its number in the order sent (or of the archive), from 1.
        name: as its sender called it, without folders; for the answer alone, never for a log.
        what: what it is.
    """

    file: Annotated[int, Field(ge=1)]
    name: str | None
    what: str


class VolumeShape(Frozen):
    """What was uploaded, as it is shown.

    Attributes:
        rendering: the named rule that turned stored values into uint8.
        spacing: size of a shown pixel, or None.
        slice_mm: distance between the planes of a volume's frames, or None.
        step_mm: distance between a pixel and the same one of the next frame, or None.
        voxel_ml: volume of a voxel in millilitres; None for a video and where a size is unknown.
        fps: frames a second of a video, or None.
        skipped: files that are no part of the sequence, the first `MAX_SKIPPED_TOLD` of them.
        skipped_files: number of all of them.
    """

    frames: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    format: str
    modality: str | None
    rendering: str
    axis: Axis
    spacing: Spacing | None
    slice_mm: float | None
    step_mm: float | None = None
    voxel_ml: float | None = None
    fps: float | None
    skipped: tuple[Skipped, ...] = ()
    skipped_files: int = 0


class VolumeRecord(JobRecord):
    """A job as it was taken on; never changes.

    Attributes:
        first: index of the first frame looked at.
        last: index of the last one.
    """

    kind: Literal["volume"] = "volume"
    upload: Upload
    request: VolumeRequest
    shape: VolumeShape
    first: Index
    last: Index

    @property
    def total(self) -> int:
        """Number of frames to look at."""
        return self.last - self.first + 1


class FrameObject(Frozen):
    """An object on one frame; scores as in `segmenter.contract.Mask`."""

    object_id: Annotated[int, Field(ge=1)]
    rle: Rle
    box: Box
    score: Fraction
    presence: Fraction
    joint: Fraction
    area_px: Annotated[int, Field(ge=1)]


class FrameResult(Frozen):
    """One frame; no objects means "looked and found none", and `reason` may say why.

    Attributes:
        source: where the frame comes from; None if it was kept by an earlier version.
    """

    index: Index
    source: FrameOrigin | None = None
    presence: Fraction
    reason: str | None
    objects: tuple[FrameObject, ...]


class VolumeObject(Frozen):
    """One object through depth or time.

    Attributes:
        first: index of the first frame it is on.
        last: index of the last one.
        frames: number of frames it is on.
        gaps: frames between on which nothing was found; no mask is made up for them.
        single: it is on one frame, and the frames beside were looked at and do not show it.
        voxels: pixels of all its masks.
        volume_ml: their volume where the sizes are known; gaps are not filled.
        lowest_joint: joint score of its most doubtful mask.
        longest: longest diameter through all its frames; None where the sizes are not known, in a
            sheared volume, and of a video.
    """

    object_id: Annotated[int, Field(ge=1)]
    first: Index
    last: Index
    frames: Annotated[int, Field(ge=1)]
    gaps: tuple[int, ...]
    single: bool
    voxels: Annotated[int, Field(ge=1)]
    volume_ml: float | None
    lowest_joint: Fraction
    longest: Line3d | None = None


class VolumeResult(Frozen):
    """What a finished job found.

    Attributes:
        concept: the model's own name of what it looked for, or None for a box alone.
        known: False if the model cannot look for it at all.
        reason: plain words why there is no object, or None.
        label_map_bytes: size of the label map.
        seconds: worked, over all workers and attempts that stored a frame.
    """

    concept: str | None
    known: bool
    reason: str | None
    objects: tuple[VolumeObject, ...]
    label_map_bytes: int
    model: ModelInfo
    seconds: float


class VolumeStatus(Frozen):
    """A job as its caller sees it; `result` belongs to ``done``, `failure` to the two bad ends."""

    record: VolumeRecord
    state: JobState
    done: int
    result: VolumeResult | None = None
    failure: Failure | None = None

"""Whether a request fits its sequence: the range of frames, and the box on one of them. Pure."""

from collections.abc import Mapping, Sequence

from segmenter.backends.sequence import FrameStep, SequencePrompt
from segmenter.errors import InvalidPrompt
from segmenter.formats.decoded import Window
from segmenter.formats.frames import Frames, ReadOptions
from segmenter.masks.geometry import clip_box
from segmenter.volumes.contract import (
    MAX_SKIPPED_TOLD,
    Skipped,
    VolumeRecord,
    VolumeRequest,
    VolumeShape,
)


def frame_range(request: VolumeRequest, shape: VolumeShape) -> tuple[int, int]:
    """Return the first and the last frame to look at.

    Raises:
        InvalidPrompt: not frames of this sequence, or the box is on none of them.
    """
    last = shape.frames - 1 if request.last is None else request.last
    if last >= shape.frames:
        message = f"the sequence has {shape.frames} frames, the last one is {shape.frames - 1}"
        raise InvalidPrompt(message, field="last")
    if request.first > last:
        raise InvalidPrompt(f"must be at most {last}, the last frame", field="first")
    if request.box is not None:
        _check_box(request, last, shape)
    return request.first, last


def _check_box(request: VolumeRequest, last: int, shape: VolumeShape) -> None:
    assert request.box is not None
    if not request.first <= request.box.frame <= last:
        message = f"the box must be on one of the frames {request.first} to {last}"
        raise InvalidPrompt(message, field="box.frame")
    if clip_box(request.box.box, width=shape.width, height=shape.height) is None:
        message = f"lies outside of frames of {shape.width} x {shape.height} pixels"
        raise InvalidPrompt(message, field="box.box")


def needed(steps: Sequence[FrameStep]) -> set[int]:
    """Return the frames looked at before `steps` beside which they go on."""
    ahead = {step.frame for step in steps}
    return {step.beside for step in steps if step.beside is not None} - ahead


def plan(record: VolumeRecord) -> tuple[FrameStep, ...]:
    """Order the frames of a job: from the frame of the box (else the first) up, then down."""
    box = record.request.box
    start = record.first if box is None else box.frame
    up = [FrameStep(index, index - 1) for index in range(start + 1, record.last + 1)]
    down = [FrameStep(index, index + 1) for index in range(start - 1, record.first - 1, -1)]
    return (FrameStep(start, None), *up, *down)


def prompt_of(request: VolumeRequest) -> SequencePrompt:
    """Take what a model needs to know from a request."""
    return SequencePrompt(request.text, request.box, request.threshold)


def shape_of(frames: Frames) -> VolumeShape:
    """Describe an opened sequence."""
    geometry = frames.geometry
    return VolumeShape(
        frames=frames.count,
        height=frames.height,
        width=frames.width,
        format=frames.format,
        modality=frames.modality,
        rendering=frames.rendering,
        axis=geometry.axis,
        spacing=geometry.spacing,
        slice_mm=geometry.slice_mm,
        step_mm=geometry.step_mm,
        voxel_ml=geometry.voxel_ml,
        fps=geometry.fps,
        skipped=tuple(
            Skipped(file=each.file, name=each.name, what=each.what)
            for each in frames.skipped[:MAX_SKIPPED_TOLD]
        ),
        skipped_files=len(frames.skipped),
    )


def named(shape: VolumeShape, called: Mapping[int, str]) -> VolumeShape:
    """Name skipped files whose names are not known from an archive."""
    skipped = tuple(
        each if each.name else each.model_copy(update={"name": called.get(each.file)})
        for each in shape.skipped
    )
    return shape.model_copy(update={"skipped": skipped})


def options_of(request: VolumeRequest) -> ReadOptions:
    """Return what a request chose about its files."""
    asked = request.window
    return ReadOptions(
        window=None if asked is None else Window(asked.center, asked.width),
        preset=request.preset,
        series=request.series,
        volume=request.volume,
    )

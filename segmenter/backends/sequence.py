"""One prompt through a sequence: in which order frames are looked at, and what each is asked.

The seam for models: `SequenceBackend`. A model that tracks by itself (SAM 3 video) brings its own;
`FrameByFrame` makes one of any `segmenter.backends.contract.Backend`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from segmenter.backends.contract import Backend, Embedding
from segmenter.backends.postprocess import select
from segmenter.contract import Box, BoxPrompt, Prompt, PromptResult, RgbImage
from segmenter.formats.decoded import Window
from segmenter.formats.frames import Frames
from segmenter.volumes.contract import (
    FrameBox,
    FrameMasks,
    VolumeRecord,
    VolumeRequest,
    VolumeShape,
)

# As for one image (`segmenter.contract.SegmentRequest`).
NMS_IOU = 0.5
MAX_FRAME_MASKS = 20
LOST = "not found on the frame beside it, so there is nothing to follow"


class SequenceFormats(Protocol):
    """Reads sequences and writes label maps; synchronous and slow."""

    def open(self, files: Sequence[bytes], *, window: Window | None, preset: str | None) -> Frames:
        """Open the one sequence that some files hold.

        Raises:
            UnsupportedImage, BrokenImage, ImageTooLarge, InvalidPrompt.
        """
        ...

    def write_label_map(self, labels: npt.NDArray[np.uint16], frames: Frames) -> bytes:
        """Write labels, uint16, shape (F, H, W) of shown frames, as ``.nii.gz`` of the source."""
        ...


class FrameStep(NamedTuple):
    """One frame to look at, and the frame beside it that was looked at before, if there is one."""

    frame: int
    beside: int | None


class SequencePrompt(NamedTuple):
    """What is wanted on every frame; with a box, the object in it alone is followed."""

    text: str | None
    box: FrameBox | None
    threshold: float | None


class SequenceBackend(Protocol):
    """A model that looks at frames one after the other; synchronous, one thread at a time."""

    def segment_sequence(
        self,
        frames: Frames,
        prompt: SequencePrompt,
        steps: Sequence[FrameStep],
        *,
        known: Mapping[int, PromptResult],
    ) -> Iterator[FrameMasks]:
        """Yield what is on the frame of each step, in their order.

        `steps` is the rest of a `plan`, because a job goes on where another worker left it; `known`
        is by index what was found before on the frames beside which they go on.

        Raises:
            InvalidPrompt: a prompt this model cannot take.
        """
        ...


@runtime_checkable
class TrackingBackend(Protocol):
    """A model that may track by itself."""

    def sequence(self) -> SequenceBackend | None:
        """Return how it looks at sequences; None if these weights cannot."""
        ...


def sequence_backend(backend: Backend[Embedding]) -> SequenceBackend:
    """Return a model's own way with sequences, else frame by frame."""
    own = backend.sequence() if isinstance(backend, TrackingBackend) else None
    return FrameByFrame(backend) if own is None else own


class FrameByFrame(Generic[Embedding]):
    """Any backend as a `SequenceBackend`: each frame on its own, a box handed on to the next."""

    def __init__(self, backend: Backend[Embedding]) -> None:
        self._backend = backend

    def segment_sequence(
        self,
        frames: Frames,
        prompt: SequencePrompt,
        steps: Sequence[FrameStep],
        *,
        known: Mapping[int, PromptResult],
    ) -> Iterator[FrameMasks]:
        """See `SequenceBackend`; holds one frame and its embedding at a time."""
        boxes = {index: best_box(result) for index, result in known.items()}
        for step in steps:
            beside = None if step.beside is None else boxes.get(step.beside)
            result = self._look(frames, step.frame, prompt, beside)
            boxes[step.frame] = best_box(result)
            yield FrameMasks(index=step.frame, result=result)

    def _look(
        self, frames: Frames, index: int, prompt: SequencePrompt, beside: Box | None
    ) -> PromptResult:
        asked = prompt_for(prompt, index, beside)
        if asked is None:
            return PromptResult(masks=(), concept=None, presence=0.0, reason=LOST)
        return self._ask(frames.frame(index), asked, prompt.threshold)

    def _ask(self, pixels: RgbImage, prompt: Prompt, threshold: float | None) -> PromptResult:
        embedding = self._backend.embed(pixels)
        [prediction] = self._backend.predict(embedding, [prompt], threshold=threshold)
        own = self._backend.capabilities.threshold_of(prediction.concept)
        return select(
            prediction,
            threshold=own if threshold is None else threshold,
            nms_iou=NMS_IOU,
            max_masks=MAX_FRAME_MASKS,
        )


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


def best_box(result: PromptResult) -> Box | None:
    """Return the box of the best mask; None where nothing was found."""
    return result.masks[0].box if result.masks else None


def prompt_for(prompt: SequencePrompt, index: int, beside: Box | None) -> Prompt | None:
    """Return the prompt of one frame; None when there is nothing left to follow.

    Where a box is followed, `beside`, the box of the best mask on the frame beside this one, stands
    for the person's box.
    """
    if prompt.box is None:
        return Prompt(text=prompt.text)
    if index == prompt.box.frame:
        return Prompt(text=prompt.text, boxes=(BoxPrompt(box=prompt.box.box),))
    if beside is not None:
        return Prompt(text=prompt.text, boxes=(BoxPrompt(box=beside),))
    return None if prompt.text is None else Prompt(text=prompt.text)


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
        fps=geometry.fps,
    )


def window_of(request: VolumeRequest) -> Window | None:
    """Return the grey window that a request asks for."""
    asked = request.window
    return None if asked is None else Window(asked.center, asked.width)

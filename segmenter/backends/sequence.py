"""One prompt through a sequence: in which order frames are looked at, and what each is asked.

A model that tracks by itself (SAM 3 with its tracker) is a `SequenceBackend`; `FrameByFrame` makes
one of any `segmenter.backends.contract.Backend`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, runtime_checkable

from segmenter.backends.contract import Backend, Embedding
from segmenter.backends.postprocess import select
from segmenter.contract import Box, BoxPrompt, FrameBox, FrameMasks, Prompt, PromptResult, RgbImage
from segmenter.formats.frames import Frames

# As for one image (`segmenter.contract.SegmentRequest`).
NMS_IOU = 0.5
MAX_FRAME_MASKS = 20
LOST = "not found on the frame beside it, so there is nothing to follow"


class FrameStep(NamedTuple):
    """One frame to look at, and the frame beside it that was looked at before, if there is one."""

    frame: int
    beside: int | None


class SequencePrompt(NamedTuple):
    """What is wanted on every frame; with a box, the object in it alone is followed."""

    text: str | None
    box: FrameBox | None
    threshold: float | None


@runtime_checkable
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


def sequence_backend(backend: Backend[Embedding]) -> SequenceBackend:
    """Return a model's own way with sequences, else frame by frame."""
    return backend if isinstance(backend, SequenceBackend) else FrameByFrame(backend)


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

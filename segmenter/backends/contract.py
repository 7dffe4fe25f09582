"""What a model must offer: embed an image once, answer many prompts from the embedding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from segmenter.contract import BinaryMask, Box, Capabilities, Postprocess, Prompt, RgbImage
from segmenter.errors import InvalidPrompt
from segmenter.masks.geometry import clip_box

Embedding = TypeVar("Embedding")


@dataclass(frozen=True)
class PredictedMask:
    """One mask of one prompt.

    Attributes:
        mask: bool, shape (H, W) of the original image; not empty.
        score: raw score, [0, 1].
        stability: IoU of the masks at probability 0.35 and 0.65, [0, 1].
    """

    mask: BinaryMask
    score: float
    stability: float


@dataclass(frozen=True)
class Prediction:
    """What one prompt gave; no masks means "looked and found none".

    Attributes:
        concept: the model's own name of what it looked for; None for a box alone.
        presence: belief that the concept is in the image, [0, 1]; 0 for an unknown concept.
        known: False if the model cannot look for this concept.
        reason: plain words why there is no mask, or None.
    """

    masks: tuple[PredictedMask, ...]
    concept: str | None
    presence: float
    known: bool = True
    reason: str | None = None


def box_on_image(box: Box, shape: tuple[int, int]) -> Box:
    """Cut a prompt's box to an image of shape (H, W).

    Raises:
        InvalidPrompt: nothing of it is on the image.
    """
    clipped = clip_box(box, width=shape[1], height=shape[0])
    if clipped is None:
        raise InvalidPrompt(
            f"box {box.as_tuple()!r} is outside the {shape[1]} x {shape[0]} image", field="boxes"
        )
    return clipped


class Backend(Protocol[Embedding]):
    """A loaded model. Calls are synchronous; one at a time, unless it takes more."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can be asked for, and which weights it holds."""
        ...

    def embed(self, image: RgbImage) -> Embedding:
        """Run the slow half once: uint8, shape (H, W, 3), RGB, upright."""
        ...

    def embedding_bytes(self, embedding: Embedding) -> int:
        """Return the size of an embedding in memory, so that the cache can be bounded."""
        ...

    def predict(
        self, embedding: Embedding, prompts: Sequence[Prompt], *, threshold: float | None
    ) -> list[Prediction]:
        """Answer all prompts as one batch, in order; `threshold` None means the model's own.

        Masks come best first, without suppression of duplicates (the worker does that).

        Raises:
            InvalidPrompt: a prompt this model cannot take (for example a negative box).
        """
        ...


@runtime_checkable
class SwitchableBackend(Backend[Embedding], Protocol[Embedding]):
    """A model with adapters or several ways to choose among its masks."""

    def under(self, *, adapter: str | None, postprocess: Postprocess | None) -> Backend[Embedding]:
        """Return the same weights as they are used under these; None for the model's own.

        Its embeddings are of the adapter alone: what one adapter embedded, another must not read.
        """
        ...


@runtime_checkable
class ParallelBackend(Protocol):
    """A model that takes calls about different images from several threads at once."""

    @property
    def lanes(self) -> int:
        """How many."""
        ...


@runtime_checkable
class DescribedBackend(Protocol):
    """A model that can tell a person how it runs."""

    @property
    def notes(self) -> str:
        """Format of the weights, dtypes and device, in some words."""
        ...

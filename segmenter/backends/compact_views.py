"""From prompts to views of an image, and from decoded views to masks. Pure; no graphs here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segmenter.backends.contract import PredictedMask
from segmenter.contract import Box, Prompt
from segmenter.errors import InvalidPrompt
from segmenter.geometry import clip_box
from segmenter.geometry_resize import FloatArray, Rect, paste_logits

# Logit of pixels a zoomed view does not show: probability 2e-9.
OUTSIDE = -20.0
# Logit of probability 0.002, next to which a pixel's share in a mask's score is nothing.
FAR = -6.0
# Logit of probability 0.65; the stability of a mask compares the cuts at 0.35 and 0.65.
STABLE = float(np.log(0.65 / 0.35))


@dataclass(frozen=True)
class View:
    """One thing to decode.

    Attributes:
        concept: number in the graph's vocabulary.
        box: drawn into the view, in pixels of the image; None for the whole picture without box.
        rect: the part of the image that is seen.
    """

    concept: int
    box: Box | None
    rect: Rect


@dataclass(frozen=True)
class Decoded:
    """What the graphs said about a view.

    Attributes:
        view: that was asked.
        logits: float32, shape (S, S), mask logits.
        presence: logit, uncalibrated.
    """

    view: View
    logits: FloatArray
    presence: float


def fold(text: str) -> str:
    """Ignore case and spacing of a phrase."""
    return " ".join(text.lower().split())


def cut_boxes(prompt: Prompt, shape: tuple[int, int]) -> list[Box]:
    """Return the boxes of a prompt, cut to the image.

    Args:
        prompt: any.
        shape: (H, W) of the image.

    Raises:
        InvalidPrompt: a negative box, or one that is not on the image.
    """
    clipped = []
    for each in prompt.boxes:
        if each.label == "negative":
            raise InvalidPrompt("the compact model takes no negative boxes", field="boxes")
        box = clip_box(each.box, width=shape[1], height=shape[0])
        if box is None:
            raise InvalidPrompt(
                f"box {each.box.as_tuple()!r} is outside the {shape[1]} x {shape[0]} image",
                field="boxes",
            )
        clipped.append(box)
    return clipped


def draw(decoded: Sequence[Decoded], shape: tuple[int, int]) -> Iterator[FloatArray]:
    """Yield logits of masks, float32 (H, W): one per box, or one that the boxes refine.

    Args:
        decoded: of one prompt; if the first view has no box, the others refine it where they see.
        shape: (H, W) of the image.
    """
    pasted = (paste_logits(each.logits, each.view.rect, shape, OUTSIDE) for each in decoded)
    if decoded[0].view.box is not None:
        yield from pasted
        return
    base = next(pasted)
    for zoomed in pasted:
        base = np.where(zoomed > OUTSIDE, zoomed, base)
    yield base


def cut_mask(logits: FloatArray) -> PredictedMask | None:
    """Cut logits, float32 (H, W), at probability 0.5; None if nothing is left.

    The score is the Dice to expect if the probabilities are right: 2 sum(p m) / (sum p + sum m).
    """
    mask: npt.NDArray[np.bool_] = logits > 0
    area = int(mask.sum())
    if area == 0:
        return None
    # Far pixels add nothing to the sums, and most of a large picture is far.
    near = logits[logits > FAR]
    probability = sigmoid(near)
    score = 2 * float(probability[near > 0].sum()) / (float(probability.sum()) + area)
    stability = int((logits > STABLE).sum()) / int((logits > -STABLE).sum())
    return PredictedMask(mask, min(score, 1.0), stability)


def why_empty(name: str | None, joints: Sequence[float], threshold: float) -> str:
    """Say in plain words why there is no mask.

    Args:
        name: of the concept, None for a box alone.
        joints: joint scores of the masks that were dropped.
        threshold: they were below.
    """
    looked = f"looked for {name or 'one object in the box'}"
    if not joints:
        return f"{looked}, found no pixel of it"
    return f"{looked}, the best mask scores {max(joints):.2f}, below the threshold {threshold:.2f}"


def sigmoid(logits: npt.NDArray[np.floating] | np.floating) -> npt.NDArray[np.floating]:
    """Return probabilities of logits, any float dtype and shape."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))))

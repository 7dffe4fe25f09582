"""SAM 3 and MedSAM-3 behind the backend protocol: text, boxes as examples, or both.

Every instance of what is asked for is wanted, each as a mask of its own. The vision transformer's
output is what an embedding holds; its neck is run again, which changes no bit and is cheap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from segmenter.backends.contract import PredictedMask, Prediction
from segmenter.backends.sam3_network import Detections, Question, Sam3Network
from segmenter.backends.sam3_pixels import to_centred, to_picture, to_pixels
from segmenter.contract import MAX_MASKS, Box, Capabilities, ModelInfo, Prompt, RgbImage
from segmenter.errors import InvalidPrompt
from segmenter.geometry import clip_box

# The original image processor's, on score x presence.
THRESHOLD = 0.5
# Prompts decoded together. Their masks take 66 MB each at full size, and four are as many as an
# agent's round asks.
BATCH = 4
# Logits of probability 0.65 and 0.35; the stability of a mask compares the two cuts.
STABLE = float(np.log(0.65 / 0.35))


@dataclass(frozen=True)
class Sam3Embedding:
    """What is kept of a picture.

    Attributes:
        encoded: output of the vision transformer, shape (1, tokens, width).
        shape: (H, W) of the picture.
    """

    encoded: Tensor
    shape: tuple[int, int]


class Sam3Backend:
    """A loaded network; calls come from one thread at a time."""

    def __init__(self, network: Sam3Network, *, weights_id: str) -> None:
        """Hold a network.

        Args:
            network: of `load_network`.
            weights_id: name of the weights, as people know them.
        """
        self._network = network
        self._model = ModelInfo(
            kind="medsam3" if network.adapters[0] == "medsam3" else "sam3",
            weights_id=weights_id,
            weights_sha256=network.weights_sha256,
        )

    @property
    def capabilities(self) -> Capabilities:
        """What it can be asked for, and which weights it holds."""
        return Capabilities(
            model=self._model,
            concepts=None,
            prompts=("text", "box", "text+box"),
            negative_boxes=True,
            threshold=THRESHOLD,
        )

    def embed(self, image: RgbImage) -> Sam3Embedding:
        """Encode a picture: uint8, shape (H, W, 3), RGB, upright."""
        encoded = self._network.encode(to_pixels(image, self._network.image_size))
        return Sam3Embedding(encoded, (image.shape[0], image.shape[1]))

    def embedding_bytes(self, embedding: Sam3Embedding) -> int:
        """Return the size of an embedding in memory; 10.6 MB at full size in bfloat16."""
        return embedding.encoded.numel() * embedding.encoded.element_size()

    def predict(
        self, embedding: Sam3Embedding, prompts: Sequence[Prompt], *, threshold: float | None
    ) -> list[Prediction]:
        """Answer all prompts, in order; `threshold` None means 0.5 of the joint score.

        Raises:
            InvalidPrompt: a box that is not on the image.
        """
        limit = THRESHOLD if threshold is None else threshold
        questions = [to_question(prompt, embedding.shape) for prompt in prompts]
        features = self._network.features(embedding.encoded)
        answers: list[Prediction] = []
        for start in range(0, len(prompts), BATCH):
            found = self._network.detect(features, questions[start : start + BATCH])
            for row, prompt in enumerate(prompts[start : start + BATCH]):
                answers.append(to_prediction(found, row, prompt, embedding.shape, limit))
        return answers


def to_question(prompt: Prompt, shape: tuple[int, int]) -> Question:
    """Return a prompt in the network's terms; white space alone is no phrase.

    Args:
        prompt: any.
        shape: (H, W) of the picture.

    Raises:
        InvalidPrompt: a box that is not on the image.
    """
    phrase = prompt.text if prompt.text is not None and prompt.text.strip() else None
    boxes = tuple(to_centred(_on_image(each.box, shape), shape) for each in prompt.boxes)
    return Question(phrase, boxes, tuple(each.label == "positive" for each in prompt.boxes))


def _on_image(box: Box, shape: tuple[int, int]) -> Box:
    clipped = clip_box(box, width=shape[1], height=shape[0])
    if clipped is None:
        raise InvalidPrompt(
            f"box {box.as_tuple()!r} is outside the {shape[1]} x {shape[0]} image", field="boxes"
        )
    return clipped


def to_prediction(
    found: Detections, row: int, prompt: Prompt, shape: tuple[int, int], threshold: float
) -> Prediction:
    """Turn one row of detections into masks.

    Queries below the threshold are dropped before their masks are looked at: most of 200 are.

    Args:
        found: of a batch.
        row: of the prompt in it.
        prompt: that was asked.
        shape: (H, W) of the picture.
        threshold: of score x presence, [0, 1].
    """
    presence = float(found.presence[row].float().sigmoid())
    scores = found.logits[row].float().sigmoid()
    good = torch.nonzero(scores * presence >= threshold)[:, 0]
    best = good[scores[good].argsort(descending=True)][:MAX_MASKS]
    masks = tuple(_masks(found.masks[row, best], scores[best], shape))
    reason = None if masks else _why_empty(prompt, float(scores.max()) * presence, threshold)
    return Prediction(masks, prompt.text, presence, reason=reason)


def _masks(logits: Tensor, scores: Tensor, shape: tuple[int, int]) -> Iterator[PredictedMask]:
    """Cut masks at probability 0.5, one at a time; those without a pixel are left out."""
    for each, score in zip(logits, scores.tolist(), strict=True):
        large = to_picture(each[None], shape)[0].cpu().numpy()
        mask = large > 0
        if mask.any():
            stability = int((large > STABLE).sum()) / int((large > -STABLE).sum())
            yield PredictedMask(mask, score, stability)


def _why_empty(prompt: Prompt, joint: float, threshold: float) -> str:
    looked = "looked for what the boxes show" if prompt.text is None else "looked for the concept"
    return f"{looked}, the best mask scores {joint:.2f}, threshold {threshold:.2f}"

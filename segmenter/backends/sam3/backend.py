"""SAM 3 and MedSAM-3 behind the backend protocol: concepts by text and boxes, and single objects.

Every instance of a concept is wanted, each as a mask of its own. The vision transformer's
output is what an embedding holds; its neck is run again, which changes no bit and is cheap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from segmenter.backends.contract import Prediction, box_on_image
from segmenter.backends.sam3.network import BASE, Detections, DetectorPrompt, Sam3Network
from segmenter.backends.sam3.object_prompts import to_object, to_object_prompt
from segmenter.backends.sam3.postprocess import cut
from segmenter.backends.sam3.preprocess import to_centred, to_pixels
from segmenter.contract import (
    MAX_MASKS,
    Capabilities,
    ModelInfo,
    Postprocess,
    Prompt,
    RgbImage,
)
from segmenter.errors import InvalidPrompt

# The original image processor's, on score x presence.
THRESHOLD = 0.5
# Prompts decoded together. Their masks take 66 MB each at full size, and four are as many as an
# agent's round asks.
BATCH = 4
WAYS: tuple[Postprocess, ...] = ("sam3", "medsam3")


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

    def __init__(
        self,
        network: Sam3Network,
        *,
        weights_id: str,
        adapter: str | None = None,
        postprocess: Postprocess | None = None,
        notes: str = "",
    ) -> None:
        """Hold a network.

        Args:
            network: of `load_network`.
            weights_id: name of the weights, as people know them.
            adapter: of the network's; None for its first.
            postprocess: None for ``sam3``, also under an adapter: MedSAM-3's own rule passes over
                presence, the one sign that nothing is there.
            notes: what a person should know about where the weights came from.
        """
        self._notes = notes
        self._network = network
        self._weights_id = weights_id
        self._adapter = adapter or network.adapters[0]
        self._postprocess = postprocess or WAYS[0]
        self._model = ModelInfo(
            kind="sam3" if self._adapter == BASE else "medsam3",
            weights_id=weights_id,
            weights_sha256=network.weights_sha256,
            adapter=self._adapter,
        )

    @property
    def notes(self) -> str:
        """Format of the weights, dtypes and device, in some words."""
        network = self._network
        dtypes = f"{str(network.vision_dtype)[6:]} vision, {str(network.detector_dtype)[6:]} rest"
        tracker = "with tracker" if network.tracker else "without tracker"
        return ", ".join(filter(None, [self._notes, tracker, dtypes, f"on {network.device}"]))

    @property
    def capabilities(self) -> Capabilities:
        """What it can be asked for, and which weights it holds."""
        pointed = ("point", "mask") if self._network.tracker else ()
        others = [name for name in self._network.adapters if name != self._adapter]
        return Capabilities(
            model=self._model,
            concepts=None,
            prompts=("text", "box", "text+box", *pointed),
            negative_boxes=True,
            threshold=THRESHOLD,
            adapters=(self._adapter, *others),
            postprocess=WAYS,
        )

    def under(self, *, adapter: str | None, postprocess: Postprocess | None) -> "Sam3Backend":
        """Return the same weights under an adapter and a rule; see `SwitchableBackend`."""
        return Sam3Backend(
            self._network,
            weights_id=self._weights_id,
            adapter=adapter or self._adapter,
            postprocess=postprocess,
            notes=self._notes,
        )

    def embed(self, image: RgbImage) -> Sam3Embedding:
        """Encode a picture: uint8, shape (H, W, 3), RGB, upright."""
        pixels = to_pixels(image, self._network.image_size)
        encoded = self._network.encode(pixels, adapter=self._adapter)
        return Sam3Embedding(encoded, (image.shape[0], image.shape[1]))

    def embedding_bytes(self, embedding: Sam3Embedding) -> int:
        """Return the size of an embedding in memory; 10.6 MB at full size in bfloat16."""
        return embedding.encoded.numel() * embedding.encoded.element_size()

    def predict(
        self, embedding: Sam3Embedding, prompts: Sequence[Prompt], *, threshold: float | None
    ) -> list[Prediction]:
        """Answer all prompts, in order; `threshold` None means 0.5 of the score that counts.

        Raises:
            InvalidPrompt: a box that is not on the image, a mask that is none, or an object
                without a tracker.
        """
        limit = THRESHOLD if threshold is None else threshold
        concepts = iter(self._concepts(embedding, [p for p in prompts if not is_object(p)], limit))
        objects = iter(self._objects(embedding, [p for p in prompts if is_object(p)], limit))
        return [next(objects if is_object(prompt) else concepts) for prompt in prompts]

    def _concepts(
        self, embedding: Sam3Embedding, prompts: Sequence[Prompt], limit: float
    ) -> Iterator[Prediction]:
        questions = [to_question(prompt, embedding.shape) for prompt in prompts]
        for start in range(0, len(prompts), BATCH):
            found = self._network.detect(
                self._network.features(embedding.encoded),
                questions[start : start + BATCH],
                adapter=self._adapter,
            )
            for row, prompt in enumerate(prompts[start : start + BATCH]):
                yield to_prediction(
                    found, row, prompt, embedding.shape, limit, postprocess=self._postprocess
                )

    def _objects(
        self, embedding: Sam3Embedding, prompts: Sequence[Prompt], limit: float
    ) -> list[Prediction]:
        if not prompts:
            return []
        tracker = self._network.tracker
        if tracker is None:
            raise InvalidPrompt("these weights are without the tracker", field="kind")
        asked = [to_object_prompt(prompt, embedding.shape) for prompt in prompts]
        found = tracker.segment(embedding.encoded, asked)
        return [to_object(each, embedding.shape, limit) for each in found]


def is_object(prompt: Prompt) -> bool:
    """Tell whether one object is asked for, not every instance of a concept."""
    return prompt.kind == "object"


def to_question(prompt: Prompt, shape: tuple[int, int]) -> DetectorPrompt:
    """Return a prompt in the network's terms; white space alone is no phrase.

    Args:
        prompt: any.
        shape: (H, W) of the picture.

    Raises:
        InvalidPrompt: a box that is not on the image.
    """
    phrase = prompt.text if prompt.text is not None and prompt.text.strip() else None
    boxes = tuple(to_centred(box_on_image(each.box, shape), shape) for each in prompt.boxes)
    return DetectorPrompt(phrase, boxes, tuple(each.label == "positive" for each in prompt.boxes))


def to_prediction(
    found: Detections,
    row: int,
    prompt: Prompt,
    shape: tuple[int, int],
    threshold: float,
    *,
    postprocess: Postprocess = "sam3",
) -> Prediction:
    """Turn one row of detections into masks.

    Queries below the threshold are dropped before their masks are looked at: most of 200 are.

    Args:
        found: of a batch.
        row: of the prompt in it.
        prompt: that was asked.
        shape: (H, W) of the picture.
        threshold: of score x presence, [0, 1]; for ``medsam3`` of the score alone.
        postprocess: whose rule.
    """
    presence = float(found.presence[row].float().sigmoid())
    scores = found.logits[row].float().sigmoid()
    ranks = scores if postprocess == "medsam3" else scores * presence
    good = torch.nonzero(ranks >= threshold)[:, 0]
    best = good[scores[good].argsort(descending=True)][:MAX_MASKS]
    masks = tuple(cut(found.masks[row, best], scores[best], shape, postprocess))
    reason = None if masks else _why_empty(prompt, float(ranks.max()), threshold)
    return Prediction(masks, prompt.text, presence, reason=reason)


def _why_empty(prompt: Prompt, best: float, threshold: float) -> str:
    looked = "looked for what the boxes show" if prompt.text is None else "looked for the concept"
    return f"{looked}, the best mask scores {best:.2f}, threshold {threshold:.2f}"

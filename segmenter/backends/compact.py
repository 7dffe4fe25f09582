"""The bundled model on ONNX Runtime: a picture is encoded once, concepts are decoded from it.

Text alone is answered from the whole picture, squashed to a square. A box zooms: a square around it
is encoded with the box drawn into a fourth channel, and the answer is pasted back. Views speak
their own pixels (side x side); everything that enters or leaves is in pixels of the original.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import onnxruntime

from segmenter.backends.compact_metadata import METADATA, CompactMetadata
from segmenter.backends.compact_views import (
    Decoded,
    View,
    cut_boxes,
    cut_mask,
    draw,
    fold,
    sigmoid,
    why_empty,
)
from segmenter.backends.contract import Prediction
from segmenter.contract import Box, Capabilities, ModelInfo, Prompt, RgbImage
from segmenter.geometry_resize import FloatArray, box_channel, sample_view, whole, zoom

WEIGHTS = Path(__file__).parents[1] / "weights" / "compact"
# Views run through the graphs together: bounds memory at about 30 MB of features.
BATCH = 8

Levels = tuple[FloatArray, ...]


@dataclass(frozen=True)
class CompactEmbedding:
    """The encoded whole picture, and the picture itself for views to zoom into.

    Attributes:
        image: uint8, shape (H, W, 3), RGB.
        levels: float32, shapes (1, C, S/2, S/2) to (1, C, S/32, S/32).
    """

    image: RgbImage
    levels: Levels

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the picture."""
        return self.image.shape[0], self.image.shape[1]


class CompactBackend:
    """The bundled weights behind the backend protocol."""

    def __init__(self, folder: Path = WEIGHTS, *, threads: int = 2) -> None:
        """Load and check the weights.

        Args:
            folder: with ``metadata.json`` and the two graphs.
            threads: of one call.

        Raises:
            ValueError: a graph is not the one the metadata belong to.
        """
        text = (folder / METADATA).read_text(encoding="utf-8")
        self._metadata = CompactMetadata.model_validate_json(text)
        self._encoder = _session(folder / "encoder.onnx", self._metadata.encoder_sha256, threads)
        self._decoder = _session(folder / "decoder.onnx", self._metadata.decoder_sha256, threads)
        self._inputs = [put.name for put in self._decoder.get_inputs()]
        self._numbers = {
            name: number
            for number, card in enumerate(self._metadata.concepts)
            for name in (card.name, *card.aliases)
        }

    @property
    def metadata(self) -> CompactMetadata:
        """What belongs to the weights besides the graphs."""
        return self._metadata

    @property
    def capabilities(self) -> Capabilities:
        """What it can be asked for, and which weights it holds."""
        model = ModelInfo(
            kind="compact",
            weights_id=self._metadata.weights_id,
            weights_sha256=self._metadata.weights_sha256,
        )
        return Capabilities(
            model=model,
            concepts=tuple(card.name for card in self._metadata.concepts),
            prompts=("text", "box", "text+box"),
            negative_boxes=False,
            threshold=self._metadata.threshold,
        )

    def embed(self, image: RgbImage) -> CompactEmbedding:
        """Encode the whole picture: uint8, shape (H, W, 3), RGB, upright."""
        rect = whole((image.shape[0], image.shape[1]))
        return CompactEmbedding(image, self._encode(image, [View(0, None, rect)]))

    def embedding_bytes(self, embedding: CompactEmbedding) -> int:
        """Return the size of an embedding in memory."""
        return embedding.image.nbytes + sum(level.nbytes for level in embedding.levels)

    def predict(
        self, embedding: CompactEmbedding, prompts: Sequence[Prompt], *, threshold: float | None
    ) -> list[Prediction]:
        """Answer all prompts as one batch, in order; `threshold` None means the model's own.

        Raises:
            InvalidPrompt: a negative box, or a box that is not on the image.
        """
        limit = self._metadata.threshold if threshold is None else threshold
        plans = [self._plan(prompt, embedding.shape) for prompt in prompts]
        decoded = iter(self._decode(embedding, [view for plan in plans for view in plan]))
        return [
            self._answer(prompt, list(islice(decoded, len(plan))), embedding.shape, limit)
            for prompt, plan in zip(prompts, plans, strict=True)
        ]

    def bare_call(self) -> Callable[[], object]:
        """Return a call of the two graphs alone, on one empty view, to compare times with."""
        side = self._metadata.side
        pixels = np.zeros((1, 4, side, side), dtype=np.float32)
        views = [View(0, None, whole((side, side)))]
        return lambda: self._run_decoder(tuple(self._encoder.run(None, {"views": pixels})), views)

    def _plan(self, prompt: Prompt, shape: tuple[int, int]) -> list[View]:
        """Return the views that answer a prompt; none for an unknown concept."""
        boxes = cut_boxes(prompt, shape)
        if prompt.text is None or not prompt.text.strip():
            token = len(self._metadata.concepts)
            return [self._boxed(token, box, shape) for box in boxes]
        number = self._numbers.get(fold(prompt.text))
        if number is None:
            return []
        views = [self._boxed(number, box, shape) for box in boxes]
        if not boxes or self._metadata.concepts[number].multiple:
            views.insert(0, View(number, None, whole(shape)))
        return views

    def _boxed(self, concept: int, box: Box, shape: tuple[int, int]) -> View:
        """Return the zoomed view of a box, or the whole picture if the box nearly fills it."""
        rect = zoom(box, self._metadata.zoom_factor, shape)
        if rect.width > self._metadata.zoom_limit * max(shape):
            rect = whole(shape)
        return View(concept, box, rect)

    def _decode(self, embedding: CompactEmbedding, views: list[View]) -> list[Decoded]:
        """Decode all views; those of the whole picture without a box share its encoding."""
        shared = self._decode_shared(embedding, [view for view in views if view.box is None])
        boxed = self._decode_boxed(embedding, [view for view in views if view.box is not None])
        return [next(shared if view.box is None else boxed) for view in views]

    def _decode_shared(self, embedding: CompactEmbedding, views: list[View]) -> Iterator[Decoded]:
        for part in _chunks(views):
            levels = tuple(np.repeat(level, len(part), axis=0) for level in embedding.levels)
            yield from self._run_decoder(levels, part)

    def _decode_boxed(self, embedding: CompactEmbedding, views: list[View]) -> Iterator[Decoded]:
        for part in _chunks(views):
            yield from self._run_decoder(self._encode(embedding.image, part), part)

    def _encode(self, image: RgbImage, views: list[View]) -> Levels:
        """Sample and encode views of a picture."""
        side, metadata = self._metadata.side, self._metadata
        pixels = np.zeros((len(views), 4, side, side), dtype=np.float32)
        for row, view in zip(pixels, views, strict=True):
            colours = sample_view(image, view.rect, side)
            row[:3] = ((colours - metadata.pixel_offset) / metadata.pixel_scale).transpose(2, 0, 1)
            if view.box is not None:
                row[3] = box_channel(view.box, view.rect, side)
        return tuple(self._encoder.run(None, {"views": pixels}))

    def _run_decoder(self, levels: Levels, views: list[View]) -> list[Decoded]:
        concept = np.array([view.concept for view in views], dtype=np.int64)
        feeds = dict(zip(self._inputs, [*levels, concept], strict=True))
        logits, presence = self._decoder.run(None, feeds)
        return [
            Decoded(view, logits[row, 0], float(presence[row, 0])) for row, view in enumerate(views)
        ]

    def _answer(
        self, prompt: Prompt, decoded: list[Decoded], shape: tuple[int, int], limit: float
    ) -> Prediction:
        """Turn what was decoded for one prompt into masks and words."""
        if not decoded:
            return self._unknown(prompt)
        number = decoded[0].view.concept
        alone = number == len(self._metadata.concepts)
        name = None if alone else self._metadata.concepts[number].name
        views = [self._presence(each) for each in decoded]
        presence = max(views)
        # One mask a box, ranked by what its own view believes; else one mask of all views.
        shares = [1.0] if decoded[0].view.box is None else [view / presence for view in views]
        cut = zip(map(cut_mask, draw(decoded, shape)), shares, strict=True)
        masks = [replace(mask, score=mask.score * share) for mask, share in cut if mask is not None]
        masks.sort(key=lambda mask: mask.score, reverse=True)
        good = tuple(mask for mask in masks if mask.score * presence >= limit)
        reason = None if good else why_empty(name, [m.score * presence for m in masks], limit)
        return Prediction(good, name, presence, reason=reason)

    def _unknown(self, prompt: Prompt) -> Prediction:
        known = ", ".join(card.name for card in self._metadata.concepts)
        reason = f"this model does not know {prompt.text!r}; it knows {known}"
        return Prediction((), None, 0.0, known=False, reason=reason)

    def _presence(self, decoded: Decoded) -> float:
        """Return the calibrated presence of one view, [0, 1]; of a box alone the plain one."""
        slope, offset = 1.0, 0.0
        if decoded.view.concept < len(self._metadata.concepts):
            card = self._metadata.concepts[decoded.view.concept]
            slope, offset = card.presence_slope, card.presence_offset
        return float(sigmoid(np.float64(slope * decoded.presence + offset)))


def _session(path: Path, sha256: str, threads: int) -> onnxruntime.InferenceSession:
    """Load one graph after checking that it is the right one."""
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(f"{path.name} has sha256 {found}, the metadata say {sha256}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Two graphs take turns; the idle one's threads would spin on the cores the other needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _chunks(views: list[View]) -> Iterator[list[View]]:
    for start in range(0, len(views), BATCH):
        yield views[start : start + BATCH]

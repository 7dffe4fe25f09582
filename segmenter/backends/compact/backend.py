"""The bundled model on ONNX Runtime: a picture is encoded once, concepts are decoded from it.

Text alone is answered from the whole picture, squashed to a square; as the metadata say for each
concept it is also read mirrored, in tiles, or once more around what was found. A box zooms: a
square around it is encoded with the box drawn into a fourth channel, and the answer is pasted back;
a rough box may be replaced by the one around what it gave.
Views speak their own pixels (side x side); everything else is in pixels of the original.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from segmenter.backends.compact.graphs import BATCH, Graphs, Levels
from segmenter.backends.compact.metadata import METADATA, CompactMetadata, expected_dice
from segmenter.backends.compact.pictures import load_pictures
from segmenter.backends.compact.sampling import FloatArray, box_channel, sample_view, whole, zoom
from segmenter.backends.compact.views import (
    NOTHING,
    Decoded,
    Plan,
    Seen,
    View,
    cut_boxes,
    cut_mask,
    draw,
    emptied,
    fuller,
    is_blank,
    paste,
    sigmoid,
    take,
    tile_rects,
    why_empty,
)
from segmenter.backends.compact.vocabulary import Vocabulary, likeliest
from segmenter.backends.contract import PredictedMask, Prediction
from segmenter.contract import Box, Capabilities, ModelInfo, Prompt, RgbImage
from segmenter.masks.geometry import box_iou, mask_box

# Below this IoU with the box of what was found in it a box is a rough one. Chosen on validation:
# of 0.7 to 0.85 in steps of 0.05 the highest that at most 1 in 50 tight boxes falls below.
GOOD_BOX = 0.8
WEIGHTS = Path(__file__).parents[2] / "weights" / "compact"

# Of 32 clients on two cores one lane serves 0.65 to 0.85 of what a plain handler does, two as much:
# `python -m benchmarks.service`.
LANES = 2


@dataclass(frozen=True)
class CompactEmbedding:
    """The picture, for views to zoom into, and the encodings of the whole of it.

    Attributes:
        image: uint8, shape (H, W, 3), RGB.
        levels: by whether the picture was mirrored, each made when first needed: float32, shapes
            (1, C, S/2, S/2) to (1, C, S/32, S/32).
    """

    image: RgbImage
    levels: dict[bool, Levels] = field(default_factory=dict)

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
        self._graphs = Graphs(folder, self._metadata, threads=threads)
        self._levels_bytes = self._measure()
        cards = self._metadata.concepts
        self._numbers = {card.name: number for number, card in enumerate(cards)}
        self._vocabulary = Vocabulary({card.name: card.aliases for card in cards})

    @property
    def lanes(self) -> int:
        """Calls at once: what one does between its graphs leaves a core to the other."""
        return LANES

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
        concepts = tuple(card.name for card in self._metadata.concepts)
        known = load_pictures()
        return Capabilities(
            model=model,
            concepts=concepts,
            pictures={name: kind for name, kind in known.pictures.items() if name in concepts},
            unproven=tuple(name for name in known.unproven if name in concepts),
            prompts=("text", "box", "text+box"),
            negative_boxes=False,
            threshold=self._metadata.threshold,
            thresholds={
                card.name: card.threshold
                for card in self._metadata.concepts
                if card.threshold is not None
            },
        )

    def embed(self, image: RgbImage) -> CompactEmbedding:
        """Hold a picture: uint8, shape (H, W, 3), RGB, upright; it is encoded when first asked.

        A box alone never needs the whole picture, so nothing is encoded in vain.
        """
        return CompactEmbedding(image)

    def embedding_bytes(self, embedding: CompactEmbedding) -> int:
        """Return the size in memory that an embedding can grow to."""
        return embedding.image.nbytes + 2 * self._levels_bytes

    def predict(
        self, embedding: CompactEmbedding, prompts: Sequence[Prompt], *, threshold: float | None
    ) -> list[Prediction]:
        """Answer all prompts as one batch, in order; `threshold` None means the concept's own.

        Raises:
            InvalidPrompt: a negative box, or a box that is not on the image.
        """
        meant = [self._meant(prompt) for prompt in prompts]
        named = [each for group in meant for each in group]
        plans = [self._plan(prompt, embedding.shape) for prompt in named]
        decoded = iter(self._decode(embedding, [view for plan in plans for view in plan.views]))
        seen = self._look_again(embedding, [take(plan, decoded) for plan in plans])
        answers = (
            self._answer(prompt, each, embedding.shape, threshold)
            for prompt, each in zip(named, seen, strict=True)
        )
        return [
            likeliest(prompt, list(islice(answers, len(group))))
            for prompt, group in zip(prompts, meant, strict=True)
        ]

    def bare_call(self) -> Callable[[], object]:
        """Return a call of the two graphs alone, on one empty view, to compare times with."""
        side = self._metadata.side
        pixels = np.zeros((1, 4, side, side), dtype=np.float32)
        number = np.zeros(1, dtype=np.int64)
        return lambda: self._graphs.decode(self._graphs.encode(pixels), number)

    def _measure(self) -> int:
        """Return the size of the encoding of one view in memory."""
        side = self._metadata.side
        levels = self._graphs.encode(np.zeros((1, 4, side, side), dtype=np.float32))
        return sum(level.nbytes for level in levels)

    def _meant(self, prompt: Prompt) -> list[Prompt]:
        """Return the prompt by the model's own names, one for each thing that it may mean.

        What says nothing, or nothing the model knows, comes back as it is.
        """
        names = self._vocabulary.look_up(prompt.text or "").concepts
        return [prompt.model_copy(update={"text": name}) for name in names] or [prompt]

    def _plan(self, prompt: Prompt, shape: tuple[int, int]) -> Plan:
        """Return the views that answer a prompt; none for an unknown concept."""
        boxes = cut_boxes(prompt, shape)
        if prompt.text is None or not prompt.text.strip():
            token = len(self._metadata.concepts)
            return Plan(boxed=tuple(self._boxed(token, box, shape) for box in boxes))
        number = self._numbers.get(prompt.text)
        if number is None:
            return Plan()
        card = self._metadata.concepts[number]
        boxed = tuple(self._boxed(number, box, shape, mirrored=card.mirror_boxed) for box in boxes)
        if boxes and not card.multiple:
            return Plan(boxed=boxed)
        tiles = tile_rects(shape) if card.tiles else ()
        return Plan(
            base=View(number, None, whole(shape), card.mirror),
            tiles=tuple(View(number, None, rect) for rect in tiles),
            boxed=boxed,
        )

    def _boxed(
        self, concept: int, box: Box, shape: tuple[int, int], *, mirrored: bool = False
    ) -> View:
        """Return the zoomed view of a box, or the whole picture if the box nearly fills it."""
        rect = zoom(box, self._metadata.zoom_factor, shape)
        if rect.width > self._metadata.zoom_limit * max(shape):
            rect = whole(shape)
        return View(concept, box, rect, mirrored)

    def _look_again(self, embedding: CompactEmbedding, seen: list[Seen]) -> list[Seen]:
        """Zoom into what was found, for the concepts that gain by it."""
        closer = [self._closer(each, embedding.shape) for each in seen]
        reboxed = [[self._reboxed(one, embedding.shape) for one in each.boxed] for each in seen]
        views = [view for view in [*closer, *chain.from_iterable(reboxed)] if view is not None]
        decoded = iter(self._decode(embedding, views))
        seconds = [None if view is None else next(decoded) for view in closer]
        return [
            replace(
                each,
                second=second,
                boxed=tuple(
                    one if view is None else fuller(one, next(decoded))
                    for one, view in zip(each.boxed, views, strict=True)
                ),
            )
            for each, second, views in zip(seen, seconds, reboxed, strict=True)
        ]

    def _closer(self, seen: Seen, shape: tuple[int, int]) -> View | None:
        """Return the view around the mask of the base; None without one or without the need."""
        if seen.base is None or seen.boxed:
            return None
        concept = seen.base.view.concept
        found = mask_box(next(draw(seen, shape)) > 0)
        if found is None or not self._metadata.concepts[concept].second_look:
            return None
        return self._boxed(concept, found, shape)

    def _reboxed(self, boxed: Decoded, shape: tuple[int, int]) -> View | None:
        """Return the view of the box around what was found in a box that fits it badly."""
        number, box = boxed.view.concept, boxed.view.box
        cards = self._metadata.concepts
        if box is None or number >= len(cards) or not cards[number].rebox:
            return None
        found = mask_box(paste(boxed, shape) > 0)
        if found is None or box_iou(found, box) >= GOOD_BOX:
            return None
        return self._boxed(number, found, shape)

    def _decode(self, embedding: CompactEmbedding, views: Sequence[View]) -> list[Decoded]:
        """Decode all views; those of the whole picture without a box share its encodings."""
        rect = whole(embedding.shape)
        shared = [view.box is None and view.rect == rect for view in views]
        parts = (
            self._decode_shared(
                embedding, [v for v, own in zip(views, shared, strict=True) if own]
            ),
            self._decode_own(
                embedding, [v for v, own in zip(views, shared, strict=True) if not own]
            ),
        )
        decoded = [next(parts[0] if own else parts[1]) for own in shared]
        # A graph always draws something, and on a picture of one value it can only be invented.
        image = embedding.image
        return [emptied(each) if is_blank(image, each.view.rect) else each for each in decoded]

    def _decode_shared(self, embedding: CompactEmbedding, views: list[View]) -> Iterator[Decoded]:
        for part in _chunks(views):
            plain = self._run(self._whole(embedding, mirrored=False), part)
            if any(view.mirrored for view in part):
                levels = self._whole(embedding, mirrored=True)
                plain = [_mean(*pair) for pair in zip(plain, self._run(levels, part), strict=True)]
            yield from plain

    def _whole(self, embedding: CompactEmbedding, *, mirrored: bool) -> Levels:
        """Return the encoding of the whole picture, made once."""
        if mirrored not in embedding.levels:
            pixels = self._pixels(embedding.image, [View(0, None, whole(embedding.shape))])
            turned = np.ascontiguousarray(pixels[..., ::-1]) if mirrored else pixels
            embedding.levels[mirrored] = self._graphs.encode(turned)
        return embedding.levels[mirrored]

    def _decode_own(self, embedding: CompactEmbedding, views: list[View]) -> Iterator[Decoded]:
        for part in _chunks(views):
            pixels = self._pixels(embedding.image, part)
            plain = self._run(self._graphs.encode(pixels), part)
            places = [place for place, view in enumerate(part) if view.mirrored]
            if places:
                levels = self._graphs.encode(np.ascontiguousarray(pixels[places, ..., ::-1]))
                turned = self._run(levels, [part[place] for place in places])
                for place, other in zip(places, turned, strict=True):
                    plain[place] = _mean(plain[place], other)
            yield from plain

    def _pixels(self, image: RgbImage, views: list[View]) -> FloatArray:
        """Sample views of a picture: float32, shape (N, 4, S, S)."""
        side, metadata = self._metadata.side, self._metadata
        pixels = np.zeros((len(views), 4, side, side), dtype=np.float32)
        for row, view in zip(pixels, views, strict=True):
            colours = sample_view(image, view.rect, side)
            row[:3] = ((colours - metadata.pixel_offset) / metadata.pixel_scale).transpose(2, 0, 1)
            if view.box is not None:
                row[3] = box_channel(view.box, view.rect, side)
        return pixels

    def _run(self, levels: Levels, views: list[View]) -> list[Decoded]:
        """Decode views; one encoding for all of them, or one each."""
        if len(levels[0]) != len(views):
            levels = tuple(np.repeat(level, len(views), axis=0) for level in levels)
        concepts = np.array([view.concept for view in views], dtype=np.int64)
        logits, presence = self._graphs.decode(levels, concepts)
        return [Decoded(view, logits[row], float(presence[row])) for row, view in enumerate(views)]

    def _answer(
        self, prompt: Prompt, seen: Seen, shape: tuple[int, int], threshold: float | None
    ) -> Prediction:
        """Turn what was seen for one prompt into masks and words."""
        if not seen.judges:
            return self._unknown(prompt)
        number = seen.judges[0].view.concept
        alone = number == len(self._metadata.concepts)
        name = None if alone else self._metadata.concepts[number].name
        views = [self._presence(each) for each in seen.judges]
        presence = max(views)
        # One mask a box, ranked by what its own view believes; else one mask of all views.
        shares = [view / presence for view in views] if seen.base is None else [1.0]
        cut = zip(map(cut_mask, draw(seen, shape)), shares, strict=True)
        masks = [
            replace(mask, score=self._expected_dice(mask) * share)
            for mask, share in cut
            if mask is not None
        ]
        masks.sort(key=lambda mask: mask.score, reverse=True)
        limit = self._metadata.cut_of(number) if threshold is None else threshold
        good = tuple(mask for mask in masks if mask.score * presence >= limit)
        blank = all((judge.logits == NOTHING).all() for judge in seen.judges)
        joints = [mask.score * presence for mask in masks]
        reason = None if good else why_empty(name, joints, limit, blank=blank)
        return Prediction(good, name, presence, reason=reason)

    def _expected_dice(self, mask: PredictedMask) -> float:
        return expected_dice(mask.score, self._metadata.score_slope, self._metadata.score_offset)

    def _unknown(self, prompt: Prompt) -> Prediction:
        reason = self._vocabulary.look_up(prompt.text or "").reason
        return Prediction((), None, 0.0, known=False, reason=reason)

    def _presence(self, decoded: Decoded) -> float:
        """Return the calibrated presence of one view, [0, 1]; of a box alone the plain one."""
        slope, offset = 1.0, 0.0
        if decoded.view.concept < len(self._metadata.concepts):
            card = self._metadata.concepts[decoded.view.concept]
            slope, offset = card.presence_slope, card.presence_offset
        return float(sigmoid(np.float64(slope * decoded.presence + offset)))


def _mean(plain: Decoded, mirrored: Decoded) -> Decoded:
    """Average a view with its mirrored reading; a view that asked for none stays as it is."""
    if not plain.view.mirrored:
        return plain
    logits: FloatArray = (plain.logits + mirrored.logits[:, ::-1]) * np.float32(0.5)
    return replace(plain, logits=logits, presence=(plain.presence + mirrored.presence) / 2)


def _chunks(views: list[View]) -> Iterator[list[View]]:
    for start in range(0, len(views), BATCH):
        yield views[start : start + BATCH]

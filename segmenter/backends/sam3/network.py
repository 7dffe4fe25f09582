"""Runs SAM 3's networks: the only module that calls transformers' forward passes.

Boxes here are normalised to [0, 1] of the picture; pixels are float32 (N, 3, S, S) in [-1, 1].
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from torch import Tensor
from transformers import Sam3Model
from transformers.models.sam3 import modeling_sam3
from transformers.models.sam3.modeling_sam3 import Sam3VisionEncoderOutput

from segmenter.backends.sam3.adapter import ADAPTER
from segmenter.backends.sam3.roi_align import roi_align
from segmenter.backends.sam3.tokenizer import Tokenizer, padding_free
from segmenter.backends.sam3.tracker import Sam3Tracker

# The label of a box that is not there.
NO_BOX = -10
# What stands in the place of such a box; its numbers do not matter.
PLACEHOLDER = (0.5, 0.5, 0.1, 0.1)
BASE = "base"
# A phrase's features are 32 x 1024 numbers; 256 of them take 34 MB.
MAX_PHRASES = 256


class DetectorPrompt(NamedTuple):
    """One prompt for the detector.

    Attributes:
        phrase: None where boxes alone show what is wanted.
        boxes: (centre x, centre y, width, height) each, [0, 1].
        positive: for each box whether it shows what is wanted, or what is not.
    """

    phrase: str | None
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    positive: tuple[bool, ...] = ()


class Detections(NamedTuple):
    """Raw answers to N questions, Q queries each.

    Attributes:
        logits: shape (N, Q).
        presence: logit, shape (N,).
        boxes: xyxy, [0, 1], shape (N, Q, 4).
        masks: logits, shape (N, Q, h, w).
        semantic: logits of all instances together, shape (N, h, w).
    """

    logits: Tensor
    presence: Tensor
    boxes: Tensor
    masks: Tensor
    semantic: Tensor


class Sam3Network:
    """A loaded model; one call at a time.

    Attributes:
        model: bare `Sam3Model`; its layers hold the adapter, if there is one.
        weights_sha256: of the base's files and the LoRA's.
        tracker: for single objects; None for weights without.
    """

    def __init__(
        self,
        model: Sam3Model | PeftModel,
        tokenizer: Tokenizer,
        *,
        weights_sha256: str,
        merged: bool = False,
        tracker: Sam3Tracker | None = None,
    ) -> None:
        """Hold a model that is on its device in its dtypes.

        Args:
            model: with an adapter named ``medsam3``, or without.
            tokenizer: of the weights.
            weights_sha256: see the class.
            merged: whether a LoRA was merged into it.
            tracker: see the class.
        """
        _provide_roi_align()
        self._wrapped = model if isinstance(model, PeftModel) else None
        self.model: Any = model.get_base_model() if isinstance(model, PeftModel) else model
        self.model.eval()
        self.tokenizer = tokenizer
        self.weights_sha256 = weights_sha256
        self.tracker = tracker
        self._merged = merged
        self._texts: OrderedDict[tuple[str, str | None], tuple[Tensor, Tensor]] = OrderedDict()
        # Rounds of an agent ask about one picture again and again: its neck runs once.
        self._latest: tuple[Tensor, Sam3VisionEncoderOutput] | None = None

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of what can be asked, the usual one first."""
        if self._wrapped is not None:
            return (ADAPTER, BASE)
        return (ADAPTER,) if self._merged else (BASE,)

    @property
    def image_size(self) -> int:
        """Side of the square picture, pixels."""
        return int(self.model.config.vision_config.backbone_config.image_size)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        device: torch.device = next(self.model.parameters()).device
        return device

    @property
    def vision_dtype(self) -> torch.dtype:
        """Of the vision encoder's weights."""
        dtype: torch.dtype = next(self.model.vision_encoder.parameters()).dtype
        return dtype

    @property
    def detector_dtype(self) -> torch.dtype:
        """Of all other weights."""
        dtype: torch.dtype = next(self.model.detr_encoder.parameters()).dtype
        return dtype

    def compile(self) -> None:
        """Let torch compile the vision encoder when it first runs, which takes minutes."""
        self.model.vision_encoder.backbone.compile()

    @torch.inference_mode()
    def encode(self, pixels: Tensor, *, adapter: str | None = None) -> Tensor:
        """Run the slow half: shape (N, tokens, width), in `vision_dtype`."""
        with self._under(adapter):
            moved = pixels.to(self.device, self.vision_dtype)
            encoded: Tensor = self.model.vision_encoder.backbone(moved).last_hidden_state
        return encoded

    @torch.inference_mode()
    def features(self, encoded: Tensor) -> Sam3VisionEncoderOutput:
        """Run the neck on what `encode` returned; the same input gives the same bits.

        The latest answer is kept, 111 MB at full size in float32.
        """
        if self._latest is None or self._latest[0] is not encoded:
            self._latest = None
            self._latest = (encoded, self._neck(encoded))
        return self._latest[1]

    def _neck(self, encoded: Tensor) -> Sam3VisionEncoderOutput:
        count, tokens, width = encoded.shape
        side = round(tokens**0.5)
        grid = encoded.view(count, side, side, width).permute(0, 3, 1, 2)
        states, positions = self.model.vision_encoder.neck(grid)
        kind = self.detector_dtype
        return Sam3VisionEncoderOutput(
            last_hidden_state=encoded,
            fpn_hidden_states=tuple(each.to(kind) for each in states),
            fpn_position_encoding=tuple(each.to(kind) for each in positions),
        )

    @torch.inference_mode()
    def detect(
        self,
        features: Sam3VisionEncoderOutput,
        questions: Sequence[DetectorPrompt],
        *,
        adapter: str | None = None,
    ) -> Detections:
        """Answer all questions about one picture as one batch, in order.

        Every question carries a box, if only one that is not there: the original always adds the
        geometry encoder's class token, and transformers only with boxes.

        Args:
            features: of one picture.
            questions: at least one.
            adapter: of `adapters`; None for the usual one.
        """
        boxes, labels = boxes_of(questions)
        with self._under(adapter):
            texts, mask = self.text([each.phrase for each in questions], adapter=adapter)
            answer = self.model(
                vision_embeds=_repeated(features, len(questions)),
                text_embeds=SimpleNamespace(pooler_output=texts),
                attention_mask=mask,
                input_boxes=boxes.to(self.device, self.detector_dtype),
                input_boxes_labels=labels.to(self.device),
            )
        return Detections(
            logits=answer.pred_logits,
            presence=answer.presence_logits[:, 0],
            boxes=answer.pred_boxes,
            masks=answer.pred_masks,
            semantic=answer.semantic_seg[:, 0],
        )

    @torch.inference_mode()
    def text(
        self, phrases: Sequence[str | None], *, adapter: str | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return features (N, 32, C) and mask (N, 32) of phrases, each encoded once."""
        key = adapter or self.adapters[0]
        new = [phrase for phrase in dict.fromkeys(phrases) if (key, phrase) not in self._texts]
        if new:
            ids = self.tokenizer(new).to(self.device)
            mask = padding_free(ids)
            found = self.model.get_text_features(input_ids=ids, attention_mask=mask)
            for row, phrase in enumerate(new):
                self._texts[key, phrase] = (found.pooler_output[row], mask[row])
        rows = [self._texts[key, phrase] for phrase in phrases]
        for phrase in phrases:
            self._texts.move_to_end((key, phrase))
        while len(self._texts) > MAX_PHRASES:
            self._texts.popitem(last=False)
        return torch.stack([row[0] for row in rows]), torch.stack([row[1] for row in rows])

    @contextmanager
    def _under(self, adapter: str | None) -> Iterator[None]:
        """Run as base or with the adapter.

        Raises:
            ValueError: no such adapter here.
        """
        name = adapter or self.adapters[0]
        if name not in self.adapters:
            raise ValueError(f"no adapter {name!r}; there are {', '.join(self.adapters)}")
        off = self._wrapped is not None and name == BASE
        with self._wrapped.disable_adapter() if off and self._wrapped else nullcontext():
            yield


def _provide_roi_align() -> None:
    """Stand in for torchvision where transformers looks for it; it uses nothing else of it."""
    module: Any = modeling_sam3
    module.torchvision = SimpleNamespace(ops=SimpleNamespace(roi_align=roi_align))


def boxes_of(questions: Sequence[DetectorPrompt]) -> tuple[Tensor, Tensor]:
    """Return boxes (N, K, 4) and labels (N, K), padded; K is at least 1."""
    most = max(1, *(len(each.boxes) for each in questions))
    boxes = torch.tensor(PLACEHOLDER).repeat(len(questions), most, 1)
    labels = torch.full((len(questions), most), NO_BOX, dtype=torch.int64)
    for row, each in enumerate(questions):
        for place, (box, positive) in enumerate(zip(each.boxes, each.positive, strict=True)):
            boxes[row, place] = torch.tensor(box)
            labels[row, place] = int(positive)
    return boxes, labels


def _repeated(features: Sam3VisionEncoderOutput, count: int) -> Sam3VisionEncoderOutput:
    """Show one picture to several questions, without a copy."""
    return Sam3VisionEncoderOutput(
        fpn_hidden_states=tuple(x.expand(count, -1, -1, -1) for x in features.fpn_hidden_states),
        fpn_position_encoding=tuple(
            x.expand(count, -1, -1, -1) for x in features.fpn_position_encoding
        ),
    )

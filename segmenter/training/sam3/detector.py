"""SAM 3's detector with gradients, from encoded pictures, and every layer's answers.

Encoders, the neck of the image encoder and the text's projection are frozen.
"""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, PeftModel
from torch import Tensor, nn
from transformers.models.sam3.modeling_sam3 import Sam3VisionEncoderOutput, inverse_sigmoid

from segmenter.backends.sam3 import adapter as sam3_adapter
from segmenter.backends.sam3.network import DetectorPrompt, Sam3Network, boxes_of
from segmenter.training.sam3.settings import LoraSettings

TRAINED = (
    "geometry_encoder",
    "detr_encoder",
    "detr_decoder",
    "mask_decoder",
    "dot_product_scoring",
)
# Linear layers of these that get a low-rank change. Source: reference/sam3.md, section 5.
LORA_LAYERS = (
    rf"({'|'.join(TRAINED)})"
    r".*(q_proj|k_proj|v_proj|o_proj|fc1|fc2|text_proj|query_proj)"
)


class Answers(NamedTuple):
    """To N questions, of L decoder layers with Q queries each; all float32.

    Attributes:
        logits: shape (L, N, Q).
        presence: logits, shape (L, N).
        boxes: centre x, centre y, width, height in [0, 1], shape (L, N, Q, 4).
        masks: logits of the last layer, shape (N, Q, h, w).
    """

    logits: Tensor
    presence: Tensor
    boxes: Tensor
    masks: Tensor


class Detector:
    """The trainable part of a network.

    Attributes:
        network: whose `model` is trained in place.
        wrapped: the adapter around it; None when the detector itself is trained.
    """

    def __init__(self, network: Sam3Network, lora: LoraSettings | None) -> None:
        """Freeze all but what is trained.

        Args:
            network: without an adapter.
            lora: sizes of a new adapter; None to train the detector as a whole.
        """
        self.network = network
        model: nn.Module = network.model
        model.requires_grad_(False)
        self.wrapped: PeftModel | None = None
        if lora is None:
            for part in TRAINED:
                getattr(model, part).requires_grad_(True)
        else:
            config: Any = LoraConfig(
                r=lora.rank,
                lora_alpha=lora.alpha,  # type: ignore[arg-type]
                lora_dropout=lora.dropout,
                target_modules=LORA_LAYERS,
            )
            self.wrapped = sam3_adapter.wrap(model, config)

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return what is trained, by name."""
        named: Iterator[tuple[str, nn.Parameter]] = self.network.model.named_parameters()
        return {name: each for name, each in named if each.requires_grad}

    def train(self, mode: bool) -> None:
        """Switch dropout of the trained parts on or off."""
        for part in TRAINED:
            getattr(self.network.model, part).train(mode)

    def answer(self, encoded: Sequence[Tensor], questions: Sequence[DetectorPrompt]) -> Answers:
        """Answer questions, each about a picture of its own.

        Args:
            encoded: output of the image encoder for each, shape (1, tokens, width).
            questions: as many.
        """
        network, model = self.network, self.network.model
        boxes, labels = boxes_of(questions)
        texts, mask = network.text([each.phrase for each in questions])
        kept: dict[str, Any] = {}
        hooks = [
            getattr(model, name).register_forward_hook(
                lambda _module, _inputs, output, name=name: kept.update({name: output})
            )
            for name in ("detr_decoder", "dot_product_scoring")
        ]
        try:
            found = model(
                vision_embeds=self._features(encoded),
                text_embeds=SimpleNamespace(pooler_output=texts.clone()),
                attention_mask=mask.clone(),
                input_boxes=boxes.to(network.device),
                input_boxes_labels=labels.to(network.device),
            )
        finally:
            for hook in hooks:
                hook.remove()
        decoded = kept["detr_decoder"]
        moved = model.detr_decoder.box_head(decoded.intermediate_hidden_states)
        boxes = inverse_sigmoid(decoded.reference_boxes.float()) + moved.float()
        return Answers(
            logits=kept["dot_product_scoring"].squeeze(-1).float(),
            presence=decoded.presence_logits.squeeze(-1).float(),
            boxes=boxes.sigmoid(),
            masks=found.pred_masks.float(),
        )

    def _features(self, encoded: Sequence[Tensor]) -> Sam3VisionEncoderOutput:
        """Run the frozen neck on several pictures."""
        with torch.no_grad():
            whole = torch.cat(list(encoded)).to(self.network.device, self.network.vision_dtype)
            made = self.network.features(whole)
            # Made for inference, they could not be used where gradients are kept.
            return Sam3VisionEncoderOutput(
                fpn_hidden_states=tuple(each.clone() for each in made.fpn_hidden_states),
                fpn_position_encoding=tuple(each.clone() for each in made.fpn_position_encoding),
            )

"""SAM 3's tracker on one picture: an object by points, a box or its earlier mask.

It reads the vision transformer's output that the detector reads, through a neck of its own.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

# Labels of the prompt encoder.
POSITIVE, NEGATIVE, PADDING = 1, 0, -1
# Its pixels' centres are at halves, ours at whole numbers.
HALF = 0.5


class ObjectPrompt(NamedTuple):
    """What shows an object; all in shares of the picture's sides, [0, 1].

    Attributes:
        points: (x, y) each.
        positive: for each whether it is on the object.
        box: xyxy.
        mask: logits at any size, shape (h, w).
    """

    points: tuple[tuple[float, float], ...] = ()
    positive: tuple[bool, ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask: Tensor | None = None


class ObjectMasks(NamedTuple):
    """What was drawn for one prompt, on the CPU in float32.

    Attributes:
        logits: of each reading of the prompt, shape (K, h, w).
        iou: expected of each, shape (K,).
        object_score: logit that there is an object at all.
    """

    logits: Tensor
    iou: Tensor
    object_score: float


class TrackerFeatures(NamedTuple):
    """What the tracker sees of a picture.

    Attributes:
        levels: shapes (1, C/8, 4g, 4g), (1, C/4, 2g, 2g), (1, C, g, g), fine to coarse.
        positions: encodings of the same sides.
    """

    levels: tuple[Tensor, ...]
    positions: tuple[Tensor, ...]


class Sam3Tracker:
    """The tracker and its neck; one call at a time.

    Attributes:
        model: `Sam3TrackerVideoModel` without a vision encoder.
        neck: its feature pyramid.
    """

    def __init__(self, model: Any, neck: Any) -> None:
        """Hold both, in float32 on one device."""
        self.model = model
        self.neck = neck

    @property
    def image_size(self) -> int:
        """Side of the square picture, pixels."""
        return int(self.model.image_size)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        device: torch.device = self.model.no_memory_embedding.device
        return device

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move it, in place."""
        self.model.to(device=device, dtype=dtype)
        self.neck.to(device=device, dtype=dtype)

    @torch.inference_mode()
    def features(self, encoded: Tensor) -> TrackerFeatures:
        """Run the neck on the vision transformer's output, shape (1, tokens, width).

        Source: `Sam3VideoModel.get_vision_features_for_tracker` of transformers.
        """
        count, tokens, width = encoded.shape
        side = round(tokens**0.5)
        dtype = self.model.no_memory_embedding.dtype
        grid = encoded.to(dtype).view(count, side, side, width).permute(0, 3, 1, 2)
        states, positions = self.neck(grid)
        decoder = self.model.mask_decoder
        levels = (decoder.conv_s0(states[0]), decoder.conv_s1(states[1]), states[2])
        return TrackerFeatures(levels, tuple(positions[:3]))

    @torch.inference_mode()
    def segment(self, encoded: Tensor, prompts: Sequence[ObjectPrompt]) -> list[ObjectMasks]:
        """Draw the object of each prompt, in order.

        Args:
            encoded: the vision transformer's output of one picture, shape (1, tokens, width).
            prompts: at least one point, box or mask each.
        """
        features = self.features(encoded)
        return [self._draw(features, prompt) for prompt in prompts]

    def _draw(self, features: TrackerFeatures, prompt: ObjectPrompt) -> ObjectMasks:
        model: Any = self.model
        coarse = features.levels[-1]
        # A picture alone has no memory; the model was trained with this in its place.
        image = coarse + model.no_memory_embedding.view(1, -1, 1, 1)
        sparse, dense = model.prompt_encoder(*self._asked(prompt, coarse))
        masks, iou, _, score = model.mask_decoder(
            image_embeddings=image,
            image_positional_embeddings=model.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=is_ambiguous(prompt),
            high_resolution_features=list(features.levels[:-1]),
        )
        return ObjectMasks(
            logits=masks[0, 0].float().cpu(),
            iou=iou[0, 0].float().cpu(),
            object_score=float(score.flatten()[0]),
        )

    def _asked(
        self, prompt: ObjectPrompt, like: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
        """Return points, labels, box and mask as the prompt encoder takes them."""
        side, points, labels = float(self.image_size), None, None
        if prompt.points or prompt.box is None:
            # Without any point one that is none stands in their place.
            where = prompt.points or ((HALF / side, HALF / side),)
            signs = [POSITIVE if sign else NEGATIVE for sign in prompt.positive] or [PADDING]
            points = like.new_tensor(where).mul(side).sub(HALF)[None, None]
            labels = torch.tensor(signs, device=like.device)[None, None]
        box = None
        if prompt.box is not None:
            box = like.new_tensor(prompt.box).mul(side).sub(HALF)[None, None]
        return points, labels, box, self._mask(prompt.mask, like)

    def _mask(self, mask: Tensor | None, like: Tensor) -> Tensor | None:
        if mask is None:
            return None
        size = self.model.prompt_encoder.mask_input_size
        small = functional.interpolate(
            mask[None, None].float(),
            size=size,
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )
        return small.to(like)


def is_ambiguous(prompt: ObjectPrompt) -> bool:
    """Tell whether several readings of a prompt are worth drawing: one click alone.

    Source: Kirillov et al. (2023), Segment Anything, section 3: several masks for an ambiguous
    prompt, one for several; `multimask_max_pt_num` 1 in SAM 2's and SAM 3's configurations.
    """
    return len(prompt.points) == 1 and prompt.box is None and prompt.mask is None

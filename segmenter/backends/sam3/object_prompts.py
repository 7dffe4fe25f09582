"""One object by points, a box or its earlier mask: to the tracker's terms and back."""

import torch
from torch import Tensor

from segmenter.backends.contract import Prediction, box_on_image
from segmenter.backends.sam3.postprocess import cut
from segmenter.backends.sam3.tracker import ObjectMasks, ObjectPrompt
from segmenter.contract import Prompt, Rle
from segmenter.errors import InvalidPrompt
from segmenter.masks import rle

# A mask that a person or an earlier call drew is sure of itself: 10 inside, -10 outside.
# Source: facebookresearch/sam2, SAM2Base._use_mask_as_output (scale 20, bias -10).
SURE = 10.0


def to_object_prompt(prompt: Prompt, shape: tuple[int, int]) -> ObjectPrompt:
    """Return a prompt in the tracker's terms.

    Args:
        prompt: for one object.
        shape: (H, W) of the picture.

    Raises:
        InvalidPrompt: a box that is not on the image, or a mask that is none of it.
    """
    height, width = shape
    box = None
    if prompt.boxes:
        inside = box_on_image(prompt.boxes[0].box, shape)
        box = (inside.x0 / width, inside.y0 / height, inside.x1 / width, inside.y1 / height)
    return ObjectPrompt(
        points=tuple((point.x / width, point.y / height) for point in prompt.points),
        positive=tuple(point.label == "positive" for point in prompt.points),
        box=box,
        mask=None if prompt.mask is None else _logits(prompt.mask, shape),
    )


def _logits(mask: Rle, shape: tuple[int, int]) -> Tensor:
    if mask.size != shape:
        raise InvalidPrompt(f"a mask of {mask.size} for an image of {shape}", field="mask")
    try:
        pixels = rle.decode(mask)
    except ValueError as error:
        raise InvalidPrompt(f"the mask is no run lengths: {error}", field="mask") from None
    return torch.from_numpy(pixels).float() * (2 * SURE) - SURE


def to_object(found: ObjectMasks, shape: tuple[int, int], threshold: float) -> Prediction:
    """Turn what the tracker drew into masks, the surest first.

    Args:
        found: for one prompt; of several masks each is a reading of what was meant.
        shape: (H, W) of the picture.
        threshold: of expected IoU x belief that there is an object, [0, 1].
    """
    presence = float(torch.tensor(found.object_score).sigmoid())
    order = found.iou.argsort(descending=True)
    scores = found.iou[order].float().clamp(0.0, 1.0)
    good = order[scores * presence >= threshold]
    masks = tuple(cut(found.logits[good], found.iou[good].float().clamp(0, 1), shape, "sam3"))
    best = float(scores.max()) * presence
    reason = None if masks else f"the best mask scores {best:.2f}, threshold {threshold:.2f}"
    return Prediction(masks, None, presence, reason=reason)

"""The losses of SAM 3's detector.

Source: facebookresearch/sam3 and Joey-S-Liu/MedSAM3, as reference/sam3.md, section 5, sums them up.
All but masks are taken on every layer of the decoder, masks on the last one.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from transformers.loss import loss_for_object_detection

from segmenter.training.sam3.detector import Answers
from segmenter.training.sam3.matching import Match, match
from segmenter.training.sam3.settings import LossSettings

# It is not typed.
detr: Any = loss_for_object_detection
# Target of a matched query: probability and IoU, the one that is right where it believes so.
POWER_OF_BELIEF, POWER_OF_IOU = 0.25, 0.75
POSITIVE_WEIGHT = 10.0
GAMMA = 2.0


class Target(NamedTuple):
    """The objects of one question.

    Attributes:
        boxes: centre x, centre y, width, height in [0, 1], shape (N, 4).
        masks: 0 or 1, float32, shape (N, h, w), at the size of the model's masks.
    """

    boxes: Tensor
    masks: Tensor


class Losses(NamedTuple):
    """Weighted terms, and their sum."""

    total: Tensor
    classification: Tensor
    presence: Tensor
    box_l1: Tensor
    box_giou: Tensor
    mask_focal: Tensor
    mask_dice: Tensor


def detector_losses(answers: Answers, targets: Sequence[Target], weights: LossSettings) -> Losses:
    """Return the losses of a batch of questions, each target normalised by all objects.

    Args:
        answers: to as many questions as there are targets.
        targets: without an object where the phrase is not in the picture.
        weights: of the terms.
    """
    count = max(1, sum(len(target.boxes) for target in targets))
    zero = answers.masks.sum() * 0.0
    sums = dict.fromkeys(Losses._fields[1:], zero)
    layers = len(answers.logits)
    for layer in range(layers):
        for row, target in enumerate(targets):
            logits, boxes = answers.logits[layer, row], answers.boxes[layer, row]
            pairs = match(logits, boxes, target.boxes, weights)
            terms = {
                "classification": weights.classification
                * classification_loss(logits, boxes, target.boxes, pairs)
                / count,
                "presence": weights.presence
                * presence_loss(answers.presence[layer, row], present=len(target.boxes) > 0)
                / len(targets),
                **box_terms(boxes, target.boxes, pairs, weights, count),
            }
            if layer == layers - 1:
                terms |= mask_terms(answers.masks[row], target.masks, pairs, weights, count)
            sums = {name: value + terms.get(name, zero) for name, value in sums.items()}
    total = torch.stack(list(sums.values())).sum()
    return Losses(total, **sums)


def classification_loss(logits: Tensor, boxes: Tensor, targets: Tensor, pairs: Match) -> Tensor:
    """Return the sum over the queries of one question; 0 where there is no object.

    Args:
        logits: shape (Q,).
        boxes: of the queries, centre and size in [0, 1], shape (Q, 4).
        targets: of the objects, likewise, shape (N, 4).
        pairs: which query answers for which object.
    """
    if not len(targets):
        return logits.sum() * 0.0
    probability = logits.detach().sigmoid()
    found, truth = boxes.detach()[pairs.queries], targets[pairs.objects]
    overlap = detr.box_iou(
        detr.center_to_corners_format(found), detr.center_to_corners_format(truth)
    )[0].diag()
    wanted, matched = torch.zeros_like(logits), torch.zeros_like(logits)
    wanted[pairs.queries] = (
        probability[pairs.queries] ** POWER_OF_BELIEF * overlap**POWER_OF_IOU
    ).to(logits.dtype)
    matched[pairs.queries] = 1.0
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    weight = matched * POSITIVE_WEIGHT + (1 - matched) * probability**GAMMA
    return (weight * entropy).sum()


def presence_loss(logit: Tensor, *, present: bool) -> Tensor:
    """Return the cross-entropy of one question's presence."""
    wanted = torch.full_like(logit, float(present))
    return functional.binary_cross_entropy_with_logits(logit, wanted)


def box_terms(
    boxes: Tensor, targets: Tensor, pairs: Match, weights: LossSettings, count: int
) -> dict[str, Tensor]:
    """Return the weighted distance and overlap of the matched boxes; shapes (Q or N, 4)."""
    found, wanted = boxes[pairs.queries], targets[pairs.objects]
    overlap = detr.generalized_box_iou(
        detr.center_to_corners_format(found), detr.center_to_corners_format(wanted)
    ).diag()
    return {
        "box_l1": weights.box_l1 * (found - wanted).abs().sum() / count,
        "box_giou": weights.box_giou * (1 - overlap).sum() / count,
    }


def mask_terms(
    masks: Tensor, targets: Tensor, pairs: Match, weights: LossSettings, count: int
) -> dict[str, Tensor]:
    """Return the weighted focal and Dice loss of the matched masks; shapes (Q or N, h, w)."""
    found = masks[pairs.queries].float().flatten(1)
    wanted = targets[pairs.objects].flatten(1)
    return {
        "mask_focal": weights.mask_focal * detr.sigmoid_focal_loss(found, wanted, count),
        "mask_dice": weights.mask_dice * detr.dice_loss(found, wanted, count),
    }

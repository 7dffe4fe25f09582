"""The losses of SAM 3's detector.

Source: facebookresearch/sam3 and Joey-S-Liu/MedSAM3, as reference/sam3.md, section 5, sums them up.
All but masks are taken on every layer of the decoder, masks on the last one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from segmenter.training.sam3.detector import Answers
from segmenter.training.sam3.matching import Match, giou, iou, match, to_corners
from segmenter.training.sam3.settings import LossSettings

# Target of a matched query: probability and IoU, the one that is right where it believes so.
POWER_OF_BELIEF, POWER_OF_IOU = 0.25, 0.75
POSITIVE_WEIGHT = 10.0
GAMMA = 2.0
MASK_ALPHA = 0.25


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
                **_box_terms(boxes, target.boxes, pairs, weights, count),
            }
            if layer == layers - 1:
                terms |= _mask_terms(answers.masks[row], target.masks, pairs, weights, count)
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
    overlap = iou(to_corners(boxes.detach()[pairs.queries]), to_corners(targets[pairs.objects]))
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


def _box_terms(
    boxes: Tensor, targets: Tensor, pairs: Match, weights: LossSettings, count: int
) -> dict[str, Tensor]:
    found, wanted = boxes[pairs.queries], targets[pairs.objects]
    overlap = giou(to_corners(found), to_corners(wanted))
    return {
        "box_l1": weights.box_l1 * (found - wanted).abs().sum() / count,
        "box_giou": weights.box_giou * (1 - overlap).sum() / count,
    }


def _mask_terms(
    masks: Tensor, targets: Tensor, pairs: Match, weights: LossSettings, count: int
) -> dict[str, Tensor]:
    found, wanted = masks[pairs.queries].float(), targets[pairs.objects]
    return {
        "mask_focal": weights.mask_focal * mask_focal_loss(found, wanted).sum() / count,
        "mask_dice": weights.mask_dice * mask_dice_loss(found, wanted).sum() / count,
    }


def mask_focal_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean over the pixels of each mask: shapes (K, h, w) to (K,).

    Source: Lin et al. (2017), Focal Loss for Dense Object Detection.
    """
    probability = logits.sigmoid()
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    right = probability * wanted + (1 - probability) * (1 - wanted)
    alpha = MASK_ALPHA * wanted + (1 - MASK_ALPHA) * (1 - wanted)
    return (alpha * (1 - right) ** GAMMA * entropy).flatten(1).mean(1)


def mask_dice_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return 1 - (2 shared + 1) / (sum + 1) of each mask: shapes (K, h, w) to (K,).

    Source: Milletari et al. (2016), V-Net; with the 1 of DETR.
    """
    probability, wanted = logits.sigmoid().flatten(1), wanted.flatten(1)
    shared = (probability * wanted).sum(1)
    return 1 - (2 * shared + 1) / (probability.sum(1) + wanted.sum(1) + 1)

"""What a prediction costs: mask overlap on positives, presence on all, emptiness on negatives."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from segmenter.training.compact.settings import LossSettings


class Losses(NamedTuple):
    """Scalars of one batch; ``total`` is what is minimised."""

    total: Tensor
    cross_entropy: Tensor
    dice: Tensor
    presence: Tensor


def soft_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return 1 - Dice on probabilities, per sample.

    Args:
        logits: float32, shape (N, 1, S, S).
        target: float32, same shape, 0 or 1.

    Source: V-Net, Milletari et al. (2016), arXiv:1606.04797, eq. 3.
    """
    probability = logits.sigmoid()
    overlap = (probability * target).sum(dim=(1, 2, 3))
    total = (probability**2).sum(dim=(1, 2, 3)) + target.sum(dim=(1, 2, 3))
    # One pixel of smoothing keeps the gradient of tiny targets finite.
    return 1 - (2 * overlap + 1) / (total + 1)


def compute(
    logits: Tensor, presence: Tensor, target: Tensor, known: Tensor, *, weights: LossSettings
) -> Losses:
    """Return the losses of one batch.

    Args:
        logits: float32, shape (N, 1, S, S), masks.
        presence: float32, shape (N, 1), presence.
        target: float32, shape (N, 1, S, S), 0 or 1.
        known: float32, shape (N,), 0 where the crop cut so much away that presence is a matter
            of opinion, else 1.
        weights: of the terms.
    """
    positive = target.flatten(1).amax(dim=1)
    pixels = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    share = positive + (1 - positive) * weights.empty
    cross_entropy = (pixels.mean(dim=(1, 2, 3)) * share).mean()
    dice = (soft_dice_loss(logits, target) * positive).sum() / positive.sum().clamp(min=1)
    each = functional.binary_cross_entropy_with_logits(
        presence[:, 0], positive, weight=known, reduction="sum"
    )
    seen = each / torch.clamp(known.sum(), min=1)
    total = cross_entropy + weights.dice * dice + weights.presence * seen
    return Losses(total, cross_entropy, dice, seen)

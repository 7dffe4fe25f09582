"""Which query answers for which object: the assignment of least cost.

Source: Carion et al. (2020), DETR, section 3.1, with the focal class cost of Deformable DETR (Zhu
et al., 2021); weights as in facebookresearch/sam3.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers.loss.loss_deformable_detr import DeformableDetrHungarianMatcher

from segmenter.training.sam3.settings import LossSettings


class Match(NamedTuple):
    """Pairs of one question.

    Attributes:
        queries: int64, shape (K,).
        objects: int64, shape (K,), of the same pairs.
    """

    queries: Tensor
    objects: Tensor


def match(logits: Tensor, boxes: Tensor, targets: Tensor, weights: LossSettings) -> Match:
    """Assign each object a query of its own.

    Args:
        logits: of one question's queries, shape (Q,).
        boxes: centre x, centre y, width, height in [0, 1], shape (Q, 4).
        targets: the objects' boxes likewise, shape (N, 4); N at most Q counts.
        weights: of the terms of the cost.
    """
    labels = torch.zeros(len(targets), dtype=torch.int64, device=logits.device)
    if not len(targets):
        return Match(labels, labels)
    matcher: Any = DeformableDetrHungarianMatcher(
        weights.cost_class, weights.cost_l1, weights.cost_giou
    )
    [pairs] = matcher(
        {"logits": logits.float()[None, :, None], "pred_boxes": boxes.float()[None]},
        [{"class_labels": labels, "boxes": targets.float()}],
    )
    return Match(*(numbers.to(logits.device) for numbers in pairs))

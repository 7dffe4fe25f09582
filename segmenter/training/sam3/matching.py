"""Which query answers for which object: the assignment of least cost.

Source: Carion et al. (2020), DETR, section 3.1, with the focal class cost of Deformable DETR (Zhu
et al., 2021); weights as in facebookresearch/sam3.
"""

from typing import NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from segmenter.training.sam3.settings import LossSettings

ALPHA, GAMMA = 0.25, 2.0
TINY = 1e-8


class Match(NamedTuple):
    """Pairs of one question.

    Attributes:
        queries: int64, shape (K,).
        objects: int64, shape (K,), of the same pairs.
    """

    queries: Tensor
    objects: Tensor


@torch.no_grad()
def match(logits: Tensor, boxes: Tensor, targets: Tensor, weights: LossSettings) -> Match:
    """Assign each object a query of its own.

    Args:
        logits: of one question's queries, shape (Q,).
        boxes: centre x, centre y, width, height in [0, 1], shape (Q, 4).
        targets: the objects' boxes likewise, shape (N, 4); N at most Q counts.
        weights: of the terms of the cost.
    """
    if not len(targets):
        none = torch.zeros(0, dtype=torch.int64, device=logits.device)
        return Match(none, none)
    probability = logits.float().sigmoid()[:, None]
    hit = ALPHA * (1 - probability) ** GAMMA * -(probability + TINY).log()
    miss = (1 - ALPHA) * probability**GAMMA * -(1 - probability + TINY).log()
    distance = torch.cdist(boxes.float(), targets.float(), p=1)
    overlap = pairwise_giou(to_corners(boxes.float()), to_corners(targets.float()))
    cost = (
        weights.cost_class * (hit - miss) + weights.cost_l1 * distance - weights.cost_giou * overlap
    )
    rows, columns = linear_sum_assignment(cost.cpu().numpy())
    device = logits.device
    return Match(torch.as_tensor(rows, device=device), torch.as_tensor(columns, device=device))


def to_corners(boxes: Tensor) -> Tensor:
    """Turn (centre x, centre y, width, height) into (x0, y0, x1, y1), shape (..., 4)."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def pairwise_giou(first: Tensor, second: Tensor) -> Tensor:
    """Return the generalised IoU of every pair of xyxy boxes: shape (Q, N), in [-1, 1].

    Source: Rezatofighi et al. (2019), Generalized Intersection over Union.
    """
    return giou(first[:, None], second[None])


def giou(first: Tensor, second: Tensor) -> Tensor:
    """Return the generalised IoU of xyxy boxes pair by pair; shapes (..., 4) that broadcast."""
    union, shared = _union(first, second)
    low = torch.minimum(first[..., :2], second[..., :2])
    high = torch.maximum(first[..., 2:], second[..., 2:])
    hull = (high - low).clamp(min=0).prod(-1)
    return shared / (union + TINY) - (hull - union) / (hull + TINY)


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the IoU of xyxy boxes pair by pair; shapes (..., 4) that broadcast."""
    union, shared = _union(first, second)
    return shared / (union + TINY)


def _union(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = [(box[..., 2:] - box[..., :2]).clamp(min=0).prod(-1) for box in (first, second)]
    return areas[0] + areas[1] - shared, shared

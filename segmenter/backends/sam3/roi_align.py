"""ROI align in plain torch: torchvision has no CPU build, and SAM 3 needs but this of it."""

from collections.abc import Sequence

import torch
from torch import Tensor


def roi_align(features: Tensor, boxes: Sequence[Tensor], output_size: int) -> Tensor:
    """Average bilinear samples in the cells of a grid laid over each box.

    As torchvision's ``roi_align`` with its defaults: boxes in feature pixels (``spatial_scale``
    1), not shifted by half a pixel (``aligned=False``), so at least one pixel wide and high, and
    as many samples per cell and axis as it spans pixels (``sampling_ratio`` -1).

    Args:
        features: float, shape (N, C, H, W).
        boxes: for each of the N, float, shape (K, 4), xyxy.
        output_size: cells per axis.

    Returns:
        Shape (sum of K, C, output_size, output_size), dtype of the features.

    Source: He et al. (2017), Mask R-CNN, section 3; the definition of torchvision 0.28.
    """
    rows = [
        _align(image, box, output_size)
        for image, own in zip(features, boxes, strict=True)
        for box in own.float()
    ]
    if not rows:
        return features.new_zeros((0, features.shape[1], output_size, output_size))
    return torch.stack(rows).to(features.dtype)


def _align(image: Tensor, box: Tensor, cells: int) -> Tensor:
    """Return the cells of one box: float32, shape (C, cells, cells)."""
    across = _weights(box[0], box[2], image.shape[2], cells)
    down = _weights(box[1], box[3], image.shape[1], cells)
    return torch.einsum("ih,chw,jw->cij", down, image.float(), across)


def _weights(start: Tensor, end: Tensor, size: int, cells: int) -> Tensor:
    """Return how much each pixel along one axis counts in each cell: float32, (cells, size)."""
    step = torch.clamp(end - start, min=1.0) / cells
    samples = int(torch.ceil(step))
    offsets = (torch.arange(samples, device=start.device) + 0.5) / samples
    places = start + (torch.arange(cells, device=start.device)[:, None] + offsets) * step
    # A sample more than a pixel off the picture counts as 0; nearer ones see its edge.
    inside = (places >= -1.0) & (places <= size)
    low = places.clamp(min=0).floor().clamp(max=size - 1)
    share = torch.where(low >= size - 1, torch.zeros_like(places), places.clamp(min=0) - low)
    high = (low + 1).clamp(max=size - 1)
    weights = torch.zeros((cells, samples, size), device=start.device)
    weights.scatter_add_(2, low.long()[..., None], ((1 - share) * inside)[..., None])
    weights.scatter_add_(2, high.long()[..., None], (share * inside)[..., None])
    return weights.mean(dim=1)

"""Small holes and specks of masks that the tracker draws: filled and wiped out."""

import numpy as np
import torch
from torch import Tensor

from segmenter.contract import BinaryMask
from segmenter.masks.components import components

# Pixels of the head's own mask, of 288 x 288. Source: `fill_hole_area` in Sam3VideoConfig.
SMALL_AREA = 16
# Just inside and just outside. Source: fill_holes_in_mask_scores of facebookresearch/sam2.
BARELY = 0.1


def tidy(logits: Tensor) -> Tensor:
    """Fill holes and wipe out specks of at most `SMALL_AREA` pixels.

    Args:
        logits: shape (h, w).
    """
    inside = (logits > 0).cpu().numpy()
    tidied = logits.clone()
    tidied[torch.from_numpy(small_parts(~inside)).to(logits.device)] = BARELY
    tidied[torch.from_numpy(small_parts(inside)).to(logits.device)] = -BARELY
    return tidied


def small_parts(mask: BinaryMask) -> BinaryMask:
    """Return the pixels of components of at most `SMALL_AREA` pixels: bool, shape (h, w).

    Neighbours also over the corner, as in the original's connected components.
    """
    found = components(mask)
    return found.mask_of(np.flatnonzero((found.areas > 0) & (found.areas <= SMALL_AREA)))

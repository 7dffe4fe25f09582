"""Small holes and specks of masks that the tracker draws: filled and wiped out."""

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

# Pixels of the head's own mask, of 288 x 288. Source: `fill_hole_area` in Sam3VideoConfig.
SMALL_AREA = 16
# Just inside and just outside. Source: fill_holes_in_mask_scores of facebookresearch/sam2.
BARELY = 0.1
# Neighbours also over the corner, as in the original's connected components.
CORNERS = np.ones((3, 3), dtype=bool)


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


def small_parts(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the pixels of components of at most `SMALL_AREA` pixels: bool, shape (h, w)."""
    labels, count = ndimage.label(mask, structure=CORNERS)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    small = areas <= SMALL_AREA
    small[0] = False
    found: npt.NDArray[np.bool_] = small[labels]
    return found

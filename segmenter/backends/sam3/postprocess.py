"""From mask logits to masks of the picture, by the rule of SAM 3 or of MedSAM-3."""

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from segmenter.backends.contract import PredictedMask
from segmenter.backends.sam3.preprocess import to_picture
from segmenter.contract import BinaryMask, Postprocess

# Logits of probability 0.65 and 0.35; the stability of a mask compares the two cuts.
STABLE = float(np.log(0.65 / 0.35))


def cut(
    logits: Tensor, scores: Tensor, shape: tuple[int, int], postprocess: Postprocess
) -> Iterator[PredictedMask]:
    """Cut masks at probability 0.5, one at a time; those without a pixel are left out.

    Args:
        logits: shape (K, h, w).
        scores: of each, [0, 1], shape (K,).
        shape: (H, W) of the picture.
        postprocess: ``sam3`` resizes logits and cuts them, ``medsam3`` cuts before and after
            resizing. Source: the image processor of facebookresearch/sam3, and infer_sam.py of
            Joey-S-Liu/MedSAM3.
    """
    for each, score in zip(logits, scores.tolist(), strict=True):
        large = to_picture(each[None], shape)[0].cpu().numpy()
        mask = large > 0
        if postprocess == "medsam3":
            mask = to_picture((each > 0)[None], shape)[0].cpu().numpy() > 0.5
        if mask.any():
            surest, widest = int((large > STABLE).sum()), int((large > -STABLE).sum())
            yield PredictedMask(mask, score, surest / max(widest, 1))


def cut_one(logits: Tensor, shape: tuple[int, int]) -> BinaryMask:
    """Cut one mask at probability 0.5: logits of shape (h, w) to bool (H, W); may be empty."""
    mask: BinaryMask = to_picture(logits[None], shape)[0].cpu().numpy() > 0
    return mask

"""Fixed validation views and the Dice on them, quick enough to look at while training."""

import hashlib
from collections import Counter
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from segmenter.training.compact import augment
from segmenter.training.compact.network import Compact
from segmenter.training.compact.views import NO_BOX, View
from segmenter.training.concepts import CONCEPTS
from segmenter.training.dataset import Sample

BATCH = 16
# Map [0, 255] to [-2, 2]; exported with the weights.
PIXEL_OFFSET = 127.5
PIXEL_SCALE = 63.75
# Crop side over box side; the middle of what training draws.
ZOOM_FACTOR = 1.6


class Check(NamedTuple):
    """Validation of one set and concept; Dice is the mean over images with a target.

    Attributes:
        dataset: name of the set.
        concept: name of the concept.
        prompt: ``T`` or ``T+I``.
        images: with a target.
        dice: [0, 1]; NaN without such images.
        present: mean presence where there is a target, [0, 1]; NaN without.
        absent: mean presence where there is none, [0, 1]; NaN without.
    """

    dataset: str
    concept: str
    prompt: str
    images: int
    dice: float
    present: float
    absent: float


class FixedView(NamedTuple):
    """A view and where it belongs."""

    sample: Sample
    prompt: str
    view: View


def fixed_views(samples: list[Sample], per_concept: int, side: int) -> list[FixedView]:
    """Return text views of some samples of each set and concept, and the zoomed ones.

    The samples come in the order of a hash of their names: manifests are sorted by diagnosis.
    """
    taken: Counter[tuple[str, str]] = Counter()
    chosen = []
    for sample in sorted(samples, key=_digest):
        key = (sample.row.dataset, sample.row.concept)
        if taken[key] >= per_concept:
            continue
        taken[key] += 1
        rgb, target = augment.squash(sample.rgb, sample.mask, side)
        chosen.append(FixedView(sample, "T", View(rgb, target, NO_BOX, sample.concept, 1.0)))
        if len(sample.boxes):
            chosen.append(FixedView(sample, "T+I", zoomed_view(sample, side)))
    return chosen


def _digest(sample: Sample) -> str:
    return hashlib.sha256(f"{sample.row.id}:{sample.row.concept}".encode()).hexdigest()


def zoomed_view(sample: Sample, side: int) -> View:
    """Return the crop around the largest piece, with its tight box."""
    box = sample.boxes[0]
    single = not CONCEPTS[sample.concept].multiple
    mask = augment.keep_inside(sample.mask, box) if single else sample.mask
    crop = augment.zoom_side(box, ZOOM_FACTOR, sample.mask.shape)
    centre = (float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2)
    matrix = augment.view_matrix(centre, (crop, crop), side)
    rgb, target = augment.render(sample.rgb, mask, matrix, side)
    corner = np.array([centre[0], centre[1], centre[0], centre[1]]) - crop / 2
    prompt = ((box - corner) * side / crop).astype(np.float32)
    return View(rgb, target, prompt, sample.concept, 1.0)


def to_input(rgb: Tensor, box: Tensor) -> Tensor:
    """Return network input: normalised RGB and the box as a fourth channel.

    Args:
        rgb: uint8, shape (N, S, S, 3).
        box: float32, shape (N, 4), xyxy in view pixels.

    Returns:
        float32, shape (N, 4, S, S), channels last in memory.
    """
    side = rgb.shape[1]
    centres = torch.arange(side) + 0.5
    across = (centres >= box[:, 0:1]) & (centres < box[:, 2:3])
    down = (centres >= box[:, 1:2]) & (centres < box[:, 3:4])
    inside = (down[:, :, None] & across[:, None, :]).float()
    colours = (rgb.float() - PIXEL_OFFSET) / PIXEL_SCALE
    joined = torch.cat([colours, inside[..., None]], dim=3)
    return joined.permute(0, 3, 1, 2)


def check(model: Compact, views: list[FixedView]) -> list[Check]:
    """Return the validation figures, one per set, concept and prompt."""
    rows: dict[tuple[str, str, str], list[tuple[bool, float, float]]] = {}
    for start in range(0, len(views), BATCH):
        part = views[start : start + BATCH]
        for item, score in zip(part, _scores(model, part), strict=True):
            key = (item.sample.row.dataset, item.sample.row.concept, item.prompt)
            rows.setdefault(key, []).append(score)
    return [_summary(key, scores) for key, scores in sorted(rows.items())]


def _scores(model: Compact, part: list[FixedView]) -> list[tuple[bool, float, float]]:
    """Return has-target, Dice and presence of each view."""
    rgb = torch.from_numpy(np.stack([item.view.rgb for item in part]))
    box = torch.from_numpy(np.stack([item.view.box for item in part]))
    concept = torch.tensor([item.view.concept for item in part])
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits, presence = model(to_input(rgb, box), concept)
    target = torch.from_numpy(np.stack([item.view.target for item in part])).bool()
    found = logits[:, 0] > 0
    overlap = (found & target).sum(dim=(1, 2)).float()
    total = found.sum(dim=(1, 2)) + target.sum(dim=(1, 2))
    dice = 2 * overlap / total.clamp(min=1)
    seen = presence[:, 0].float().sigmoid()
    positive = target.flatten(1).any(dim=1)
    return list(zip(positive.tolist(), dice.tolist(), seen.tolist(), strict=True))


def _summary(key: tuple[str, str, str], scores: list[tuple[bool, float, float]]) -> Check:
    dices = [dice for positive, dice, _ in scores if positive]
    return Check(
        *key,
        images=len(dices),
        dice=_mean(dices),
        present=_mean([seen for positive, _, seen in scores if positive]),
        absent=_mean([seen for positive, _, seen in scores if not positive]),
    )


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")

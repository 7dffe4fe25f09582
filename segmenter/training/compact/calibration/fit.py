"""Fits all that belongs to the weights besides the graphs, from raw answers on validation rows."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from segmenter.training.compact.calibration.calibrate import (
    Curve,
    Drawn,
    FloatArray,
    Seen,
    fit_all,
    fit_scores,
    presences,
    score_logits,
    sigmoid,
)
from segmenter.training.compact.calibration.thresholds import (
    Answer,
    Choice,
    Joint,
    choose_cut,
    choose_threshold,
)
from segmenter.training.concepts import CONCEPTS


class Raw(NamedTuple):
    """One answer of an uncalibrated model beside the truth.

    Attributes:
        dataset: name of the set.
        concept: asked for.
        group: of the image.
        kind: ``T`` for text alone, ``T+I`` with the box.
        foreign: whether the modality alone rules the concept out.
        has_target: whether the truth has a pixel.
        dice: of the masks' union, [0, 1].
        logit: of the presence.
        score: highest raw score, [0, 1]; None without a mask.
    """

    dataset: str
    concept: str
    group: str
    kind: str
    foreign: bool
    has_target: bool
    dice: float
    logit: float
    score: float | None


class Tuning(NamedTuple):
    """What was fitted.

    Attributes:
        presence: curve of each concept, from the presence logit.
        score: from the logit of the raw score to the Dice to expect.
        cuts: of the joint score, by concept; a concept without one has the model's threshold.
        threshold: of the joint score, the model's own.
    """

    presence: dict[str, Curve]
    score: Curve
    cuts: dict[str, float]
    threshold: float


def tune(raws: Sequence[Raw]) -> tuple[Tuning, Choice]:
    """Return what was fitted, and what the model's own threshold gives on the rows."""
    texts = [each for each in raws if each.kind == "T"]
    curves = fit_all(to_seen(texts), [concept.name for concept in CONCEPTS])
    score = fit_scores(to_drawn(raws))
    joints = joint_scores(texts, curves, score)
    choice = choose_threshold(
        Answer(f"{row.dataset}: {row.concept}", row.has_target, row.dice, joint)
        for row, joint in zip(texts, joints.tolist(), strict=True)
        # Nearly all foreign questions are refused at any threshold.
        if not row.foreign
    )
    cuts = _cuts(texts, joints, choice.threshold)
    return Tuning(curves, score, cuts, choice.threshold), choice


def _cuts(texts: Sequence[Raw], joints: FloatArray, common: float) -> dict[str, float]:
    rows: dict[str, list[Joint]] = {}
    for row, joint in zip(texts, joints.tolist(), strict=True):
        rows.setdefault(row.concept, []).append(Joint(joint, row.has_target, row.foreign))
    cuts = {name: choose_cut(own, common) for name, own in rows.items()}
    return {name: cut for name, cut in cuts.items() if cut is not None}


def to_seen(texts: Sequence[Raw]) -> list[Seen]:
    """Return the presence questions of text prompts."""
    return [Seen(row.concept, row.group, row.logit, row.has_target, row.foreign) for row in texts]


def to_drawn(raws: Sequence[Raw]) -> list[Drawn]:
    """Return the masks that have a truth; the score is the Dice given that the thing is there."""
    return [
        Drawn(row.group, row.score, row.dice)
        for row in raws
        if row.has_target and row.score is not None
    ]


def joint_scores(texts: Sequence[Raw], curves: dict[str, Curve], score: Curve) -> FloatArray:
    """Return calibrated joint scores, float64, shape (N,), [0, 1]; 0 without a mask."""
    logits = score_logits(np.array([row.score or 0.0 for row in texts]))
    expected = sigmoid(score.slope * logits + score.offset)
    drawn = np.array([row.score is not None for row in texts])
    return np.where(drawn, expected * presences(to_seen(texts), curves), 0.0)

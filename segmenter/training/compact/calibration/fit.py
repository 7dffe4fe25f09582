"""Fits all that belongs to the weights besides the graphs, from raw answers on validation rows."""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from segmenter.training.compact.calibration.calibrate import (
    Curve,
    FloatArray,
    Raw,
    drawn_targets,
    fit_all,
    fit_scores,
    presences,
    score_logits,
)
from segmenter.training.compact.calibration.thresholds import (
    Answer,
    Choice,
    choose_cut,
    choose_threshold,
)
from segmenter.training.concepts import CONCEPTS


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
    curves = fit_all(texts, [concept.name for concept in CONCEPTS])
    score = fit_scores(drawn_targets(raws))
    answers: dict[str, list[Answer]] = {}
    for row, joint in zip(texts, joint_scores(texts, curves, score).tolist(), strict=True):
        group = f"{row.dataset}: {row.concept}"
        answer = Answer(group, row.has_target, row.dice, joint, row.foreign)
        answers.setdefault(row.concept, []).append(answer)
    # Nearly all foreign questions are refused at any threshold.
    choice = choose_threshold(each for each in chain(*answers.values()) if not each.foreign)
    cuts = {name: choose_cut(own, choice.threshold) for name, own in answers.items()}
    known = {name: cut for name, cut in cuts.items() if cut is not None}
    return Tuning(curves, score, known, choice.threshold), choice


def joint_scores(texts: Sequence[Raw], curves: dict[str, Curve], score: Curve) -> FloatArray:
    """Return calibrated joint scores, float64, shape (N,), [0, 1]; 0 without a mask."""
    logits = score_logits(np.array([row.score or 0.0 for row in texts]))
    drawn = np.array([row.score is not None for row in texts])
    return np.where(drawn, score.of(logits) * presences(texts, curves), 0.0)

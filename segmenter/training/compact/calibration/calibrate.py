"""Turns logits into probabilities, and measures how far from honest they are.

Everything is fitted on validation rows only. Rows keep their natural numbers: a probability means
the share of such questions whose answer is yes, and a balanced fit would not say that.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
# Pull of the common curve towards the raw logit, as a ridge on both parameters; keeps the curve
# finite where present and absent do not overlap.
PRIOR = 2.0
# Pull of a concept's curve towards the common one. On the validation rows of compact-2026-11-23,
# cross-fitted: no other of 1, 2, 5 and 20 has a lower calibration error.
CONCEPT_PRIOR = 10.0
MAX_STEPS = 100
MIN_SLOPE = 0.05
# Pull that holds a parameter where it is.
STIFF = 1e9
BINS = 10
# Raw scores at the ends of [0, 1] have a finite logit.
EDGE = 1e-6


class Curve(NamedTuple):
    """probability = sigmoid(slope * logit + offset)."""

    slope: float
    offset: float


PLAIN = Curve(1.0, 0.0)


class Seen(NamedTuple):
    """Presence logit of one question.

    Attributes:
        concept: asked for.
        group: of the image; never divided between fitting and measuring.
        logit: of the network, uncalibrated.
        present: whether it was there.
        foreign: whether the modality alone rules it out, which is easy to tell.
    """

    concept: str
    group: str
    logit: float
    present: bool
    foreign: bool


class Drawn(NamedTuple):
    """Raw score of one mask beside its truth.

    Attributes:
        group: of the image.
        score: raw, [0, 1].
        dice: of the mask, [0, 1].
    """

    group: str
    score: float
    dice: float


def fit(
    logits: FloatArray, wanted: FloatArray, *, towards: Curve = PLAIN, pull: float = PRIOR
) -> Curve:
    """Fit a logistic curve by cross-entropy.

    Args:
        logits: float64, shape (N,).
        wanted: float64, shape (N,), what the curve should give, [0, 1].
        towards: the curve without evidence.
        pull: ridge towards it.

    Source: Platt (1999), Probabilistic outputs for support vector machines; Newton's method
    with halved steps.
    """
    curve = _newton(logits, wanted, np.array(towards), np.array([pull, pull]))
    if curve[0] < MIN_SLOPE:
        # A falling curve would call the likelier the less likely; no evidence here can show that.
        held = np.array([MIN_SLOPE, towards.offset])
        curve = _newton(logits, wanted, held, np.array([STIFF, pull]))
    return Curve(float(curve[0]), float(curve[1]))


def _newton(
    logits: FloatArray, wanted: FloatArray, start: FloatArray, pulls: FloatArray
) -> FloatArray:
    """Return slope and offset with the lowest cross-entropy plus pull towards the start."""
    curve = start.copy()
    design = np.column_stack([logits, np.ones(len(logits))])

    def cost(at: FloatArray) -> float:
        margin = design @ at
        entropy = (np.logaddexp(0, margin) - wanted * margin).sum()
        return float(entropy + (pulls * (at - start) ** 2).sum() / 2)

    for _ in range(MAX_STEPS):
        chance = sigmoid(design @ curve)
        gradient = design.T @ (chance - wanted) + pulls * (curve - start)
        bend = design.T @ (design * (chance * (1 - chance))[:, None]) + np.diag(pulls)
        step = np.linalg.solve(bend, gradient)
        while cost(curve - step) > cost(curve) and np.abs(step).max() > 1e-9:
            step = step / 2
        curve = curve - step
        if np.abs(step).max() < 1e-8:
            break
    return curve


def sigmoid(logits: FloatArray) -> FloatArray:
    """Return probabilities of logits, float64, any shape."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))))


def fit_all(seen: Iterable[Seen], concepts: Iterable[str]) -> dict[str, Curve]:
    """Return a curve per concept, drawn towards the curve of all rows.

    Few concepts have annotated absences, and those that have, few: a concept's own rows bend the
    common curve only as far as they outweigh `CONCEPT_PRIOR`.
    """
    rows = list(seen)
    common = _fit_rows(rows, PLAIN, PRIOR)
    return {
        name: _fit_rows([row for row in rows if row.concept == name], common, CONCEPT_PRIOR)
        for name in concepts
    }


def _fit_rows(rows: Sequence[Seen], towards: Curve, pull: float) -> Curve:
    if not rows:
        return towards
    logits = np.array([row.logit for row in rows])
    return fit(
        logits, np.array([row.present for row in rows], dtype=float), towards=towards, pull=pull
    )


def presences(rows: Sequence[Seen], curves: dict[str, Curve]) -> FloatArray:
    """Return calibrated presences of rows, float64, shape (N,), [0, 1]."""
    slopes = np.array([curves[row.concept].slope for row in rows])
    offsets = np.array([curves[row.concept].offset for row in rows])
    return sigmoid(slopes * np.array([row.logit for row in rows]) + offsets)


def crossfit_presences(rows: Sequence[Seen]) -> FloatArray:
    """Return presences of rows, each by curves fitted on the other half of the groups."""
    names = sorted({row.concept for row in rows})
    half = np.array([second_half(row.group) for row in rows])
    found = np.empty(len(rows))
    for side in (False, True):
        held = [row for row, there in zip(rows, half, strict=True) if there == side]
        rest = [row for row, there in zip(rows, half, strict=True) if there != side]
        if held and rest:
            found[half == side] = presences(held, fit_all(rest, names))
        elif held:
            found[half == side] = presences(held, dict.fromkeys(names, PLAIN))
    return found


def second_half(group: str) -> bool:
    """Tell to which half of the groups one belongs, by a hash of its name."""
    return hashlib.sha256(group.encode()).digest()[-1] % 2 == 1


def score_logits(scores: FloatArray) -> FloatArray:
    """Return logits of raw scores, float64, any shape."""
    held = np.clip(scores, EDGE, 1 - EDGE)
    return np.asarray(np.log(held / (1 - held)))


def fit_scores(drawn: Sequence[Drawn]) -> Curve:
    """Return the curve from the logit of a raw score to the Dice to expect.

    It is used only if, cross-fitted, it brings mean scores nearer to mean Dice in bins of the
    score than raw scores are; else the raw score stays, which already estimates the Dice.
    """
    if not drawn:
        return PLAIN
    scores = np.array([each.score for each in drawn])
    dices = np.array([each.dice for each in drawn])
    half = np.array([second_half(each.group) for each in drawn])
    logits = score_logits(scores)
    held = scores.copy()
    for side in (False, True):
        if (half != side).any():
            curve = fit(logits[half != side], dices[half != side])
            held[half == side] = sigmoid(curve.slope * logits[half == side] + curve.offset)
    if calibration_error(held, dices) >= calibration_error(scores, dices):
        return PLAIN
    return fit(logits, dices)


def calibration_error(predicted: FloatArray, true: FloatArray) -> float:
    """Return the expected calibration error over 10 equal-width bins, [0, 1].

    Args:
        predicted: float64, shape (N,), N > 0, probabilities or scores in [0, 1].
        true: float64, shape (N,), what they stand for, [0, 1].

    Source: Naeini et al. (2015), Obtaining well calibrated probabilities using Bayesian binning.
    """
    bins = np.minimum((predicted * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, predicted - true, minlength=BINS)
    return float(np.abs(gaps).sum() / len(predicted))

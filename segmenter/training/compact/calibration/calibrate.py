"""Turns logits into probabilities, and measures how far from honest they are.

Everything is fitted on validation rows only. Rows keep their natural numbers: a probability means
the share of such questions whose answer is yes, and a balanced fit would not say that.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

FloatArray = npt.NDArray[np.float64]
# Pull of the common curve towards the raw logit, as a ridge on both parameters; keeps the curve
# finite where present and absent do not overlap.
PRIOR = 2.0
# Pull of a concept's curve towards the common one. On the validation rows of compact-2026-11-23,
# cross-fitted: no other of 1, 2, 5 and 20 has a lower calibration error.
CONCEPT_PRIOR = 10.0
# A falling curve would call the likelier the less likely; no evidence here can show that.
MIN_SLOPE = 0.05
BINS = 10
# Raw scores at the ends of [0, 1] have a finite logit.
EDGE = 1e-6


class Curve(NamedTuple):
    """probability = sigmoid(slope * logit + offset)."""

    slope: float
    offset: float

    def of(self, logits: FloatArray) -> FloatArray:
        """Return probabilities of logits, float64, any shape."""
        return np.asarray(special.expit(self.slope * logits + self.offset))


PLAIN = Curve(1.0, 0.0)


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


def fit(
    logits: FloatArray, wanted: FloatArray, *, towards: Curve = PLAIN, pull: float = PRIOR
) -> Curve:
    """Fit a logistic curve by cross-entropy.

    Args:
        logits: float64, shape (N,).
        wanted: float64, shape (N,), what the curve should give, [0, 1].
        towards: the curve without evidence.
        pull: ridge towards it.

    Source: Platt (1999), Probabilistic outputs for support vector machines.
    """
    start = np.array(towards)
    design = np.column_stack([logits, np.ones(len(logits))])

    def cost(at: FloatArray) -> tuple[float, FloatArray]:
        """Return cross-entropy plus pull towards the start, and its gradient."""
        margin, moved = design @ at, at - start
        entropy = (np.logaddexp(0, margin) - wanted * margin).sum()
        gradient = design.T @ (special.expit(margin) - wanted) + pull * moved
        return float(entropy + pull * (moved**2).sum() / 2), gradient

    found = optimize.minimize(
        cost,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(MIN_SLOPE, None), (None, None)],
        options={"ftol": 0.0, "gtol": 1e-8},
    )
    return Curve(*found.x.tolist())


def fit_all(rows: Sequence[Raw], concepts: Iterable[str]) -> dict[str, Curve]:
    """Return a curve per concept, drawn towards the curve of all rows.

    Few concepts have annotated absences, and those that have, few: a concept's own rows bend the
    common curve only as far as they outweigh `CONCEPT_PRIOR`.
    """
    common = _fit_rows(rows, PLAIN, PRIOR)
    return {
        name: _fit_rows([row for row in rows if row.concept == name], common, CONCEPT_PRIOR)
        for name in concepts
    }


def _fit_rows(rows: Sequence[Raw], towards: Curve, pull: float) -> Curve:
    if not rows:
        return towards
    logits = np.array([row.logit for row in rows])
    return fit(
        logits, np.array([row.has_target for row in rows], dtype=float), towards=towards, pull=pull
    )


def presences(rows: Sequence[Raw], curves: dict[str, Curve]) -> FloatArray:
    """Return calibrated presences of rows, float64, shape (N,), [0, 1]."""
    slopes = np.array([curves[row.concept].slope for row in rows])
    offsets = np.array([curves[row.concept].offset for row in rows])
    logits = np.array([row.logit for row in rows])
    return np.asarray(special.expit(slopes * logits + offsets))


def crossfit_presences(rows: Sequence[Raw]) -> FloatArray:
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
    return np.asarray(special.logit(np.clip(scores, EDGE, 1 - EDGE)))


def drawn_targets(rows: Iterable[Raw]) -> list[Raw]:
    """Return the rows with a target and a mask; the score is the Dice if the thing is there."""
    return [row for row in rows if row.has_target and row.score is not None]


def fit_scores(drawn: Sequence[Raw]) -> Curve:
    """Return the curve from the logit of a raw score to the Dice to expect.

    It is used only if, cross-fitted, it brings mean scores nearer to mean Dice in bins of the
    score than raw scores are; else the raw score stays, which already estimates the Dice.
    """
    if not drawn:
        return PLAIN
    scores = np.array([each.score for each in drawn], dtype=float)
    dices = np.array([each.dice for each in drawn])
    half = np.array([second_half(each.group) for each in drawn])
    logits = score_logits(scores)
    held = scores.copy()
    for side in (False, True):
        if (half != side).any():
            curve = fit(logits[half != side], dices[half != side])
            held[half == side] = curve.of(logits[half == side])
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

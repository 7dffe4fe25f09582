"""Turns presence logits into probabilities and chooses the threshold, on validation rows only."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
# With fewer rows on either side a concept's own curve would be chance; it gets the common one.
MIN_ROWS = 10
# Pull towards the uncalibrated logit, in rows' worth of evidence; keeps the curve finite where
# present and absent do not overlap.
PRIOR = 2.0
MAX_STEPS = 100
START = np.array([1.0, 0.0])
GRID = tuple(round(0.05 * step, 2) for step in range(1, 17))


class Curve(NamedTuple):
    """presence = sigmoid(slope * logit + offset)."""

    slope: float
    offset: float


class Seen(NamedTuple):
    """Presence logit of one question.

    Attributes:
        concept: asked for.
        logit: of the network, uncalibrated.
        present: whether it was there.
        foreign: whether the modality alone rules it out, which is easy to tell.
    """

    concept: str
    logit: float
    present: bool
    foreign: bool


class Choice(NamedTuple):
    """A threshold and what it gives.

    Attributes:
        threshold: of the joint score.
        dice: mean over groups of the mean over rows with a target, those dropped counting 0.
        specificity: mean over groups of the share of rows without a target that got no mask;
            of groups with enough such rows, if there are any.
    """

    threshold: float
    dice: float
    specificity: float


class Answer(NamedTuple):
    """What the choice of a threshold needs of one answer.

    Attributes:
        group: set and concept, which count alike however many rows they have.
        has_target: whether the truth has a pixel.
        dice: of the answer if it is not dropped, [0, 1].
        joint: score x presence, [0, 1].
    """

    group: str
    has_target: bool
    dice: float
    joint: float


def fit(logits: FloatArray, present: npt.NDArray[np.bool_]) -> Curve:
    """Fit a logistic curve; present and absent rows weigh the same in total.

    Args:
        logits: float64, shape (N,).
        present: bool, shape (N,), both values at least once.

    Source: Platt (1999), Probabilistic outputs for support vector machines; Newton's method
    with halved steps.
    """
    weights = np.where(present, 0.5 / present.sum(), 0.5 / (~present).sum()) * len(logits)
    design = np.column_stack([logits, np.ones(len(logits))])
    curve = START.copy()
    for _ in range(MAX_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ curve, -60, 60)))
        gradient = design.T @ (weights * (chance - present)) + PRIOR * (curve - START)
        bend = design.T @ (design * (weights * chance * (1 - chance))[:, None])
        step = np.linalg.solve(bend + PRIOR * np.eye(2), gradient)
        before = _cost(curve, design, present, weights)
        while _cost(curve - step, design, present, weights) > before and np.abs(step).max() > 1e-9:
            step = step / 2
        curve = curve - step
        if np.abs(step).max() < 1e-8:
            break
    # A falling curve would call the likelier the less likely; no evidence here can show that.
    return Curve(max(float(curve[0]), 0.05), float(curve[1]))


def _cost(
    curve: FloatArray, design: FloatArray, present: npt.NDArray[np.bool_], weights: FloatArray
) -> float:
    """Return the penalised negative log-likelihood that `fit` minimises."""
    margins = (design @ curve) * np.where(present, 1.0, -1.0)
    return float(
        (weights * np.logaddexp(0, -margins)).sum() + PRIOR / 2 * ((curve - START) ** 2).sum()
    )


def fit_all(seen: Iterable[Seen], concepts: Iterable[str]) -> dict[str, Curve]:
    """Return a curve per concept, its own where there are enough rows on both sides.

    Where enough real absences were annotated, questions about other modalities do not count:
    they are easy, and would hide how hard the real ones are.
    """
    rows = list(seen)
    common = _fit_rows(rows)
    curves = {}
    for name in concepts:
        own = [row for row in rows if row.concept == name]
        real = [row for row in own if not row.foreign]
        chosen = next((part for part in (real, own) if _enough(part)), None)
        curves[name] = common if chosen is None else _fit_rows(chosen)
    return curves


def _enough(rows: list[Seen]) -> bool:
    present = sum(row.present for row in rows)
    return min(present, len(rows) - present) >= MIN_ROWS


def _fit_rows(rows: list[Seen]) -> Curve:
    logits = np.array([row.logit for row in rows])
    return fit(logits, np.array([row.present for row in rows]))


def choose_threshold(answers: Iterable[Answer]) -> Choice:
    """Return the threshold with the highest sum of Dice and specificity; the lower one of equals.

    Args:
        answers: to text prompts, asked with threshold 0.
    """
    rows = list(answers)
    choices = [_at(rows, threshold) for threshold in GRID]
    return max(choices, key=lambda choice: (choice.dice + choice.specificity, -choice.threshold))


def _at(rows: list[Answer], threshold: float) -> Choice:
    """Average over groups, not rows: the largest set would decide alone."""
    kept: dict[str, list[float]] = {}
    refused: dict[str, list[float]] = {}
    for row in rows:
        found = row.joint >= threshold
        if row.has_target:
            kept.setdefault(row.group, []).append(row.dice * found)
        else:
            refused.setdefault(row.group, []).append(1.0 - found)
    # Two absences of one concept must not weigh as much as a dozen of another.
    firm = {group: values for group, values in refused.items() if len(values) >= MIN_ROWS}
    return Choice(threshold, _mean_of_means(kept), _mean_of_means(firm or refused))


def _mean_of_means(groups: dict[str, list[float]]) -> float:
    return float(np.mean([np.mean(values) for values in groups.values()]))

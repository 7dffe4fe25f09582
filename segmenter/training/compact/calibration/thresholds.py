"""Chooses the threshold of the model and the cut of each concept, on validation rows only."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

# Two absences of one concept must not weigh as much as a dozen of another.
MIN_ABSENT = 10
GRID = tuple(round(0.05 * step, 2) for step in range(1, 17))
# From this many annotated rows on each side a concept has a cut by what was annotated.
MIN_ROWS = 8
SPECIFICITY = 0.88
FOREIGN_SPECIFICITY = 0.97
# The model's own threshold counts like so many absences; of the easy ones, which the modality
# alone rules out, five count like one that was annotated.
COMMON_ROWS = 10.0
FOREIGN_WORTH = 0.2


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
    """What the choice of thresholds needs of one answer.

    Attributes:
        group: set and concept, which count alike however many rows they have.
        has_target: whether the truth has a pixel.
        dice: of the answer if it is not dropped, [0, 1].
        joint: score x presence, [0, 1]; 0 without a mask.
        foreign: whether the modality alone rules the concept out.
    """

    group: str
    has_target: bool
    dice: float
    joint: float
    foreign: bool = False


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
    firm = {group: values for group, values in refused.items() if len(values) >= MIN_ABSENT}
    return Choice(threshold, _mean_of_means(kept), _mean_of_means(firm or refused))


def _mean_of_means(groups: dict[str, list[float]]) -> float:
    return float(np.mean([np.mean(values) for values in groups.values()]))


def choose_cut(rows: Sequence[Answer], common: float) -> float | None:
    """Return the cut of one concept's joint score; None if nothing asked for it was absent.

    With enough annotated rows it is the lowest cut, so the most sensitive one, that refuses 88 %
    of the annotated absences; else the lowest that refuses 97 % of the foreign questions. A cut
    below the common one rests on few or on easy absences (of breasts 11, of brains 14), so it is
    drawn towards it by the weight of `COMMON_ROWS`; being drawn up, it still refuses as many.

    Args:
        rows: all questions about the concept on validation images.
        common: the model's own threshold.
    """
    annotated = [row for row in rows if not row.foreign]
    present = sum(row.has_target for row in annotated)
    firm = min(present, len(annotated) - present) >= MIN_ROWS
    absent = [row.joint for row in rows if not row.has_target and row.foreign != firm]
    if not absent:
        return None
    share, worth = (SPECIFICITY, 1.0) if firm else (FOREIGN_SPECIFICITY, FOREIGN_WORTH)
    own = lowest_cut(absent, [row.joint for row in rows], share)
    support = worth * len(absent)
    drawn = (support * own + COMMON_ROWS * common) / (support + COMMON_ROWS)
    return round(max(own, drawn), 4)


def lowest_cut(absent: Sequence[float], scores: Sequence[float], share: float) -> float:
    """Return the lowest cut that leaves at least ``share`` of the absent scores below it.

    It lies midway to the next higher score of any row, so that no row sits on it.

    Args:
        absent: joint scores that should be refused, not empty.
        scores: joint scores of all rows.
        share: (0, 1].
    """
    ordered = sorted(absent)
    refused = int(np.ceil(share * len(ordered) - 1e-9))
    highest = ordered[refused - 1]
    above = min((score for score in scores if score > highest), default=1.0)
    return (highest + above) / 2

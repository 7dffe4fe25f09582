"""What many scores say together: rows of the summary, calibration, worth of the expected Dice."""

import statistics
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from benchmarks.evaluation.intervals import bootstrap_interval
from benchmarks.evaluation.records import MODES, Score, SummaryRow

# Of presence. Guo et al. take 15, too many for the images we have.
BINS = 10
# Two points always lie on a line.
MIN_PAIRS = 3
# Values closer together are equal but for rounding, and correlate with nothing.
MIN_SPREAD = 1e-9


class Bin(NamedTuple):
    """Answers whose presence is in [low, high), the last bin with its upper end.

    Attributes:
        low: of presence, [0, 1].
        high: likewise.
        n: number of answers, at least 1.
        presence: mean over them, [0, 1].
        share: of them that have a target, [0, 1].
    """

    low: float
    high: float
    n: int
    presence: float
    share: float


class Correlation(NamedTuple):
    """How expected and true Dice go together.

    Attributes:
        n: number of answers with both.
        pearson: [-1, 1]; None for fewer than 3 answers or where one side does not vary.
        spearman: likewise.
    """

    n: int
    pearson: float | None
    spearman: float | None


class _Mean(NamedTuple):
    value: float | None
    low: float | None
    high: float | None


class _Outlines(NamedTuple):
    hd95: float | None
    surface_dice: float | None
    unit: Literal["px", "mm"]


def summarise(scores: Iterable[Score]) -> list[SummaryRow]:
    """Return one row per set, concept, phrase and mode, foreign questions apart; sorted.

    The order is set, foreign questions last, concept, phrase, and the modes as in `MODES`. Failed
    answers count in ``failures`` alone. Distances in pixels and in mm are never averaged: a row
    that has both gives no HD95 and no surface Dice.
    """
    ordered = sorted(scores, key=_place)
    return [_row(list(group)) for _, group in groupby(ordered, key=_place)]


def reliability(scores: Iterable[Score]) -> list[Bin]:
    """Set the model's presence beside the share of images that have the target.

    Failed answers and unknown concepts say nothing and are left out, and so are bins without an
    answer. Questions with a box are asked only where there is a target: pass the scores of one
    mode, most usefully ``T``.
    """
    answers = [score for score in scores if score.status not in ("failed", "unknown")]
    bins = ([score for score in answers if _bin(score) == number] for number in range(BINS))
    return [_to_bin(number, members) for number, members in enumerate(bins) if members]


def expected_calibration_error(scores: Iterable[Score]) -> float | None:
    """Return the mean gap between presence and share of targets, [0, 1], weighted by answers.

    Of the probability that the target is there, not of the likelier of the two answers as in
    Guo et al.

    Returns:
        None without an answer.

    Source: Naeini et al. (2015), AAAI 29(1); Guo et al. (2017), arXiv:1706.04599.
    """
    bins = reliability(scores)
    if not bins:
        return None
    gaps = sum(part.n * abs(part.share - part.presence) for part in bins)
    return gaps / sum(part.n for part in bins)


def dice_correlation(scores: Iterable[Score]) -> Correlation:
    """Correlate the Dice a model expected with the true one, over answers that have both."""
    pairs = [
        (score.expected_dice, score.dice)
        for score in scores
        if score.expected_dice is not None and score.dice is not None
    ]
    expected, true = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if len(pairs) < MIN_PAIRS or min(np.ptp(expected), np.ptp(true)) < MIN_SPREAD:
        return Correlation(n=len(pairs), pearson=None, spearman=None)
    return Correlation(
        n=len(pairs),
        pearson=float(stats.pearsonr(expected, true).statistic),
        spearman=float(stats.spearmanr(expected, true).statistic),
    )


def _place(score: Score) -> tuple[str, bool, str, str, int]:
    return score.dataset, score.foreign, score.concept, score.phrase, MODES.index(score.mode)


def _row(group: Sequence[Score]) -> SummaryRow:
    scored = [score for score in group if score.status != "failed"]
    present = [score for score in scored if score.has_target]
    absent = [score for score in scored if not score.has_target]
    dice = _mean_between(present, [score.dice or 0.0 for score in present])
    specificity = _mean_between(absent, [float(not score.found) for score in absent])
    outlines = _outlines(present)
    first = group[0]
    return SummaryRow(
        set=first.dataset,
        concept=first.concept,
        phrase=first.phrase,
        mode=first.mode,
        foreign=first.foreign,
        n=len(present),
        dice=dice.value,
        dice_low=dice.low,
        dice_high=dice.high,
        iou=_mean(score.iou or 0.0 for score in present),
        hd95=outlines.hd95,
        surface_dice=outlines.surface_dice,
        unit=outlines.unit,
        aji=_mean(score.aji for score in scored),
        pq=_mean(score.pq for score in scored),
        sensitivity=_mean(float(score.found) for score in present),
        n_absent=len(absent),
        specificity=specificity.value,
        specificity_low=specificity.low,
        specificity_high=specificity.high,
        uncertain=sum(score.status == "uncertain" for score in scored),
        failures=len(group) - len(scored),
        seconds=statistics.median(score.seconds for score in scored) if scored else None,
    )


def _outlines(present: Sequence[Score]) -> _Outlines:
    """Average the distances if they are of one unit.

    A score without any distance bears the default unit, which says nothing.
    """
    units = {score.unit for score in present if score.surface_dice is not None}
    if len(units) != 1:
        return _Outlines(hd95=None, surface_dice=None, unit="px")
    return _Outlines(
        hd95=_mean(score.hd95 for score in present),
        surface_dice=_mean(score.surface_dice or 0.0 for score in present),
        unit=units.pop(),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    """Average what is defined; None if nothing is."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _mean_between(scores: Sequence[Score], values: Sequence[float]) -> _Mean:
    interval = bootstrap_interval(values, [score.group for score in scores])
    if interval is None:
        return _Mean(_mean(values), None, None)
    return _Mean(_mean(values), interval.low, interval.high)


def _bin(score: Score) -> int:
    return min(int(score.presence * BINS), BINS - 1)


def _to_bin(number: int, members: Sequence[Score]) -> Bin:
    return Bin(
        low=number / BINS,
        high=(number + 1) / BINS,
        n=len(members),
        presence=statistics.fmean(score.presence for score in members),
        share=statistics.fmean(score.has_target for score in members),
    )

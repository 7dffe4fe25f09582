"""Bootstrap intervals of a mean over images that belong together in groups."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95
SEED = 0


class Interval(NamedTuple):
    """Bounds in the unit of the values."""

    low: float
    high: float


def bootstrap_interval(values: Sequence[float], groups: Sequence[str]) -> Interval | None:
    """Return the 95 % percentile bootstrap interval of the mean of all values.

    Whole groups are drawn with replacement, as images of a patient are not independent;
    `scipy.stats.bootstrap` draws single values only. The same values and groups give the same
    interval, in any order but for rounding. Equal values give an interval of no width, however few
    they are: read such an interval beside n.

    Args:
        values: of the images.
        groups: patient, sequence or near-duplicates of each image.

    Returns:
        None for fewer than two groups, which say nothing about how patients differ.

    Raises:
        ValueError: there are not as many groups as values.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13; groups:
    Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.8.
    """
    if len(values) != len(groups):
        raise ValueError(f"{len(values)} values and {len(groups)} groups do not fit")
    names, members = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    if len(names) < 2:
        return None
    sums = np.bincount(members, weights=np.asarray(values, dtype=np.float64))
    sizes = np.bincount(members)
    shares = np.full(len(names), 1 / len(names))
    # How often each group is drawn says as much as the draws themselves.
    drawn = np.random.default_rng(SEED).multinomial(len(names), shares, size=RESAMPLES)
    means = (drawn @ sums) / (drawn @ sizes)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(low=float(low), high=float(high))

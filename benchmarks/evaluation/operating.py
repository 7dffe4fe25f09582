"""What other thresholds would give: sensitivity and specificity of text answers. Pure."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from benchmarks.evaluation.records import Score


class Point(NamedTuple):
    """One threshold of the joint score and what it gives.

    Attributes:
        threshold: masks from this joint score on are kept, [0, 1].
        sensitivity: share of images with a target that keep a mask, [0, 1].
        specificity: share of images without one that keep none, [0, 1].
    """

    threshold: float
    sensitivity: float
    specificity: float


class Curve(NamedTuple):
    """All points of one set and concept.

    Attributes:
        set: name of the set.
        concept: asked for.
        n: images with a target.
        n_absent: images without.
        points: by rising threshold.
    """

    set: str
    concept: str
    n: int
    n_absent: int
    points: tuple[Point, ...]


def curves(scores: Iterable[Score]) -> list[Curve]:
    """Return a curve for each set and concept asked in words that has images of both kinds.

    Args:
        scores: of a run asked with threshold 0; of another run the masks it dropped count as
            none, and no point tells of lower thresholds.
    """
    asked = [
        each for each in scores if each.mode == "T" and not each.foreign and each.status != "failed"
    ]
    asked.sort(key=lambda each: (each.dataset, each.concept))
    groups = groupby(asked, key=lambda each: (each.dataset, each.concept))
    found = (_curve(*name, list(group)) for name, group in groups)
    return [each for each in found if each.n and each.n_absent]


def _curve(dataset: str, concept: str, scores: Sequence[Score]) -> Curve:
    present = [each.score for each in scores if each.has_target and each.found]
    absent = [each.score for each in scores if not each.has_target and each.found]
    n = sum(each.has_target for each in scores)
    n_absent = len(scores) - n
    points = tuple(
        Point(
            threshold=cut,
            sensitivity=sum(score >= cut for score in present) / max(n, 1),
            specificity=1 - sum(score >= cut for score in absent) / max(n_absent, 1),
        )
        for cut in sorted({*present, *absent})
    )
    return Curve(dataset, concept, n, n_absent, points)


def most_specific(curve: Curve, *, sensitivity: float) -> Point | None:
    """Return the point with the highest specificity among those sensitive enough, if any."""
    good = [point for point in curve.points if point.sensitivity >= sensitivity]
    return max(good, key=lambda point: (point.specificity, point.sensitivity), default=None)

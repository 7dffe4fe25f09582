"""Fits the rules' quality weights and limits on the validation part of the train split.

    python -m benchmarks.fit_quality --data ../shared/data

Every validation image is asked for its concepts in words, as the rules would; the masks' features
are fitted to their Dice with the truth. Nothing of a test split is read. What it prints is copied
into `agent/masks/quality.py` and `agent/planners/rules.py` by hand: a change is reviewed.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agent.contract import PlanQuestion
from agent.language.lexicon import load_lexicon
from agent.language.request import read_request
from agent.masks.quality import WEIGHTS, Features, measure, score
from agent.planners.rules import plan_request
from agent.schemas.plan import Target
from agent.schemas.rounds import Candidate
from segmenter.backends.compact.backend import CompactBackend
from segmenter.backends.postprocess import select
from segmenter.contract import ImageRef, Prompt, RgbImage
from segmenter.masks import rle
from segmenter.masks.geometry import dice
from segmenter.training.compact.settings import load_settings
from segmenter.training.dataset import Row, cut_validation, read_picture, read_rows, read_target

FloatArray = npt.NDArray[np.float64]
# No second prompt is asked here, so its weight cannot be fitted and keeps its place.
UNFITTED = "agreement"
FITTED = tuple(name for name in Features._fields if name != UNFITTED)
# A find that is no more than a coin's throw wrong is worth calling one.
GOOD_DICE = 0.5
STEPS = 20_000


class Judged(NamedTuple):
    """The best mask of one question.

    Attributes:
        features: of the mask; None if nothing was drawn.
        dice: with the truth, [0, 1]; 0 where there is none.
    """

    row: Row
    has_target: bool
    features: Features | None
    dice: float


def judged(rows: Sequence[Row]) -> Iterator[Judged]:
    """Ask every row's image for its concept and measure the best mask."""
    backend, lexicon = CompactBackend(), load_lexicon()
    capabilities = backend.capabilities
    for row in rows:
        pixels, truth = read_picture(row), read_target(row)
        height, width = truth.shape
        image = ImageRef(sha256="0" * 64, width=width, height=height, format="jpeg")
        question = PlanQuestion(
            row.concept, read_request(row.concept, lexicon), image, pixels, capabilities
        )
        targets = plan_request(question, lexicon).targets
        target = next(one for one in targets if row.concept in one.phrases)
        prompt = Prompt(text=row.concept)
        found = backend.predict(backend.embed(pixels), [prompt], threshold=0.0)[0]
        masks = select(found, threshold=0.0, nms_iou=0.5, max_masks=1).masks
        if not masks:
            yield Judged(row, bool(truth.any()), None, 0.0)
            continue
        candidate = Candidate(
            id="m1", target=target.id, round=1, call=0, concept=row.concept, mask=masks[0]
        )
        yield _measured(row, candidate, pixels, truth, target)


def _measured(
    row: Row,
    candidate: Candidate,
    pixels: RgbImage,
    truth: npt.NDArray[np.bool_],
    target: Target,
) -> Judged:
    mask = rle.decode(candidate.mask.rle)
    features = measure(candidate, mask, pixels, target=target, others=())
    overlap = dice(mask, truth) if truth.any() else 0.0
    return Judged(row, bool(truth.any()), features, overlap)


def fit(found: Sequence[Judged]) -> Features:
    """Return weights of at least 0 that sum to 1, by projected gradient on the squared error.

    The target is the Dice; sets count alike, however many images they have.
    """
    drawn = [one for one in found if one.features is not None]
    design = np.array([[getattr(one.features, name) for name in FITTED] for one in drawn])
    truth = np.array([one.dice for one in drawn])
    shares = _balanced([one.row.dataset for one in drawn])
    free = 1.0 - (getattr(WEIGHTS, UNFITTED) or 0.0)
    weights = np.full(len(FITTED), free / len(FITTED))
    pace = 0.5 / np.linalg.norm((design * shares[:, None]).T @ design, 2)
    for _ in range(STEPS):
        # The score is the weighted mean of what was measured: the unfitted one is absent here.
        slope = design.T @ (shares * (design @ (weights / free) - truth)) / free
        weights = _project(weights - pace * slope, free)
    fitted = dict(zip(FITTED, weights.tolist(), strict=True))
    return Features(**{**WEIGHTS._asdict(), **fitted})


def _balanced(names: Sequence[str]) -> FloatArray:
    counts = {name: names.count(name) for name in set(names)}
    return np.array([1.0 / (counts[name] * len(counts)) for name in names])


def _project(point: FloatArray, total: float) -> FloatArray:
    """Return the nearest point with no negative part and the given sum.

    Source: Duchi et al. (2008), Efficient projections onto the l1-ball, algorithm 1.
    """
    ordered = np.sort(point)[::-1]
    excess = np.cumsum(ordered) - total
    last = np.flatnonzero(ordered - excess / np.arange(1, len(point) + 1) > 0)[-1]
    nearest: FloatArray = np.maximum(point - excess[last] / (last + 1), 0.0)
    return nearest


class Limit(NamedTuple):
    """A quality limit and what it gives on the rows it was chosen on."""

    quality: float
    sensitivity: float
    specificity: float
    precision: float


def limits(found: Sequence[Judged], weights: Features) -> list[Limit]:
    """Return what each quality limit gives, from 0.30 to 0.90."""
    quality = np.array(
        [-1.0 if one.features is None else score(one.features, weights) for one in found]
    )
    present = np.array([one.has_target for one in found])
    good = np.array([one.dice >= GOOD_DICE for one in found])
    rows = []
    for limit in np.arange(0.30, 0.901, 0.02):
        kept = quality >= limit
        rows.append(
            Limit(
                round(float(limit), 2),
                float(kept[present].mean()),
                float(1 - kept[~present].mean()),
                float(good[kept].mean()) if kept.any() else float("nan"),
            )
        )
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print weights, their error beside the shipped ones', and the table of limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    asked = parser.parse_args(argv)
    settings = load_settings()
    rows = read_rows(asked.data, "train")
    _, kept = cut_validation(rows, settings.data.validation_share, settings.data.validation_seed)
    found = list(judged(kept))
    fitted = fit(found)
    drawn = [one for one in found if one.features is not None]
    truth = np.array([one.dice for one in drawn])
    print(f"{len(found)} questions on validation images, {len(drawn)} with a mask")
    for name, weights in (("shipped", WEIGHTS), ("fitted", fitted)):
        told = np.array([score(one.features, weights) for one in drawn if one.features])
        error = float(np.abs(told - truth).mean())
        print(f"{name}: mean error {error:.3f}, correlation {np.corrcoef(told, truth)[0, 1]:.3f}")
        print("  " + ", ".join(f"{key}={value:.2f}" for key, value in weights._asdict().items()))
        print(f"  limit sensitivity specificity share with Dice >= {GOOD_DICE}")
        for line in limits(found, weights):
            print("  " + " ".join(f"{value:10.2f}" for value in line))
    return 0


if __name__ == "__main__":
    sys.exit(main())

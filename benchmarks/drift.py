"""Checks a small fixed slice of the test split and the shipped samples against stored figures.

    python -m benchmarks.drift [--data ../shared/data] [--write]

It notices that answers changed, not whether they are good: that is `medsam3 evaluate`. New weights
get new figures by ``--write``; without it the exit status tells whether anything moved.
"""

import argparse
import hashlib
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from segmenter.backends.compact.backend import CompactBackend
from segmenter.training.ask import Outcome, foreign_rows, outcomes
from segmenter.training.dataset import Row, read_rows

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
STORED = ROOT / "tests" / "benchmarks" / "drift.json"
SAMPLES = ROOT / "api" / "samples"
SAMPLE_CONCEPTS = {
    "busi_normal": "breast tumor",
    "busi_tumor": "breast tumor",
    "dsb2018_nuclei": "nuclei",
}
# Sets with annotated absences get two more: 60 images of 14 sets.
PER_SET = 4
LARGER = {"busi": 6, "lgg_mri": 6}
# Dice; processors round differently, which moves single pixels of an outline.
TOLERANCE = 0.01
COMMAND = "python -m benchmarks.drift --write"


class Figures(BaseModel):
    """Figures of a set or a sample, [0, 1]; None where there is nothing to average.

    Attributes:
        text: mean Dice of text alone over questions with a target, a missing mask counting 0.
        boxed: likewise with the box of the largest piece.
        specificity: share of annotated absences that got no mask.
        foreign: share of questions of other modalities that got no mask.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: float | None
    boxed: float | None
    specificity: float | None
    foreign: float | None


class Drift(BaseModel):
    """What the weights answered when the figures were written.

    Attributes:
        weights_id: of the weights.
        images: ids of the images asked about, by set.
        sets: figures of these images, by set.
        samples: figures of the shipped samples, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights_id: str
    images: dict[str, tuple[str, ...]]
    sets: dict[str, Figures]
    samples: dict[str, Figures]


def choose_images(rows: Iterable[Row]) -> dict[str, tuple[str, ...]]:
    """Return the ids of each set's slice: the first ones in the order of a hash of the id."""
    ids: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        ids[row.dataset].add(row.id)
    return {
        name: tuple(sorted(sorted(found, key=_digest)[: LARGER.get(name, PER_SET)]))
        for name, found in sorted(ids.items())
    }


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def measure_sets(
    backend: CompactBackend, data: Path, images: dict[str, tuple[str, ...]]
) -> dict[str, Figures]:
    """Ask the backend about a slice of the test split.

    Raises:
        ValueError: an image of the slice is not in the data.
    """
    rows = [row for row in read_rows(data, "test", images) if row.id in images[row.dataset]]
    missing = {each for ids in images.values() for each in ids} - {row.id for row in rows}
    if missing:
        raise ValueError(f"{str(data)!r} lacks {sorted(missing)!r}: {COMMAND} chooses anew")
    return _measure(backend, [*rows, *foreign_rows(rows, 1)])


def measure_samples(backend: CompactBackend) -> dict[str, Figures]:
    """Ask the backend about the images that are shipped."""
    rows = [
        Row(name, name, concept, "test", name, *_sample_paths(name))
        for name, concept in SAMPLE_CONCEPTS.items()
    ]
    return _measure(backend, rows)


def _sample_paths(name: str) -> tuple[Path, Path]:
    return SAMPLES / f"{name}.jpg", SAMPLES / f"{name}_mask.png"


def _measure(backend: CompactBackend, rows: Sequence[Row]) -> dict[str, Figures]:
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for each in outcomes(backend, rows):
        groups[each.row.dataset].append(each)
    return {name: summarise(found) for name, found in sorted(groups.items())}


def summarise(found: Sequence[Outcome]) -> Figures:
    """Return the figures of answers."""
    absent = [each for each in found if not each.has_target]
    return Figures(
        text=_mean(each.dice for each in found if each.has_target and each.kind == "T"),
        boxed=_mean(each.dice for each in found if each.has_target and each.kind == "T+I"),
        specificity=_mean(not each.found for each in absent if each.row.mask is not None),
        foreign=_mean(not each.found for each in absent if each.row.mask is None),
    )


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return round(float(np.mean(listed)), 4) if listed else None


def moved(stored: dict[str, Figures], found: dict[str, Figures]) -> list[str]:
    """Say which figures differ by more than the tolerance, one line each."""
    lines = []
    for name in sorted(stored.keys() | found.keys()):
        before, now = stored.get(name), found.get(name)
        if before is None or now is None:
            lines.append(f"{name}: only {'found' if before is None else 'stored'}")
            continue
        lines += [
            f"{name} {field}: stored {old}, now {new}"
            for (field, old), (_, new) in zip(before, now, strict=True)
            if _differ(old, new)
        ]
    return lines


def _differ(old: float | None, new: float | None) -> bool:
    if old is None or new is None:
        return old is not new
    return abs(old - new) > TOLERANCE


def load(path: Path = STORED) -> Drift:
    """Read stored figures."""
    return Drift.model_validate_json(path.read_text(encoding="utf-8"))


def main(argv: Sequence[str] | None = None) -> int:
    """Compare with the stored figures, or write new ones, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the image data")
    parser.add_argument("--write", action="store_true", help="store the figures of these weights")
    asked = parser.parse_args(argv)
    backend = CompactBackend()
    if not asked.write:
        stored = load()
        lines = moved(stored.sets, measure_sets(backend, asked.data, stored.images))
        lines += moved(stored.samples, measure_samples(backend))
        print("\n".join(lines) or "nothing moved")
        return 1 if lines else 0
    images = choose_images(read_rows(asked.data, "test"))
    drift = Drift(
        weights_id=backend.capabilities.model.weights_id,
        images=images,
        sets=measure_sets(backend, asked.data, images),
        samples=measure_samples(backend),
    )
    STORED.write_text(drift.model_dump_json(indent=1) + "\n", encoding="utf-8")
    print(f"{sum(map(len, images.values()))} images and {len(drift.samples)} samples: {STORED}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Dice of the bundled backend on the shared data: text alone beside text and box, in one run.

    python -m benchmarks.dice --data ../shared/data --split test [--sets busi ...] [--limit N]

T is the concept alone, T+I the concept with the box around the largest piece of the truth, and
"T+I moved" the same with every side of that box off by up to 25 % of the box's size. Dice is the
mean over images that have a target; a refused image counts 0. "absent" rows have no target.
"""

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segmenter.backends.compact import WEIGHTS, CompactBackend
from segmenter.training.dataset import Row, read_rows
from segmenter.training.evaluate import Outcome, foreign_rows, outcomes

FOREIGN_PER_IMAGE = 2
# Figures the first release is held to: text, text and box.
TARGETS = {
    ("busi", "breast tumor"): (0.50, 0.84),
    ("drishti_gs", "optic cup"): (0.75, 0.92),
    ("isic2018", "skin lesion"): (0.82, 0.91),
    ("kvasir_seg", "polyp"): (0.50, 0.88),
}


class Line(NamedTuple):
    """One set and concept; figures in [0, 1], NaN where there is nothing to average.

    Attributes:
        dataset: name of the set.
        concept: the phrase asked for.
        images: with a target.
        text: mean Dice of T.
        boxed: mean Dice of T+I.
        moved: mean Dice of T+I with the box moved.
        absent: number of rows without a target.
        specificity: share of those that got no mask.
    """

    dataset: str
    concept: str
    images: int
    text: float
    boxed: float
    moved: float
    absent: int
    specificity: float


def first_images(rows: Iterable[Row], limit: int | None) -> list[Row]:
    """Return the rows of the first ``limit`` images of each set, all without a limit."""
    seen: dict[str, dict[str, None]] = defaultdict(dict)
    kept = []
    for row in rows:
        images = seen[row.dataset]
        if row.id not in images and limit is not None and len(images) >= limit:
            continue
        images[row.id] = None
        kept.append(row)
    return kept


def summarise(found: Iterable[Outcome]) -> list[Line]:
    """Return a line per set and concept from the answers to annotated rows."""
    groups: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for each in found:
        groups[each.row.dataset, each.row.concept].append(each)
    return [_line(key, part) for key, part in sorted(groups.items())]


def _line(key: tuple[str, str], found: list[Outcome]) -> Line:
    dices: dict[str, list[float]] = defaultdict(list)
    for each in found:
        if each.has_target:
            dices[each.kind].append(each.dice)
    refused = [not each.found for each in found if not each.has_target]
    return Line(
        *key,
        images=len(dices["T"]),
        text=_mean(dices["T"]),
        boxed=_mean(dices["T+I"]),
        moved=_mean(dices["T+I moved"]),
        absent=len(refused),
        specificity=_mean(refused),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def table(lines: Iterable[Line]) -> Iterator[str]:
    """Yield the lines of a Markdown table; figures that miss their target are marked."""
    yield "| set | concept | images | T | T+I | T+I moved | absent | specificity |"
    yield "| --- | --- | --: | --: | --: | --: | --: | --: |"
    for line in lines:
        goals = TARGETS.get((line.dataset, line.concept))
        text, boxed = goals or (None, None)
        figures = (_figure(line.text, text), _figure(line.boxed, boxed), _figure(line.moved, None))
        yield (
            f"| {line.dataset} | {line.concept} | {line.images} | {' | '.join(figures)} "
            f"| {line.absent or ''} | {_figure(line.specificity, None)} |"
        )


def _figure(value: float, goal: float | None) -> str:
    if np.isnan(value):
        return ""
    if goal is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({'reaches' if value >= goal else 'MISSES'} {goal:.2f})"


def write_outcomes(found: Iterable[Outcome], path: Path) -> None:
    """Write one CSV row per answer."""
    with path.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(["set", "id", "concept", *Outcome._fields[1:]])
        writer.writerows(
            [each.row.dataset, each.row.id, each.row.concept, *each[1:]] for each in found
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit status."""
    asked = _parser().parse_args(argv)
    rows = first_images(read_rows(asked.data, asked.split, asked.sets), asked.limit)
    backend = CompactBackend(asked.weights)
    asked_for = [*rows, *foreign_rows(rows, FOREIGN_PER_IMAGE)]
    found = list(outcomes(backend, asked_for, kinds=("T", "T+I", "T+I moved")))
    annotated = [each for each in found if each.row.mask is not None]
    refused = [not each.found for each in found if each.row.mask is None]
    report = [
        f"weights {backend.capabilities.model.weights_id}, split {asked.split}",
        "",
        *table(summarise(annotated)),
        "",
        f"Concepts of another modality: {_mean(refused):.3f} of {len(refused)} refused.",
    ]
    print("\n".join(report))
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "dice.md").write_text("\n".join(report) + "\n", encoding="utf-8")
        write_outcomes(found, asked.out / "outcomes.csv")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dice")
    parser.add_argument("--data", type=Path, required=True, help="folder of the image data")
    parser.add_argument("--split", default="test", choices=("train", "test"))
    parser.add_argument("--sets", nargs="+", help="names of sets; all that are there by default")
    parser.add_argument("--limit", type=int, help="images per set")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of the weights")
    parser.add_argument("--out", type=Path, help="folder for the table and a row per answer")
    return parser


if __name__ == "__main__":
    sys.exit(main())

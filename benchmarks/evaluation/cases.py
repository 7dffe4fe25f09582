"""Which images are asked for what: rows of a data folder's manifests, in chosen words."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from api.cli.output import UsageFault
from benchmarks.evaluation.records import Case
from segmenter.training.ask import foreign_rows
from segmenter.training.compact.settings import load_settings
from segmenter.training.concepts import MODALITIES
from segmenter.training.dataset import Row, cut_validation, read_rows

MANIFEST = "manifest.csv"
COLUMNS = ("id", "image", "mask", "concept", "split", "group")
VALIDATION = "validation"
SPLITS = ("train", "test", "holdout", VALIDATION)
# As many names as a line of an error can hold.
NAMED = 5


def set_names(root: Path, wanted: Sequence[str] | None) -> list[str]:
    """Return the sets of a data folder, all that are there or those wanted, sorted.

    Raises:
        UsageFault: none is there, or one that is wanted is not.
    """
    found = sorted(path.parent.name for path in root.glob(f"*/{MANIFEST}"))
    if not found:
        raise UsageFault(f"no set in {root}: expected <set>/{MANIFEST}")
    missing = sorted(set(wanted or ()) - set(found))
    if missing:
        raise UsageFault(f"no set {listed(missing)} in {root}; there are {', '.join(found)}")
    return found if wanted is None else sorted(set(wanted))


def read_cases(root: Path, names: Iterable[str], split: str) -> list[Case]:
    """Return the annotated cases of one split, in the order of the manifests.

    Args:
        root: folder with one folder per set.
        names: of sets.
        split: as in the manifests, or ``validation``: what training cuts off its own split.

    Raises:
        UsageFault: a manifest cannot be used, or lists files that are not in this folder.
    """
    kept = _validation_images(root) if split == VALIDATION else None
    column = "train" if split == VALIDATION else split
    cases = [case for name in names for case in _manifest_cases(root / name, column)]
    if kept is not None:
        cases = [case for case in cases if (case.dataset, case.image_id) in kept]
    if not cases:
        raise UsageFault(f"no image of split {split} in these sets of {root}")
    return cases


def _validation_images(root: Path) -> set[tuple[str, str]]:
    """Return what training cuts off; the cut looks at all sets, whichever are asked for."""
    settings = load_settings().data
    rows = read_rows(root, "train")
    _, kept = cut_validation(rows, settings.validation_share, settings.validation_seed)
    return {(row.dataset, row.id) for row in kept}


def _manifest_cases(folder: Path, split: str) -> Iterator[Case]:
    with (folder / MANIFEST).open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise UsageFault(f"{folder.name}/{MANIFEST} has no column {listed(missing)}")
        for line in reader:
            if line["split"] == split:
                yield _manifest_case(folder, line)


def _manifest_case(folder: Path, line: Mapping[str, str]) -> Case:
    if not line["image"] or not line["mask"]:
        raise UsageFault(
            f"{folder.name}/{MANIFEST} lists no files for split {line['split']}:"
            " --data is not the folder that holds them"
        )
    return Case(
        dataset=folder.name,
        image_id=line["id"],
        concept=line["concept"],
        phrase=line["concept"],
        group=line["group"],
        image=folder / line["image"],
        mask=folder / line["mask"],
        labels=folder / line["labels"] if line.get("labels") else None,
        spacing=_spacing(folder, line),
    )


def _spacing(folder: Path, line: Mapping[str, str]) -> tuple[float, float] | None:
    row, column = line.get("spacing_row"), line.get("spacing_col")
    if not row or not column:
        return None
    try:
        sizes = float(row), float(column)
    except ValueError:
        sizes = (0.0, 0.0)
    if not all(0.0 < size < float("inf") for size in sizes):
        raise UsageFault(f"{folder.name}/{MANIFEST}: spacing {row!r}, {column!r} is no size in mm")
    return sizes


def first_images(cases: Iterable[Case], limit: int | None) -> list[Case]:
    """Return the cases of the first ``limit`` images of each set, all without a limit."""
    seen: dict[str, dict[str, None]] = {}
    kept = []
    for case in cases:
        images = seen.setdefault(case.dataset, {})
        if case.image_id not in images and limit is not None and len(images) >= limit:
            continue
        images[case.image_id] = None
        kept.append(case)
    return kept


def with_phrases(
    cases: Iterable[Case], phrases: Sequence[str], by_concept: Mapping[str, str]
) -> list[Case]:
    """Return the cases in the words they are asked with.

    Args:
        cases: asked with their concept so far.
        phrases: of a prompt study: every case is asked once with each; none leaves them be.
        by_concept: other words for single concepts.
    """
    return [
        case.model_copy(update={"phrase": phrase})
        for case in cases
        for phrase in phrases or (by_concept.get(case.concept, case.phrase),)
    ]


def foreign_cases(cases: Iterable[Case], per_image: int) -> list[Case]:
    """Return questions about what an image's modality rules out, for sets whose modality is known.

    Args:
        cases: each image of which is asked about.
        per_image: number of questions, picked by a hash of the image's name.
    """
    known = {(case.dataset, case.image_id): case for case in cases if case.dataset in MODALITIES}
    rows = foreign_rows((to_row(case) for case in known.values()), per_image)
    return [
        known[row.dataset, row.id].model_copy(
            update={"concept": row.concept, "phrase": row.concept, "mask": None, "labels": None}
        )
        for row in rows
    ]


def to_row(case: Case) -> Row:
    """Return a case as training's evaluation speaks of it."""
    return Row(
        dataset=case.dataset,
        id=case.image_id,
        concept=case.concept,
        split="",
        group=case.group,
        image=case.image,
        mask=case.mask,
    )


def listed(names: Sequence[str]) -> str:
    """Name some of them, and how many more there are."""
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(islice(names, NAMED)) + rest

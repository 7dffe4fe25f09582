"""Converts a download folder of one of the paper's datasets into the evaluation layout."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.paper.datasets import DATASETS, Dataset, Outlines
from benchmarks.paper.errors import ConversionError
from benchmarks.paper.layout import Picture, write_set
from benchmarks.paper.paired import convert_paired
from benchmarks.paper.polygons import convert_polygons
from benchmarks.paper.slices import Volumes, convert_volumes


def find(name: str) -> Dataset:
    """Return a dataset by its name in the paper; case, spaces, ``-`` and ``_`` do not matter.

    Raises:
        ConversionError: not one of the paper's.
    """
    found = [dataset for dataset in DATASETS if _plain(dataset.name) == _plain(name)]
    if not found:
        names = ", ".join(dataset.name for dataset in DATASETS)
        raise ConversionError(f"no dataset {name!r}; known are {names}")
    return found[0]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def convert(
    dataset: Dataset, source: Path, out: Path, split: str | None = None, *, keep_empty: bool = False
) -> int:
    """Convert a download folder.

    Args:
        dataset: what the folder holds.
        source: the download folder.
        out: folder of the new set; must not exist.
        split: ``train`` or ``test`` for all rows; None: as the folder says, ``test`` if it does
            not.
        keep_empty: of volumes, keep slices without the target, as absent.

    Returns:
        Number of manifest rows.

    Raises:
        ConversionError: the folder is not as described, or ``out`` exists.
        InputError: a file in it is no readable image.
    """
    if not source.is_dir():
        raise ConversionError(f"{source} is no folder; expected {dataset.layout}")
    pictures = _pictures(dataset, source, split, keep_empty=keep_empty)
    return write_set(pictures, out, dataset.page)


def _pictures(
    dataset: Dataset, source: Path, split: str | None, *, keep_empty: bool
) -> Iterator[Picture]:
    settings = dataset.converter
    if isinstance(settings, Outlines):
        return convert_polygons(source, settings.concept, split)
    if isinstance(settings, Volumes):
        return convert_volumes(source, settings, split, keep_empty=keep_empty)
    return convert_paired(source, settings, split)

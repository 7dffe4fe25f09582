"""Reads the shared image data: rows, validation part, pixels and boxes in memory."""

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from segmenter.formats.decode import decode
from segmenter.masks.components import components
from segmenter.training.concepts import MODALITIES, NAMES

# Smaller specks are annotation noise; a box prompt around one means nothing.
MIN_COMPONENT_PIXELS = 12
MAX_BOXES = 48


class Row(NamedTuple):
    """One image and concept, usually of a manifest.

    Attributes:
        dataset: name of the set.
        id: of the image in its set.
        concept: the phrase.
        split: ``train``, ``test`` or ``holdout``.
        group: patient, sequence or near-duplicates; never divided.
        image: path of the picture.
        mask: path of the annotation; None where the modality rules the concept out.
    """

    dataset: str
    id: str
    concept: str
    split: str
    group: str
    image: Path
    mask: Path | None


class Sample(NamedTuple):
    """One row in memory.

    Attributes:
        row: where it comes from.
        rgb: uint8, shape (H, W, 3), RGB.
        mask: uint8, shape (H, W), 0 or 255; all 0 where the concept is looked for and absent.
        boxes: float32, shape (K, 4), half-open xyxy pixels of the pieces, largest first.
    """

    row: Row
    rgb: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.float32]

    @property
    def concept(self) -> int:
        """Number of the concept in the model's vocabulary."""
        return NAMES.index(self.row.concept)


def read_rows(root: Path, split: str, datasets: Iterable[str] | None = None) -> list[Row]:
    """Return the manifest rows of one split, in a fixed order.

    Args:
        root: the data folder with one folder per set.
        split: ``train`` or ``test``; the files of ``holdout`` are not in the folder.
        datasets: names of sets; all known ones that are there if None.
    """
    names = sorted(MODALITIES) if datasets is None else list(datasets)
    rows: list[Row] = []
    for name in names:
        manifest = root / name / "manifest.csv"
        if datasets is None and not manifest.exists():
            continue
        with manifest.open(newline="", encoding="utf-8") as lines:
            rows += [_row(root / name, line) for line in csv.DictReader(lines)]
    return [row for row in rows if row.split == split]


def _row(folder: Path, line: dict[str, str]) -> Row:
    return Row(
        dataset=folder.name,
        id=line["id"],
        concept=line["concept"],
        split=line["split"],
        group=line["group"],
        image=folder / line["image"],
        mask=folder / line["mask"],
    )


def cut_validation(rows: list[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Cut whole groups off the training rows, in the order of a hash of their names.

    A group named in several sets goes to the same side in all of them.

    Args:
        rows: rows of the train split.
        share: part of each set's images to cut off, in [0, 1).
        seed: salt of the hash.

    Returns:
        The rows to train on and the rows to validate on.
    """
    chosen: set[str] = set()
    for name in sorted({row.dataset for row in rows}):
        chosen |= _validation_groups([row for row in rows if row.dataset == name], share, seed)
    training = [row for row in rows if row.group not in chosen]
    return training, [row for row in rows if row.group in chosen]


def _validation_groups(rows: list[Row], share: float, seed: int) -> set[str]:
    images = {(row.group, row.id) for row in rows}
    groups = sorted({row.group for row in rows}, key=lambda name: _digest(seed, name))
    chosen: set[str] = set()
    taken = 0
    for name in groups:
        # Half a group's images are allowed over the quota, or a set of few groups gets none.
        size = sum(1 for group, _ in images if group == name)
        if taken + size / 2 <= share * len(images):
            chosen.add(name)
            taken += size
    return chosen


def _digest(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def load(rows: Iterable[Row]) -> tuple[list[Sample], str]:
    """Read the pixels of all rows into memory.

    Returns:
        The samples, and the sha256 of all bytes read, in order, as hexadecimal digits.

    Raises:
        ValueError: a row without annotation.
    """
    digest = hashlib.sha256()
    samples = []
    for row in rows:
        if row.mask is None:
            raise ValueError(f"row {row.id!r} has no annotation to learn from")
        picture, annotation = row.image.read_bytes(), row.mask.read_bytes()
        digest.update(picture)
        digest.update(annotation)
        samples.append(_sample(row, picture, annotation))
    return samples, digest.hexdigest()


def read_picture(row: Row) -> npt.NDArray[np.uint8]:
    """Return the picture of a row, uint8, shape (H, W, 3), RGB."""
    return decode(row.image.read_bytes()).pixels


def read_target(row: Row) -> npt.NDArray[np.bool_]:
    """Return the mask of a row, bool, shape (H, W)."""
    if row.mask is None:
        return np.zeros(read_picture(row).shape[:2], dtype=np.bool_)
    return _to_mask(decode(row.mask.read_bytes()).pixels)


def _to_mask(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return a decoded 1-bit picture, uint8 (H, W, 3), as bool (H, W)."""
    mask: npt.NDArray[np.bool_] = pixels[..., 0] > 127
    return mask


def _sample(row: Row, picture: bytes, annotation: bytes) -> Sample:
    rgb, mask = decode(picture).pixels, _to_mask(decode(annotation).pixels)
    found = components(mask).boxes(least_px=MIN_COMPONENT_PIXELS)[:MAX_BOXES]
    boxes = np.array([box.as_tuple() for box in found], dtype=np.float32)
    return Sample(row, rgb, mask.astype(np.uint8) * np.uint8(255), boxes.reshape(-1, 4))

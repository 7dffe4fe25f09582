"""Writes pictures and masks in the layout of the evaluation data, all or nothing."""

import csv
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.paper.errors import ConversionError
from benchmarks.paper.png import encode_labels, encode_mask
from segmenter.contract import BinaryMask

COLUMNS = (
    "id",
    "image",
    "mask",
    "concept",
    "split",
    "source_repo",
    "source_path",
    "width",
    "height",
    "group",
    "labels",
    "spacing_row",
    "spacing_col",
    "frame",
)


class Picture(NamedTuple):
    """One picture and what is annotated on it.

    Attributes:
        id: unique in its set; letters, digits, ``._-``.
        content: the image file.
        suffix: of the image file, with the dot.
        masks: by concept: bool, shape (H, W) of the picture; no pixel means absent.
        split: ``train`` or ``test``.
        group: patient, volume or sequence.
        source_path: of the image in the download folder.
        labels: instances, uint16, shape (H, W), 0 for none; None without.
        spacing: (row, column) size of a pixel in mm; None if unknown.
        frame: number in the volume or sequence, from 0; None for a single picture.
    """

    id: str
    content: bytes
    suffix: str
    masks: dict[str, BinaryMask]
    split: str
    group: str
    source_path: str
    labels: npt.NDArray[np.uint16] | None = None
    spacing: tuple[float, float] | None = None
    frame: int | None = None


def safe_id(text: str) -> str:
    """Return text as a file name: other characters than letters, digits and ``._-`` become _."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("_")


def write_set(pictures: Iterable[Picture], out: Path, origin: str) -> int:
    """Write a whole set beside its place, then move it there.

    Args:
        pictures: written one by one.
        out: folder of the new set; must not exist.
        origin: written as ``source_repo``.

    Returns:
        Number of manifest rows.

    Raises:
        ConversionError: the folder exists, an id comes twice, or there is no picture.
    """
    if out.exists():
        raise ConversionError(f"{out} exists and is not overwritten")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        count = _write_all(pictures, draft, origin)
        draft.chmod(0o755)
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return count


def _write_all(pictures: Iterable[Picture], folder: Path, origin: str) -> int:
    seen: set[str] = set()
    count = 0
    for name in ("images", "masks"):
        (folder / name).mkdir()
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, COLUMNS)
        table.writeheader()
        for picture in pictures:
            if picture.id in seen:
                raise ConversionError(f"the id {picture.id!r} comes twice: {picture.source_path}")
            seen.add(picture.id)
            rows = _write(picture, folder, origin)
            table.writerows(rows)
            count += len(rows)
    if not count:
        raise ConversionError("no picture has a mask to write; nothing was written")
    return count


def _write(picture: Picture, folder: Path, origin: str) -> list[dict[str, object]]:
    image = f"images/{picture.id}{picture.suffix}"
    (folder / image).write_bytes(picture.content)
    labels = _write_labels(picture, folder)
    rows = []
    for concept, mask in picture.masks.items():
        path = f"masks/{picture.id}__{safe_id(concept)}.png"
        (folder / path).write_bytes(encode_mask(mask))
        named = {"image": image, "mask": path, "concept": concept, "labels": labels}
        rows.append({**_facts(picture, mask), **named, "source_repo": origin})
    return rows


def _write_labels(picture: Picture, folder: Path) -> str:
    if picture.labels is None:
        return ""
    path = f"labels/{picture.id}.png"
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_bytes(encode_labels(picture.labels))
    return path


def _facts(picture: Picture, mask: BinaryMask) -> dict[str, object]:
    row, column = picture.spacing or ("", "")
    height, width = mask.shape
    return {
        "id": picture.id,
        "split": picture.split,
        "source_path": picture.source_path,
        "width": width,
        "height": height,
        "group": picture.group,
        "spacing_row": row,
        "spacing_col": column,
        "frame": "" if picture.frame is None else picture.frame,
    }

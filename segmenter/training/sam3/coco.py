"""COCO data: ``train/_annotations.coco.json`` and ``valid/...`` beside their pictures."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segmenter.contract import BinaryMask, Rle
from segmenter.formats.polygons import fill_polygons
from segmenter.masks import rle
from segmenter.training.sam3.data import Annotated, to_phrase

FILE = "_annotations.coco.json"


def read_coco(folder: Path, phrases: Mapping[str, str]) -> list[Annotated]:
    """Read one split; a picture without annotations was looked at for every category.

    Args:
        folder: with the file and the pictures it names.
        phrases: other words for some categories.

    Raises:
        ValueError: no such file, no COCO data, a picture that is not in the folder, or see
            `to_phrase`.
    """
    table = _read(folder / FILE)
    names = {
        each["id"]: to_phrase(phrases.get(each["name"], each["name"]))
        for each in table["categories"]
    }
    objects: dict[int, dict[str, list[Rle]]] = {
        image["id"]: {name: [] for name in names.values()} for image in table["images"]
    }
    images = {image["id"]: image for image in table["images"]}
    for note in table["annotations"]:
        image = images[note["image_id"]]
        mask = to_mask(note["segmentation"], image["height"], image["width"])
        if mask.any():
            objects[image["id"]][names[note["category_id"]]].append(rle.encode(mask))
    return [
        Annotated(_picture(folder, image["file_name"]), _tuples(objects[number]))
        for number, image in images.items()
    ]


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"no COCO annotations at {str(path)!r}")
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        missing = {"images", "annotations", "categories"} - table.keys()
    except (ValueError, AttributeError):
        raise ValueError(f"{path.name} is no COCO data") from None
    if missing:
        raise ValueError(f"{path.name} has no {', '.join(sorted(missing))}")
    found: dict[str, Any] = table
    return found


def _picture(folder: Path, name: str) -> Path:
    path = folder / name
    # A name may not lead out of the folder.
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise ValueError(f"{FILE} names a picture that is not in its folder: {name!r}")
    return path


def _tuples(objects: Mapping[str, list[Rle]]) -> dict[str, tuple[Rle, ...]]:
    return {name: tuple(masks) for name, masks in objects.items()}


def to_mask(segmentation: Any, height: int, width: int) -> BinaryMask:
    """Turn polygons or run lengths, compressed or not, into a mask: bool, shape (H, W).

    Raises:
        ValueError: run lengths that do not fit the size.
    """
    if isinstance(segmentation, list):
        return fill_polygons(segmentation, height, width)
    counts = segmentation["counts"]
    if isinstance(counts, str):
        return rle.decode(Rle(size=(height, width), counts=counts))
    return _from_runs(counts, height, width)


def _from_runs(counts: Iterable[int], height: int, width: int) -> BinaryMask:
    runs = list(counts)
    if sum(runs) != height * width:
        raise ValueError(f"run lengths do not add up to {height} x {width}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape((height, width), order="F")

"""Builds download folders from drawn arrays and reads converted sets."""

import csv
from pathlib import Path

import numpy as np

from benchmarks.paper.png import encode_grey, encode_mask
from segmenter.training.dataset import Row, read_rows, read_target

SHAPE = (6, 9)


def blob(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def put(path: Path, content: bytes) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return content


def put_grey(path: Path, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, SHAPE, dtype=np.uint8)
    return put(path, encode_grey(pixels))


def put_mask(path: Path, mask: np.ndarray) -> bytes:
    return put(path, encode_mask(mask))


def rows(out: Path, split: str = "test") -> list[Row]:
    return read_rows(out.parent, split, [out.name])


def targets(out: Path, split: str = "test") -> dict[tuple[str, str], np.ndarray]:
    return {(row.id, row.concept): read_target(row) for row in rows(out, split)}


def manifest(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))

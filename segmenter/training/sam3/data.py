"""Annotated pictures for SAM 3: each with the objects of every phrase that is in it."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segmenter.contract import BinaryMask, RgbImage, Rle
from segmenter.formats.decode import decode
from segmenter.formats.raster.image import decode_mask_png
from segmenter.masks import rle
from segmenter.masks.components import components
from segmenter.training.dataset import MIN_COMPONENT_PIXELS, Row

# Source: MedSAM-3's paper, section 3.2: "each limited to no more than three words".
MAX_WORDS = 3


class Annotated(NamedTuple):
    """A picture and its objects.

    Attributes:
        path: of the picture.
        objects: masks by phrase, at the picture's size; a phrase without one was looked for and
            is not there.
    """

    path: Path
    objects: Mapping[str, tuple[Rle, ...]]


def to_phrase(words: str) -> str:
    """Return a phrase as SAM 3 is asked it: lower case, one space between words.

    Raises:
        ValueError: empty, or more than three words.
    """
    phrase = " ".join(words.lower().replace("_", " ").split())
    count = len(phrase.split())
    if not 1 <= count <= MAX_WORDS:
        raise ValueError(f"the phrase {words!r} has {count} words; 1 to {MAX_WORDS} are allowed")
    return phrase


def from_rows(rows: Iterable[Row], phrases: Mapping[str, str]) -> list[Annotated]:
    """Read rows of the shared image data; pieces of a mask that do not touch are objects.

    Args:
        rows: one for each picture and concept.
        phrases: other words for some concepts.

    Raises:
        ValueError: see `to_phrase`; or a row without a mask.
    """
    pictures: dict[Path, dict[str, tuple[Rle, ...]]] = {}
    for row in rows:
        if row.mask is None:
            raise ValueError(f"{row.dataset}/{row.id} has no mask")
        phrase = to_phrase(phrases.get(row.concept, row.concept))
        pieces = _pieces(decode_mask_png(row.mask.read_bytes()))
        pictures.setdefault(row.image, {})[phrase] = tuple(rle.encode(piece) for piece in pieces)
    return [Annotated(path, objects) for path, objects in pictures.items()]


def _pieces(mask: BinaryMask) -> list[BinaryMask]:
    found = components(mask)
    numbers = sorted(found.largest_first(least_px=MIN_COMPONENT_PIXELS))
    return [found.labels == number for number in numbers]


def read_rgb(picture: Annotated) -> RgbImage:
    """Decode a picture: uint8, shape (H, W, 3)."""
    return decode(picture.path.read_bytes()).pixels


def digest(picture: Annotated) -> str:
    """Return the sha256 of a picture's bytes as hexadecimal digits."""
    return hashlib.sha256(picture.path.read_bytes()).hexdigest()


def union(picture: Annotated, phrase: str, shape: tuple[int, int]) -> BinaryMask:
    """Return all objects of a phrase as one mask: bool, shape (H, W)."""
    joined: BinaryMask = np.zeros(shape, dtype=np.bool_)
    for each in picture.objects[phrase]:
        joined |= rle.decode(each)
    return joined

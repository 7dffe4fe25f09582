"""Asks a backend what the manifests know the answer to; no torch here."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from segmenter.backends.contract import Backend, Prediction
from segmenter.contract import BinaryMask, Box, BoxPrompt, Prompt
from segmenter.masks.components import components
from segmenter.masks.geometry import dice
from segmenter.training.concepts import CONCEPTS, foreign_concepts
from segmenter.training.dataset import Row, read_picture, read_target

Kind = Literal["T", "T+I", "T+I moved"]
Embedding = TypeVar("Embedding")
# Each side of a moved box is off by up to this share of the box's size.
MOVED = 0.25


class Outcome(NamedTuple):
    """One answer beside the truth.

    Attributes:
        row: image and concept asked for.
        kind: text, or text with the box of the largest piece, tight or moved.
        has_target: whether the truth has a pixel.
        dice: of the union of the answer's masks, [0, 1].
        presence: [0, 1].
        joint: highest score x presence of the masks, 0 without one.
        found: whether there was a mask.
    """

    row: Row
    kind: Kind
    has_target: bool
    dice: float
    presence: float
    joint: float
    found: bool


def outcomes(
    backend: Backend[Embedding],
    rows: Iterable[Row],
    *,
    kinds: tuple[Kind, ...] = ("T", "T+I"),
    threshold: float | None = None,
) -> Iterator[Outcome]:
    """Yield an outcome per row and kind; rows without a target have no box to be asked with.

    Args:
        backend: to ask; every image is embedded once.
        rows: of any sets.
        kinds: of prompts.
        threshold: of the joint score, None for the backend's own.
    """
    for _, part in groupby(sorted(rows, key=_place), key=lambda row: row.image):
        yield from _of_image(backend, list(part), kinds, threshold)


def _place(row: Row) -> tuple[str, str, str]:
    return row.dataset, str(row.image), row.concept


def _of_image(
    backend: Backend[Embedding],
    rows: list[Row],
    kinds: tuple[Kind, ...],
    threshold: float | None,
) -> Iterator[Outcome]:
    embedding = backend.embed(read_picture(rows[0]))
    for row in rows:
        target = read_target(row)
        asked = [kind for kind in kinds if kind == "T" or target.any()]
        prompts = [prompt_for(row, target, kind) for kind in asked]
        predictions = backend.predict(embedding, prompts, threshold=threshold)
        for kind, prediction in zip(asked, predictions, strict=True):
            yield _outcome(row, kind, target, prediction)


def prompt_for(row: Row, target: BinaryMask, kind: Kind) -> Prompt:
    """Return the prompt of a row.

    Args:
        row: whose concept is asked for; its name decides how a box is moved.
        target: bool, shape (H, W); gives the box.
        kind: with or without the box.
    """
    if kind == "T":
        return Prompt(text=row.concept)
    box = components(target).boxes()[0]
    sides = np.array(box.as_tuple())
    if kind == "T+I moved":
        size = np.array([box.x1 - box.x0, box.y1 - box.y0] * 2)
        sides += np.random.default_rng(tuple(row.id.encode())).uniform(-MOVED, MOVED, 4) * size
    x0, y0, x1, y1 = (float(side) for side in sides)
    return Prompt(text=row.concept, boxes=(BoxPrompt(box=Box(x0=x0, y0=y0, x1=x1, y1=y1)),))


def _outcome(row: Row, kind: Kind, target: BinaryMask, prediction: Prediction) -> Outcome:
    union = np.zeros_like(target)
    for mask in prediction.masks:
        union |= mask.mask
    return Outcome(
        row=row,
        kind=kind,
        has_target=bool(target.any()),
        dice=dice(union, target),
        presence=prediction.presence,
        joint=max((mask.score for mask in prediction.masks), default=0.0) * prediction.presence,
        found=bool(prediction.masks),
    )


def foreign_rows(rows: Iterable[Row], per_image: int) -> Iterator[Row]:
    """Yield questions, with the certain answer "absent", about concepts of other modalities.

    Args:
        rows: each image of which is asked about.
        per_image: number of questions, picked by a hash of the image's name.
    """
    for row in {(row.dataset, row.id): row for row in rows}.values():
        numbers = foreign_concepts(row.dataset)
        seed = int(hashlib.sha256(row.id.encode()).hexdigest()[:8], 16)
        for number in np.random.default_rng(seed).permutation(numbers)[:per_image]:
            yield row._replace(concept=CONCEPTS[number].name, mask=None)

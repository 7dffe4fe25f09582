"""What is asked in which step: text alone, text with a box, and phrases that are not there. Pure.

Everything follows from the seed and the epoch, so that a resumed run asks the same.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from segmenter.contract import Box
from segmenter.masks import rle
from segmenter.masks.geometry import clip_box, mask_box
from segmenter.training.sam3.data import Annotated
from segmenter.training.sam3.settings import DataSettings


class Query(NamedTuple):
    """One question.

    Attributes:
        picture: number of the picture.
        phrase: in it or not.
        box: around one of its objects, moved; pixels, half-open xyxy. None for text alone.
    """

    picture: int
    phrase: str
    box: Box | None


def epoch_queries(
    pictures: Sequence[Annotated], settings: DataSettings, *, seed: int, epoch: int
) -> list[Query]:
    """Return the questions of an epoch in their order.

    Every phrase of every picture comes once, and some that are not in it.
    """
    chance = random.Random(f"{seed}:{epoch}")
    vocabulary = sorted({name for each in pictures for name in each.objects} | set(settings.absent))
    queries = [
        query
        for number, picture in enumerate(pictures)
        for query in _of_picture(number, picture, vocabulary, settings, chance)
    ]
    chance.shuffle(queries)
    return queries


def _of_picture(
    number: int,
    picture: Annotated,
    vocabulary: Sequence[str],
    settings: DataSettings,
    chance: random.Random,
) -> list[Query]:
    queries = []
    for phrase, masks in picture.objects.items():
        if masks:
            boxed = chance.random() < settings.boxed
            shown = mask_box(rle.decode(chance.choice(masks))) if boxed else None
            box = None if shown is None else moved_box(shown, settings.box_jitter, chance)
            size = masks[0].size
            inside = None if box is None else clip_box(box, width=size[1], height=size[0])
            queries.append(Query(number, phrase, inside))
    absent = [phrase for phrase in vocabulary if not picture.objects.get(phrase)]
    chosen = chance.sample(absent, min(settings.negatives, len(absent)))
    return queries + [Query(number, phrase, None) for phrase in chosen]


def moved_box(box: Box, jitter: float, chance: random.Random) -> Box:
    """Move each side by up to `jitter`, below 0.5, of the box's width or height."""
    width, height = box.x1 - box.x0, box.y1 - box.y0
    off = [chance.uniform(-jitter, jitter) for _ in range(4)]
    return Box(
        x0=box.x0 + off[0] * width,
        y0=box.y0 + off[1] * height,
        x1=box.x1 + off[2] * width,
        y1=box.y1 + off[3] * height,
    )

"""From prompts to views of an image, and from decoded views to masks. Pure; no graphs here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from segmenter.backends.compact.sampling import FloatArray, Rect, paste_logits
from segmenter.backends.contract import PredictedMask, box_on_image
from segmenter.contract import Box, Prompt, RgbImage
from segmenter.errors import InvalidPrompt

# Logit of pixels a zoomed view does not show: probability 2e-9.
OUTSIDE = -20.0
# Logits of a view that shows one value throughout: it is no less sure than of what it cannot see,
# but it did look.
NOTHING = OUTSIDE + 1.0
# Height and width of a tile over those of the picture: two of them overlap by 0.12.
TILE = 0.56
# Logit of probability 0.12. Fainter pixels stay out of a mask's score: over a large ground they
# outweigh a small target. Chosen on validation: of -6, -4, -3 and -2 it followed Dice best.
FAR = -2.0
# Probabilities are made of so many logits at once, in place of them.
SIGMOID_VALUES = 1_000_000
# Logit of probability 0.65; the stability of a mask compares the cuts at 0.35 and 0.65.
STABLE = float(np.log(0.65 / 0.35))


@dataclass(frozen=True)
class View:
    """One thing to decode.

    Attributes:
        concept: number in the graph's vocabulary.
        box: drawn into the view, in pixels of the image; None for the whole picture without box.
        rect: the part of the image that is seen.
        mirrored: whether it is also read mirrored and the two answers averaged.
    """

    concept: int
    box: Box | None
    rect: Rect
    mirrored: bool = False


@dataclass(frozen=True)
class Plan:
    """The views that answer one prompt.

    Attributes:
        base: of the whole picture without a box; None if boxes alone decide.
        tiles: views that together show the whole picture closer.
        boxed: one view per box.
    """

    base: View | None = None
    tiles: tuple[View, ...] = ()
    boxed: tuple[View, ...] = ()

    @property
    def views(self) -> tuple[View, ...]:
        """All of them: the base, the tiles, the boxed ones."""
        return (*([] if self.base is None else [self.base]), *self.tiles, *self.boxed)


@dataclass(frozen=True)
class Decoded:
    """What the graphs said about a view.

    Attributes:
        view: that was asked.
        logits: float32, shape (S, S), mask logits.
        presence: logit, uncalibrated.
    """

    view: View
    logits: FloatArray
    presence: float


def cut_boxes(prompt: Prompt, shape: tuple[int, int]) -> list[Box]:
    """Return the boxes of a prompt, cut to the image.

    Args:
        prompt: any.
        shape: (H, W) of the image.

    Raises:
        InvalidPrompt: a negative box, or one that is not on the image.
    """
    if any(each.label == "negative" for each in prompt.boxes):
        raise InvalidPrompt("the compact model takes no negative boxes", field="boxes")
    return [box_on_image(each.box, shape) for each in prompt.boxes]


@dataclass(frozen=True)
class Seen:
    """What the graphs said about the views of a plan; ``second`` looked at the base's own find."""

    base: Decoded | None
    tiles: tuple[Decoded, ...]
    boxed: tuple[Decoded, ...]
    second: Decoded | None = None

    @property
    def judges(self) -> tuple[Decoded, ...]:
        """The views whose presence counts."""
        return (*([] if self.base is None else [self.base]), *self.boxed)


def is_blank(image: RgbImage, rect: Rect) -> bool:
    """Tell whether a part of an image, uint8 (H, W, 3), is of one value throughout."""
    top, left = max(int(rect.y), 0), max(int(rect.x), 0)
    bottom, right = int(np.ceil(rect.y + rect.height)), int(np.ceil(rect.x + rect.width))
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    # A row first: most pictures are told from it.
    return bool((part[:1] == part[:1, :1]).all() and (part == part[:1, :1]).all())


def emptied(decoded: Decoded) -> Decoded:
    """Return what a view says that shows nothing: no pixel, and no presence."""
    return replace(decoded, logits=np.full_like(decoded.logits, NOTHING), presence=NOTHING)


def take(plan: Plan, decoded: Iterator[Decoded]) -> Seen:
    """Take what was decoded for a plan, in the order of its views."""
    base = None if plan.base is None else next(decoded)
    tiles = tuple(islice(decoded, len(plan.tiles)))
    return Seen(base, tiles, tuple(islice(decoded, len(plan.boxed))))


def fuller(first: Decoded, second: Decoded) -> Decoded:
    """Return the second look at a box, or the first where the second finds nothing."""
    return second if (second.logits > 0).any() else first


def tile_rects(shape: tuple[int, int]) -> tuple[Rect, ...]:
    """Return four overlapping parts that cover an image of shape (H, W)."""
    height, width = shape[0] * TILE, shape[1] * TILE
    corners = [(x, y) for y in (0.0, shape[0] - height) for x in (0.0, shape[1] - width)]
    return tuple(Rect(x, y, width, height) for x, y in corners)


def draw(seen: Seen, shape: tuple[int, int]) -> Iterator[FloatArray]:
    """Yield logits of masks, float32 (H, W): one per box, or one that the boxes refine.

    Args:
        seen: of one prompt; a base is replaced by its tiles, averaged with a second look, and
            replaced by the boxed views, each where it sees.
        shape: (H, W) of the image.
    """
    boxed = (paste(each, shape) for each in seen.boxed)
    if seen.base is None:
        yield from boxed
        return
    logits = _average(seen.tiles, shape) if seen.tiles else paste(seen.base, shape)
    # In place: each of these is as large as the picture, four bytes a pixel.
    if seen.second is not None:
        closer = paste(seen.second, shape)
        inside = closer > OUTSIDE
        np.add(logits, closer, out=logits, where=inside)
        np.divide(logits, 2, out=logits, where=inside)
        del closer, inside
    for zoomed in boxed:
        np.copyto(logits, zoomed, where=zoomed > OUTSIDE)
    yield logits


def paste(decoded: Decoded, shape: tuple[int, int]) -> FloatArray:
    """Return a view's logits on the image, float32 (H, W); `OUTSIDE` where it does not see."""
    return paste_logits(decoded.logits, decoded.view.rect, shape, OUTSIDE)


def _average(tiles: Sequence[Decoded], shape: tuple[int, int]) -> FloatArray:
    """Average tiles where they overlap."""
    logits, seen = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.uint8)
    for tile in tiles:
        pasted = paste(tile, shape)
        inside = pasted > OUTSIDE
        np.add(logits, pasted, out=logits, where=inside)
        seen += inside
        # Or it would still be there while the next one is made.
        del pasted, inside
    np.divide(logits, seen, out=logits, where=seen > 0)
    logits[seen == 0] = OUTSIDE
    return logits


def cut_mask(logits: FloatArray) -> PredictedMask | None:
    """Cut logits, float32 (H, W), at probability 0.5; None if nothing is left.

    The score is the Dice to expect if the probabilities are right: 2 sum(p m) / (sum p + sum m).
    """
    mask: npt.NDArray[np.bool_] = logits > 0
    area = int(mask.sum())
    if area == 0:
        return None
    near = logits[logits > FAR]
    inside, probability = near > 0, near
    for start in range(0, near.size, SIGMOID_VALUES):
        some = slice(start, start + SIGMOID_VALUES)
        probability[some] = sigmoid(near[some])
    score = 2 * float(probability[inside].sum()) / (float(probability.sum()) + area)
    stability = int((logits > STABLE).sum()) / int((logits > -STABLE).sum())
    return PredictedMask(mask, min(score, 1.0), stability)


def why_empty(
    name: str | None, joints: Sequence[float], threshold: float, *, blank: bool = False
) -> str:
    """Say in plain words why there is no mask.

    Args:
        name: of the concept, None for a box alone.
        joints: joint scores of the masks that were dropped.
        threshold: they were below.
        blank: whether what was looked at is of one value throughout.
    """
    looked = f"looked for {name or 'one object in the box'}"
    if blank:
        return f"{looked}, but the picture is of one value there: there is nothing to outline"
    if not joints:
        return f"{looked}, found no pixel of it"
    return f"{looked}, the best mask scores {max(joints):.2f}, below the threshold {threshold:.2f}"


def sigmoid(logits: npt.NDArray[np.floating] | np.floating) -> npt.NDArray[np.floating]:
    """Return probabilities of logits, any float dtype and shape."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))))

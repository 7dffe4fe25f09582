"""Places: where on the picture, on which side, over the middle or not. Pure."""

import re
from collections.abc import Callable

from agent.answers.chosen import OTHER
from agent.answers.findings import Shown
from agent.answers.numbers import listed, number
from agent.answers.sizes import MAX_EACH
from agent.answers.subjects import Subject, side_words, subjects_of
from agent.answers.told import NOTHING, Asked, Told, not_outlined
from agent.schemas.intent import Side
from segmenter.contract import ImageRef

_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)
_ROWS = ("upper", "middle", "lower")
_COLUMNS = ("left", "middle", "right")


def tell_place(asked: Asked) -> list[Told]:
    """Tell the thirds of the picture, the centroid and the side of each mask."""
    image = asked.findings.image

    def tell(mask: Shown, subject: Subject) -> str:
        return f"{subject.title}: {_place(mask, image)}; {_side(mask, subject, image)}."

    return _tell_each(asked, tell, _spread)


def tell_side(asked: Asked) -> list[Told]:
    """Tell which side each mask is on, and whether that is the side asked for."""
    wanted, image = _wanted(asked), asked.findings.image

    def tell(mask: Shown, subject: Subject) -> str:
        return f"{_yes_no(mask, subject, wanted)}{subject.title}: {_side(mask, subject, image)}."

    return _tell_each(asked, tell, _spread)


def tell_midline(asked: Asked) -> list[Told]:
    """Tell whether each mask reaches both sides of the picture's vertical middle."""
    image = asked.findings.image

    def tell(mask: Shown, subject: Subject) -> str:
        return f"{subject.title}: {_midline(mask, image)}."

    def tell_many(subject: Subject) -> str:
        over = sum(_is_over_middle(mask, image) for mask in subject.masks)
        return f"{subject.title}: {over} of them reach both sides of the picture's vertical middle."

    return [*_tell_each(asked, tell, tell_many), _MIDDLE]


_MIDDLE = Told("This is the middle of the picture, not the anatomical midline.")


def _tell_each(
    asked: Asked, tell: Callable[[Shown, Subject], str], tell_many: Callable[[Subject], str]
) -> list[Told]:
    """Tell of each mask, of many together, and of what is not outlined that it is not."""
    told: list[Told] = []
    for subject in _subjects(asked):
        if not subject.masks:
            told.append(not_outlined(subject))
        elif len(subject.masks) > MAX_EACH:
            told.append(Told(tell_many(subject)))
        else:
            told += [Told(tell(mask, subject._replace(masks=(mask,)))) for mask in subject.masks]
    return told or [NOTHING]


def _subjects(asked: Asked) -> tuple[Subject, ...]:
    """Return what is asked about; the side in the question is asked, and selects nothing."""
    things = tuple(
        thing.model_copy(update={"which": thing.which.model_copy(update={"side": None})})
        for thing in asked.question.things
    )
    which = asked.question.which.model_copy(update={"side": None})
    question = asked.question.model_copy(update={"things": things, "which": which})
    return subjects_of(question, asked.intent, asked.findings)


def _spread(subject: Subject) -> str:
    """Say how many of many masks are on which side."""
    sides = [mask.measures.image_side for mask in subject.masks]
    counts = [
        f"{sides.count(side)} on {side_words(side, subject.frame)}" for side in ("left", "right")
    ]
    return f"{subject.title}: {listed(counts)}, by their centroids."


def _place(mask: Shown, image: ImageRef) -> str:
    x, y = mask.measures.centroid
    row = _ROWS[min(2, int(3 * y / image.height))]
    column = _COLUMNS[min(2, int(3 * x / image.width))]
    third = "in the centre" if row == column == "middle" else f"in the {row} third"
    if third != "in the centre":
        third += (
            " and the middle third" if column == "middle" else f" and the image's {column} third"
        )
    at = f"x {number(x)} px, y {number(y)} px from the upper left corner"
    return f"{third} of the picture, centroid at {at}"


def _side(mask: Shown, subject: Subject, image: ImageRef) -> str:
    side = mask.measures.image_side
    if side == "middle":
        return "its centroid is on the vertical middle of the picture"
    said = f"on {side_words(side, subject.frame)}"
    over = " by its centroid, and it reaches over the picture's vertical middle"
    return said + (over if _is_over_middle(mask, image) else "")


def _is_over_middle(mask: Shown, image: ImageRef) -> bool:
    return mask.box.x0 < image.width / 2 < mask.box.x1


def _midline(mask: Shown, image: ImageRef) -> str:
    if _is_over_middle(mask, image):
        return "yes, it reaches both sides of the picture's vertical middle"
    return (
        f"no, it is on one side of the picture's vertical middle, the image's {_half(mask, image)}"
    )


def _half(mask: Shown, image: ImageRef) -> Side:
    return "left" if mask.box.x1 <= image.width / 2 else "right"


def _wanted(asked: Asked) -> Side | None:
    """Return the side that a question asks about, as its words say it."""
    named = [thing.which.side for thing in asked.question.things if thing.which.side is not None]
    words = [found.lower() for found in _SIDE.findall(asked.question.words)]
    sides = {*named, *words}
    return None if len(sides) != 1 else ("left" if "left" in sides else "right")


def _yes_no(mask: Shown, subject: Subject, wanted: Side | None) -> str:
    side = mask.measures.image_side
    if wanted is None or side == "middle":
        return ""
    meant = OTHER[wanted] if subject.frame == "patient" else wanted
    return "Yes, " if side == meant else "No, "

"""Places: where on the picture, on which side, over the middle or not. Pure."""

import re

from agent.answers.chosen import OTHER
from agent.answers.findings import Shown
from agent.answers.numbers import number
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
    return [
        Told(f"{subject.title}: {_place(mask, image)}; {_side(mask, subject, image)}.")
        for subject, mask in _masks(asked)
    ] or _none(asked)


def tell_side(asked: Asked) -> list[Told]:
    """Tell which side each mask is on, and whether that is the side asked for."""
    wanted, image = _wanted(asked), asked.findings.image
    return [
        Told(f"{_yes_no(mask, subject, wanted)}{subject.title}: {_side(mask, subject, image)}.")
        for subject, mask in _masks(asked)
    ] or _none(asked)


def tell_midline(asked: Asked) -> list[Told]:
    """Tell whether each mask reaches both sides of the picture's vertical middle."""
    image = asked.findings.image
    told = [Told(f"{subject.title}: {_midline(mask, image)}.") for subject, mask in _masks(asked)]
    return [*told, _MIDDLE] if told else _none(asked)


_MIDDLE = Told("This is the middle of the picture, not the anatomical midline.")


def _masks(asked: Asked) -> list[tuple[Subject, Shown]]:
    """Return each mask with its subject; the side in the question is asked, and selects nothing."""
    things = tuple(
        thing.model_copy(update={"which": thing.which.model_copy(update={"side": None})})
        for thing in asked.question.things
    )
    question = asked.question.model_copy(update={"things": things})
    subjects = subjects_of(question, asked.intent, asked.findings)
    return [
        (subject._replace(masks=(mask,)), mask) for subject in subjects for mask in subject.masks
    ]


def _none(asked: Asked) -> list[Told]:
    subjects = subjects_of(asked.question, asked.intent, asked.findings)
    return [not_outlined(subject) for subject in subjects] or [NOTHING]


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

"""Sizes: areas, lengths, shape and values of masks, each or together. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from agent.answers.findings import Shown
from agent.answers.numbers import area, length, number, percent
from agent.answers.subjects import Subject, subjects_of
from agent.answers.told import NOTHING, Asked, Told, not_outlined
from agent.schemas.intent import Topic, Unit
from segmenter.contract import Length, Measures

# More masks than these are told by the smallest and the largest.
MAX_EACH = 4
_HOUNSFIELD = re.compile(r"\b(hu|hounsfield)\b", re.IGNORECASE)


class Quantity(NamedTuple):
    """Something that is measured of a mask.

    Attributes:
        write: says it, with how it is measured.
        value: what masks are ordered by.
        adds_up: the sum of several masks means something.
    """

    write: Callable[[Measures, Unit | None], str]
    value: Callable[[Measures], float]
    adds_up: bool = False
    is_length: bool = True


def _area(measures: Measures, unit: Unit | None) -> str:
    return f"area {area(measures.area_px, measures.area_mm2, unit)}"


def _diameters(measures: Measures, unit: Unit | None) -> str:
    longest, short = length(measures.longest, unit), length(measures.short, unit)
    return f"longest diameter {longest}, short axis across it {short}"


def _circularity(measures: Measures, unit: Unit | None) -> str:
    del unit
    value = number(measures.circularity)
    return f"circularity {value}, from area and perimeter (a perfect circle has one)"


def _of(name: str, pick: Callable[[Measures], Length], how: str) -> Quantity:
    def write(measures: Measures, unit: Unit | None) -> str:
        return f"{name} {length(pick(measures), unit)}{how}"

    return Quantity(write, lambda measures: pick(measures).px)


AREA = Quantity(_area, lambda measures: measures.area_px, adds_up=True)
DIAMETERS = Quantity(_diameters, lambda measures: measures.longest.px)
_BOX = " of the upright box around the mask"
QUANTITIES: Mapping[Topic, tuple[Quantity, ...]] = {
    "size": (AREA, DIAMETERS),
    "area": (AREA,),
    "diameter": (DIAMETERS,),
    "width": (_of("width", lambda measures: measures.width, _BOX),),
    "height": (_of("height", lambda measures: measures.height, _BOX),),
    "perimeter": (_of("perimeter", lambda measures: measures.perimeter, " along the outline"),),
    "circularity": (
        Quantity(_circularity, lambda measures: measures.circularity, is_length=False),
    ),
}


def tell_size(asked: Asked) -> list[Told]:
    """Answer a question for what `QUANTITIES` holds."""
    quantities = QUANTITIES[asked.question.topic]
    subjects = subjects_of(asked.question, asked.intent, asked.findings)
    return [_tell(subject, quantities, asked.question.unit) for subject in subjects] or [NOTHING]


def tell_volume(asked: Asked) -> list[Told]:
    """Say that one picture has no volume, and tell the area instead."""
    why = "A volume cannot be measured on one picture, it needs all slices and their distance."
    question = asked.question.model_copy(update={"topic": "area", "unit": None})
    return [Told(why), *tell_size(asked._replace(question=question))]


def tell_intensity(asked: Asked) -> list[Told]:
    """Tell mean and spread of the values under masks."""
    subjects = subjects_of(asked.question, asked.intent, asked.findings)
    return [
        told for subject in subjects for told in _intensities(subject, asked.question.words)
    ] or [NOTHING]


def _tell(subject: Subject, quantities: Sequence[Quantity], unit: Unit | None) -> Told:
    masks = subject.masks
    if not masks:
        return not_outlined(subject)
    if unit == "percent" and quantities[0] is AREA:
        return Told(f"{subject.title}: {together(masks, unit)}.")
    if len(masks) == 1:
        said = ", ".join(quantity.write(masks[0].measures, unit) for quantity in quantities)
    elif len(masks) <= MAX_EACH:
        said = "; ".join(_each(masks, quantities, unit))
    else:
        said = "; ".join(_range(masks, quantity, unit) for quantity in quantities)
    if len(masks) > 1 and quantities[0].adds_up:
        said = f"{together(masks, unit)}; {said}"
    if quantities != (AREA,) and any(mask.measures.pieces > 1 for mask in masks):
        said += "; over all pieces of a mask together"
    has_lengths = any(quantity.is_length for quantity in quantities)
    return Told(f"{subject.title}: {said}.", has_lengths)


def _each(masks: Sequence[Shown], quantities: Sequence[Quantity], unit: Unit | None) -> list[str]:
    return [
        f"{mask.id} " + ", ".join(quantity.write(mask.measures, unit) for quantity in quantities)
        for mask in masks
    ]


def _range(masks: Sequence[Shown], quantity: Quantity, unit: Unit | None) -> str:
    low, *_, high = sorted(masks, key=lambda mask: quantity.value(mask.measures))
    said = [f"{quantity.write(mask.measures, unit)} ({mask.id})" for mask in (low, high)]
    return f"from {said[0]} to {said[1]}"


def together(masks: Sequence[Shown], unit: Unit | None = None) -> str:
    """Tell the sum of the areas of masks; one mask is its own sum."""
    if unit == "percent":
        share = sum(mask.measures.picture_share for mask in masks)
        said = f"{percent(share)} of the picture"
    else:
        mm2 = [mask.measures.area_mm2 for mask in masks if mask.measures.area_mm2 is not None]
        total = sum(mask.measures.area_px for mask in masks)
        said = f"area {area(total, sum(mm2) if len(mm2) == len(masks) else None, unit)}"
    return said if len(masks) == 1 else f"{said} together (sum of the masks)"


def _intensities(subject: Subject, words: str) -> list[Told]:
    """Tell the values of each mask, or of the darkest and the brightest of many."""
    known = [mask for mask in subject.masks if mask.measures.intensity is not None]
    if not subject.masks:
        return [not_outlined(subject)]
    if not known:
        unread = "the values of the picture under the mask could not be read"
        return [Told(f"{subject.title}: {unread}.")]
    ordered = sorted(known, key=_mean) if len(known) > MAX_EACH else known
    chosen = [ordered[0], ordered[-1]] if len(known) > MAX_EACH else known
    words_of = [f"{mask.id} " if len(known) > 1 else "" for mask in chosen]
    said = "; ".join(f"{name}{_values(mask)}" for name, mask in zip(words_of, chosen, strict=True))
    if len(known) > MAX_EACH:
        said = f"the darkest and the brightest: {said}"
    unit = known[0].measures.intensity.unit if known[0].measures.intensity else ""
    if unit != "HU" and _HOUNSFIELD.search(words):
        said += "; these are no Hounsfield units, which only a CT file holds"
    return [Told(f"{subject.title}: {said}.")]


def _mean(mask: Shown) -> float:
    return mask.measures.intensity.mean if mask.measures.intensity else 0.0


def _values(mask: Shown) -> str:
    found = mask.measures.intensity
    assert found is not None, "only what was read is told"
    spread = f"spread {number(found.std)} (standard deviation under the mask)"
    if found.unit == "HU":
        return f"mean {number(found.mean)} HU, {spread}"
    return f"mean {found.unit} {number(found.mean)}, {spread}"

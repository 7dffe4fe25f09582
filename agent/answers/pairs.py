"""Two things against each other: ratio, share, which is larger, now and before. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent.answers.findings import Shown
from agent.answers.numbers import area, listed, percent, ratio
from agent.answers.sizes import MAX_EACH, together
from agent.answers.subjects import Subject, pair_of, subjects_of, whole
from agent.answers.told import NOTHING, Asked, Told, not_outlined
from segmenter.contract import BinaryMask, PairMeasures, Spacing
from segmenter.masks.geometry import unite
from segmenter.masks.rle import decode
from segmenter.measures.pair import compare


class NamedRatio(NamedTuple):
    """A ratio that clinicians know by a name.

    Attributes:
        name: with the direction it is measured in.
        how: from what.
        vertical: of heights; else of widths.
    """

    name: str
    how: str
    vertical: bool


# Sources: vertical cup to disc ratio, Garway-Heath et al. (1998), Br. J. Ophthalmol. 82:1118-1124;
# cardiothoracic ratio, Danzer (1919), Am. J. Med. Sci. 157:513-521.
NAMED_RATIOS: Mapping[tuple[str, str], NamedRatio] = {
    ("optic cup", "optic disc"): NamedRatio(
        "vertical cup to disc ratio", "the heights of the two masks", vertical=True
    ),
    ("heart", "lungs"): NamedRatio(
        "cardiothoracic ratio", "the width of the heart and of both lungs together", vertical=False
    ),
}
# What a share of a thing is one of, where the thing alone is named.
WHOLES: Mapping[str, str] = {"lung infection": "lungs"}
_PICTURE = re.compile(r"\b(picture|image|photo|film|scan|frame)\b", re.IGNORECASE)
_AFFECTED = re.compile(r"\b(affected|infected|involved|diseased|abnormal|ill)\b", re.IGNORECASE)
ESTIMATE = "an estimate, not a diagnosis"


def tell_ratio(asked: Asked) -> list[Told]:
    """Tell the ratio of two things: of their areas, and the one that has a name."""
    subjects = _pair(asked)
    if isinstance(subjects, list):
        return subjects
    first, second = subjects
    named = NAMED_RATIOS.get((first.label, second.label))
    if named is None and (second.label, first.label) in NAMED_RATIOS:
        first, second = second, first
        named = NAMED_RATIOS[first.label, second.label]
    pair = _compare(first, second, asked.findings.image.spacing)
    areas = ratio(pair.area_ratio)
    if named is None:
        return [Told(f"area of {first.title} to {second.title}: ratio {areas}; {ESTIMATE}.")]
    value = ratio(pair.vertical_ratio if named.vertical else pair.horizontal_ratio)
    doubt = _doubt((first, second))
    said = f"{named.name} {value}, from {named.how}; area ratio {areas}; {ESTIMATE}{doubt}."
    return [Told(said)]


def tell_share(asked: Asked) -> list[Told]:
    """Tell how much of another thing, or of the picture, something covers."""
    subjects = _with_whole(subjects_of(asked.question, asked.intent, asked.findings), asked)
    shown = [subject for subject in subjects if subject.masks]
    missing = [not_outlined(subject) for subject in subjects if not subject.masks]
    if len(shown) == 2 and not missing and not _PICTURE.search(asked.question.words):
        # A part is never larger than its whole.
        part, entire = sorted(shown, key=_area_px)
        pair = _compare(part, entire, asked.findings.image.spacing)
        said = f"{percent(pair.share_of_second)} of {entire.title}"
        how = f"pixels of {entire.name} that are also in {part.name}"
        return [Told(f"{part.title}: {said} ({how}); {ESTIMATE}.")]
    told = [Told(f"{subject.title}: {together(subject.masks, 'percent')}.") for subject in shown]
    return [*missing, *told] or [NOTHING]


def tell_comparison(asked: Asked) -> list[Told]:
    """Tell the areas of things, which is the largest and by how much."""
    subjects = pair_of(asked.question, asked.intent, asked.findings)
    missing = [not_outlined(subject) for subject in subjects if not subject.masks]
    shown = [subject for subject in subjects if subject.masks]
    if not shown:
        return missing or [NOTHING]
    unit = asked.question.unit
    areas = listed(f"{subject.title} {together(subject.masks, unit)}" for subject in shown)
    if len(shown) < 2:
        return [Told(f"{areas}; there is no other to compare with.", has_lengths=True), *missing]
    ordered = sorted(shown, key=_area_px, reverse=True)
    if len(shown) > MAX_EACH:
        areas = f"{len(shown)} outlines"
    return [Told(f"{areas}: {_lead(ordered)}.", has_lengths=True), *missing]


def tell_difference(asked: Asked) -> list[Told]:
    """Tell how the area of each target has changed since before its last change.

    The difference of two things is that of their areas.
    """
    if len(asked.question.things) > 1 or len(asked.question.masks) > 1:
        return tell_comparison(asked)
    subjects = subjects_of(asked.question, asked.intent, asked.findings)
    return [_change(subject, asked) for subject in subjects] or [NOTHING]


def _pair(asked: Asked) -> tuple[Subject, Subject] | list[Told]:
    """Return the two things of a ratio, or why there is none."""
    subjects = pair_of(asked.question, asked.intent, asked.findings)
    by_label = {subject.label: subject for subject in subjects}
    named = [pair for pair in NAMED_RATIOS if set(pair) <= set(by_label)]
    if len(subjects) > 2 and len(named) == 1:
        subjects = tuple(by_label[label] for label in named[0])
    missing = [not_outlined(subject) for subject in subjects if not subject.masks]
    if missing or not subjects:
        return missing or [NOTHING]
    if len(subjects) != 2:
        names = listed(subject.title for subject in subjects)
        return [Told(f"A ratio is of two things, and outlined here is {names} alone.")]
    return subjects[0], subjects[1]


def _with_whole(subjects: tuple[Subject, ...], asked: Asked) -> tuple[Subject, ...]:
    """Add what a thing is a share of, or what a share of it is, if that is outlined.

    "How much of the lung is affected?" names one of the two, unless it names the picture.
    """
    if len(subjects) != 1 or _PICTURE.search(asked.question.words):
        return subjects
    others = {part: whole for pair in WHOLES.items() for part, whole in (pair, pair[::-1])}
    other = others.get(subjects[0].label)
    found = (whole(result, asked.findings) for result in asked.findings.targets)
    added = [subject for subject in found if subject.label == other]
    if not added and other is not None and _AFFECTED.search(asked.question.words):
        added = [Subject(other, other, None, ())]
    return (*subjects, *added)


def _area_px(subject: Subject) -> int:
    return sum(mask.measures.area_px for mask in subject.masks)


def _lead(ordered: Sequence[Subject]) -> str:
    """Say which of things in order is the largest, and by how much."""
    first, second = ordered[0], ordered[1]
    more = _area_px(first) - _area_px(second)
    if more == 0:
        return f"{listed(_told_apart(first, second))} are equally large"
    mm2, other = _area_mm2(first), _area_mm2(second)
    by = area(more, None if mm2 is None or other is None else mm2 - other)
    called, beside = _told_apart(first, second)
    of = f"{percent(more / _area_px(second))} of the area of {beside}"
    if len(ordered) == 2:
        return f"the larger is {called}, by {by}, {of}"
    largest = f"{called}{_size_if_many(first, ordered)}"
    smallest = f"{_told_apart(ordered[-1], first)[0]}{_size_if_many(ordered[-1], ordered)}"
    return f"the largest is {largest}, by {by}, {of}; the smallest is {smallest}"


def _size_if_many(subject: Subject, ordered: Sequence[Subject]) -> str:
    return f" ({together(subject.masks)})" if len(ordered) > MAX_EACH else ""


def _told_apart(first: Subject, second: Subject) -> tuple[str, str]:
    """Call two things by their names, or by their masks where the names are the same."""
    if first.name != second.name:
        return first.name, second.name
    return first.masks[0].id, second.masks[0].id


def _area_mm2(subject: Subject) -> float | None:
    areas = [mask.measures.area_mm2 for mask in subject.masks]
    known = [mm2 for mm2 in areas if mm2 is not None]
    return sum(known) if len(known) == len(areas) else None


def _change(subject: Subject, asked: Asked) -> Told:
    if not subject.masks:
        return not_outlined(subject)
    result = subject.result
    earlier = asked.findings.earlier_of(result.target.id) if result is not None else None
    now = together(subject.masks, asked.question.unit)
    if earlier is None or earlier.area_px == 0:
        return Told(f"{subject.title}: {now}; there is no earlier outline of it.", has_lengths=True)
    change = _area_px(subject) - earlier.area_px
    word = "more" if change > 0 else "less"
    by = f"{abs(change)} px ({percent(abs(change) / earlier.area_px)}) {word}"
    said = by if change else "no change"
    before = f"{earlier.area_px} px before"
    return Told(f"{subject.title}: {now} now, {before}: {said}.", has_lengths=True)


def _compare(first: Subject, second: Subject, spacing: Spacing | None) -> PairMeasures:
    return compare(_union(first.masks), _union(second.masks), spacing)


def _union(masks: Sequence[Shown]) -> BinaryMask:
    drawn = [decode(mask.rle) for mask in masks]
    return unite(drawn, drawn[0].shape)


def _doubt(subjects: Sequence[Subject]) -> str:
    unsure = [subject.name for subject in subjects if subject.is_uncertain]
    return f"; {listed(unsure)} {'is' if len(unsure) == 1 else 'are'} uncertain" if unsure else ""

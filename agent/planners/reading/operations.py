"""What a model says is to be done with outlines or told of them, brought into our words. Pure.

One item at a time: what cannot be read of one is a `Misfit` of its own, and the others hold.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent.mllm.box_formats import BoxStyle
from agent.mllm.json.misfit import Misfit
from agent.planners.reading.box_shapes import boxes_of
from agent.planners.reading.corners import RawBox
from agent.planners.reading.fields import (
    Words,
    choice_of,
    fields_of,
    first_of,
    is_none,
    join,
    list_of,
    opened_json,
)
from agent.planners.reading.intent_words import (
    ACTS,
    BORDERS,
    FRAMES,
    HEIGHTS,
    OPERATION_FIELDS,
    QUESTION_FIELDS,
    RANKS,
    SIDES,
    TALKS,
    TOPICS,
    UNITS,
    WHICH_FIELDS,
)
from agent.planners.reading.numbering import number_of

_MASK = re.compile(r"(?:m|mask|outline)?[\s_#-]*([1-9]\d{0,5})", re.IGNORECASE)
_AMOUNT = re.compile(r"\s*(\d{1,6}(?:\.\d{1,6})?)\s*(\S{0,20})\s*")
_CHOICES: Mapping[str, Words] = {
    "side": SIDES,
    "whose": FRAMES,
    "place": HEIGHTS,
    "rank": RANKS,
    "border": BORDERS,
}
_COUNTS = ("nth", "limit")
_COUNTED: Mapping[str, re.Pattern[str]] = {
    "nth": re.compile(r"(?:nth[ =:]*)?(\d{1,6})(?:st|nd|rd|th|\.)", re.IGNORECASE),
    "limit": re.compile(r"(?:at most|max(?:imum)?|limit|first|top)[ =:]*(\d{1,6})", re.IGNORECASE),
}


class RawOperation(NamedTuple):
    """An operation's fields by our names, in our words, and its box in the model's coordinates."""

    fields: dict[str, object]
    box: RawBox | None


def operation_of(value: object, labels: Sequence[str], where: str, style: BoxStyle) -> RawOperation:
    """Read an operation.

    Args:
        value: as the model wrote it.
        labels: of the plan's targets, which a number may stand for.
        where: path of the operation.
        style: how the model was asked to write boxes.

    Raises:
        Misfit: it is no object, or a field cannot be read.
    """
    known, rest = _item(value, "act", OPERATION_FIELDS, where)
    beside = fields_of(rest, WHICH_FIELDS, where).known
    amount, unit = _amount(known.get("amount"), known.get("unit"), where)
    boxes = boxes_of(rest, style, where)
    if len(boxes) > 1:
        raise Misfit(f"{where}.{style.key}", "must be one box, or null")
    fields = {
        **_common(known, labels, where),
        "act": choice_of(known.get("act"), ACTS, f"{where}.act"),
        "minus": _labels(known.get("minus"), labels, f"{where}.minus"),
        "which": which_of(known.get("which") or beside, f"{where}.which"),
        "amount": amount,
        "unit": unit,
    }
    return RawOperation(fields, boxes[0] if boxes else None)


def question_of(value: object, labels: Sequence[str], where: str) -> dict[str, object]:
    """Return a question's fields by our names, in our words; as `operation_of`."""
    known, _ = _item(value, "topic", QUESTION_FIELDS, where)
    return {
        **_common(known, labels, where),
        "topic": choice_of(known.get("topic"), TOPICS, f"{where}.topic"),
        "unit": _unit(known.get("unit"), f"{where}.unit"),
    }


def talk_of(value: object) -> str | None:
    """Return the kind of small talk, None for none.

    Raises:
        Misfit: it is none that is known.
    """
    value = first_of(value)
    return None if is_none(value) else choice_of(value, TALKS, "talk")


def words_of(value: object) -> str:
    """Return the request's words as an item gives them, "" for none."""
    value = first_of(value)
    return value if isinstance(value, str) and not is_none(value) else ""


def parts_of(value: object) -> list[str]:
    """Return verbatim parts; what is no text says nothing."""
    return [part for part in list_of(value) if isinstance(part, str) and not is_none(part)]


def which_of(value: object, where: str) -> dict[str, object] | None:
    """Return which of several is meant, in our words; None if it says nothing.

    Raises:
        Misfit: something of it is not known.
    """
    value = opened_json(value)
    if is_none(value):
        return None
    if isinstance(value, list):
        return _which_of_words(value, where)
    if isinstance(value, str):
        return _which_of_word(value, where)
    if not isinstance(value, dict):
        raise Misfit(where, "must be a list of words")
    known, rest = fields_of(value, WHICH_FIELDS, where)
    if rest:
        raise Misfit(where, f"must have only {', '.join(WHICH_FIELDS)}")
    chosen: dict[str, object] = {
        name: choice_of(known[name], table, join(where, name))
        for name, table in _CHOICES.items()
        if name in known
    }
    counts = {name: _count(known[name], join(where, name)) for name in _COUNTS if name in known}
    return {**chosen, **counts}


def _which_of_words(values: Sequence[object], where: str) -> dict[str, object] | None:
    """Join what several words say; they may not contradict each other."""
    found: dict[str, object] = {}
    for value in values:
        for name, said in (which_of(value, where) or {}).items():
            if found.setdefault(name, said) != said:
                raise Misfit(join(where, name), "must be given once")
    return found or None


def _which_of_word(word: str, where: str) -> dict[str, object]:
    """Read one word; a bare number could be an ordinal or how many, and is neither."""
    for name, pattern in _COUNTED.items():
        if match := pattern.fullmatch(word.strip()):
            return {name: _count(match[1], where)}
    for name, table in _CHOICES.items():
        try:
            return {name: choice_of(word, table, where)}
        except Misfit:
            continue
    raise Misfit(where, 'must be words as "left", "patient", "largest", "2nd", "at most 3"')


def _item(
    value: object, name: str, names: Words, where: str
) -> tuple[dict[str, object], dict[str, object]]:
    """Return an item's fields by our names, and its others; a word alone is the item's name."""
    value = opened_json(value)
    if isinstance(value, str):
        value = {name: value}
    if not isinstance(value, dict):
        raise Misfit(where, f"must be an object with {name} and words")
    # A sign alone would count as nothing.
    spelled = {
        key: "percent" if isinstance(inner, str) and inner.strip() == "%" else inner
        for key, inner in value.items()
    }
    fields = fields_of(spelled, names, where)
    return fields.known, fields.rest


def _common(known: Mapping[str, object], labels: Sequence[str], where: str) -> dict[str, object]:
    return {
        "words": words_of(known.get("words")),
        "masks": [_mask(one, f"{where}.masks") for one in list_of(known.get("masks"))],
        "targets": _labels(known.get("targets"), labels, f"{where}.targets"),
    }


def _mask(value: object, where: str) -> str:
    match = None if isinstance(value, bool) else _MASK.fullmatch(str(value).strip())
    if match is None:
        raise Misfit(where, "must be ids of masks that stand")
    return f"m{match[1]}"


def _labels(value: object, labels: Sequence[str], where: str) -> list[str]:
    """Return labels; a number is that of one of the plan's targets."""
    found = []
    for item in list_of(value):
        if isinstance(item, dict):
            item = fields_of(item, OPERATION_FIELDS, where).known.get("targets")
        number = number_of(item)
        if number is not None and 1 <= number <= len(labels):
            item = labels[number - 1]
        elif number is not None or not isinstance(item, str) or is_none(item):
            raise Misfit(where, "must be labels")
        found.append(item)
    return found


def _amount(amount: object, unit: object, where: str) -> tuple[float | None, str | None]:
    """Return how much, also of one text as "5 px" or "10%"."""
    if is_none(amount) or amount == 0:
        return None, None
    match = None if isinstance(amount, bool) else _AMOUNT.fullmatch(str(amount))
    if match is None or float(match[1]) <= 0.0:
        raise Misfit(f"{where}.amount", "must be a number above 0, or null")
    written = _unit(match[2] or unit, f"{where}.unit")
    if written is None:
        raise Misfit(f"{where}.unit", f"must be one of {', '.join(UNITS)}")
    return float(match[1]), written


def _unit(value: object, where: str) -> str | None:
    # An area's unit says what its length is in.
    word = str(first_of(value) or "").replace("%", "percent").replace("\u00b2", "2")
    return None if is_none(word) else choice_of(word, UNITS, where)


def _count(value: object, where: str) -> int:
    number = number_of(value)
    if number is None or number < 1:
        raise Misfit(where, "must be a whole number from 1, or null")
    return number

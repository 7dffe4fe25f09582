"""The short forms of prompts, `concept` and `box`, in forms, JSON and on the command line."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import from_json

from api.errors import FieldFault, InvalidFields
from segmenter.contract import MAX_BOXES, MAX_PROMPTS

CONCEPT, BOX = "concept", "box"


def with_prompts(
    fields: dict[str, object], concepts: Sequence[object], boxes: Sequence[object]
) -> dict[str, object]:
    """Add the prompts that `concepts` and `boxes` stand for: one per concept, never merged.

    Raises:
        InvalidFields: the short forms do not go together, or there are prompts beside them.
    """
    if not concepts and not boxes:
        return fields
    if "prompts" in fields:
        raise InvalidFields(FieldFault("prompts", "give prompts, or concept and box, not both"))
    if len(concepts) > 1 and boxes:
        raise InvalidFields(FieldFault(BOX, "with several concepts use prompts"))
    if not concepts:
        return {**fields, "prompts": [{"boxes": [{"box": box} for box in boxes]}]}
    prompts = [{"text": text, "boxes": [{"box": box} for box in boxes]} for text in concepts]
    return {**fields, "prompts": prompts}


def uses_shortcuts(faults: Iterable[Mapping[str, Any]]) -> bool:
    """Tell by pydantic's findings whether a JSON body holds short forms."""
    return any(
        fault["type"] == "extra_forbidden" and tuple(fault["loc"]) in ((CONCEPT,), (BOX,))
        for fault in faults
    )


def spell_out(raw: bytes) -> bytes:
    """Rewrite a JSON object with short forms as one with prompts.

    `concept` is a text or a list of them; `box` is four numbers, or a list of such boxes.

    Raises:
        InvalidFields: see `with_prompts`; or there are too many.
    """
    fields: dict[str, object] = from_json(raw)
    concepts = _listed(CONCEPT, fields.pop(CONCEPT, None), MAX_PROMPTS)
    box = fields.pop(BOX, None)
    is_one = isinstance(box, list) and not any(isinstance(side, list) for side in box)
    boxes = _listed(BOX, [box] if is_one else box, MAX_BOXES)
    # What is no number (NaN) stays what it is, and is refused with the rest of the body.
    return json.dumps(with_prompts(fields, concepts, boxes)).encode()


def _listed(name: str, value: object, limit: int) -> list[object]:
    """Take one thing or a list of them as a list; null is none."""
    if value is None:
        return []
    found = value if isinstance(value, list) else [value]
    if len(found) > limit:
        raise InvalidFields(FieldFault(name, f"at most {limit} items, got {len(found)}"))
    return found


def with_box(
    fields: dict[str, object], concepts: Sequence[str], boxes: Sequence[object]
) -> dict[str, object]:
    """Add the one box of a request in plain words, which has no concepts.

    Raises:
        InvalidFields: a concept, or several boxes.
    """
    if concepts:
        raise InvalidFields(FieldFault(CONCEPT, "this field is not known"))
    if len(boxes) > 1:
        raise InvalidFields(FieldFault(BOX, "given more than once"))
    return {**fields, BOX: boxes[0]} if boxes else fields


def box_of_text(text: str) -> list[float]:
    """Read ``x0,y0,x1,y1``; raises InvalidFields for other than four numbers."""
    return numbers_of_text(BOX, text, "four numbers: x0,y0,x1,y1")


def numbers_of_text(field: str, text: str, expected: str) -> list[float]:
    """Read numbers with commas between, as many as `expected` names.

    Raises:
        InvalidFields: it is something else.
    """
    try:
        numbers = [float(part) for part in text.strip().strip("[]").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != len(expected.split(",")):
        raise InvalidFields(FieldFault(field, f"must be {expected}"))
    return numbers

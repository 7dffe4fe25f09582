"""The shapes in which models write boxes, read as corners with their scale. Pure.

The order and the scale come from the key and from the names in the box, never from the values,
with one exception: four numbers that do not exceed 1 are shares of the sides. What can be read in
two ways is not read.
"""

import math
import re
from collections.abc import Mapping

from agent.mllm.box_formats import GEMINI_STYLE, BoxStyle
from agent.mllm.json.decode import NotJson, decode
from agent.mllm.json.misfit import Misfit
from agent.planners.reading.corners import (
    NUMBER,
    RawBox,
    named_box,
    numbers_of,
    one_box,
    scaled,
    swapped,
)
from agent.planners.reading.fields import fold, is_none

# One field under many names, as `fold` writes them: all that speak of boxes or coordinates, and
_BOX_KEYS = frozenset({"rect", "rectangle", "roi", "xyxy", "xywh", "yxyx", "corners", "bounds"})
# these where they hold numbers, not words.
_PLACE_KEYS = frozenset({"region", "location", "position", "area", "extent", "place"})
# Kept apart: a point is no box, and two are not surely its corners.
_POINT_KEYS = frozenset({"point", "points", "point2d", "points2d", "position2d", "click"})
# Four numbers under another name are a box too, but for these.
_OTHER_NUMBERS = frozenset(
    {"color", "colour", "rgba", "score", "scores", "confidence", "confidences", "probabilities"}
    | {"size", "imagesize", "spacing", "mask", "polygon", "segmentation", "contour", "keypoints"}
)
_GEMINI_KEYS = frozenset({"box2d", "boxes2d"})
_XY_KEYS = frozenset({"bbox2d", "bboxes2d"})

# A box with names takes 60; bounds the work on a runaway text.
MAX_BOX_CHARS = 500
_NUMBERS = re.compile(rf"(?<![\w.]){NUMBER}", re.IGNORECASE)
_NAMED = re.compile(rf"([a-z][a-z0-9_ -]*?)[\"']?\s*[=:]\s*({NUMBER})", re.IGNORECASE)
# Qwen's own words for a box: always x first.
_TAGGED = re.compile(
    r"<\|?box(?:_start)?\|?>(.*?)<\|?(?:/box|box_end)\|?>", re.DOTALL | re.IGNORECASE
)
_MARKS = re.compile(r"(?:px|to|and|[\s,;()\[\]{}<>|/%→-])+", re.IGNORECASE)


def box_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Return those fields of an object that hold a box, or should."""
    return {key: value for key, value in fields.items() if _is_box(fold(key), value)}


def _is_box(key: str, value: object) -> bool:
    if is_none(value):
        return False
    if "box" in key or "coord" in key or key in _BOX_KEYS | _POINT_KEYS:
        return True
    if key in _PLACE_KEYS:
        return not isinstance(value, str) or any(map(str.isdigit, value))
    return key not in _OTHER_NUMBERS and is_four_numbers(value)


def is_four_numbers(value: object) -> bool:
    """Tell whether a value can hardly be anything but a box, or a list of them."""
    if isinstance(value, dict):
        return named_box(value, GEMINI_STYLE) is not None
    if not isinstance(value, list) or not value:
        return False
    return len(numbers_of(value)) == len(value) == 4 or all(map(is_four_numbers, value))


def boxes_of(fields: Mapping[str, object], style: BoxStyle, where: str) -> tuple[RawBox, ...]:
    """Return the boxes of an object, under whichever names they stand; none is no fault.

    Args:
        fields: of the object, under the names that the model gave them.
        style: how it was asked to write boxes.
        where: path of the object.

    Raises:
        Misfit: one cannot be read, or two names hold boxes that differ.
    """
    found: list[tuple[RawBox, ...]] = []
    for key, value in box_fields(fields).items():
        if fold(key) in _POINT_KEYS:
            raise Misfit(f"{where}.{style.key}", _needs(style))
        found.append(read_boxes(value, style, f"{where}.{style.key}", key=key))
    if not found and (named := named_box(fields, style)) is not None:
        found.append((_checked(named, f"{where}.{style.key}"),))
    if any(boxes != found[0] for boxes in found[1:]):
        raise Misfit(f"{where}.{style.key}", "must be one box, and other names must not differ")
    return found[0] if found else ()


def strays(fields: Mapping[str, object]) -> bool:
    """Tell whether boxes stand deeper in an object than in fields of its own."""
    own = box_fields(fields)
    return any(_holds_box(value) for key, value in fields.items() if key not in own)


def _holds_box(value: object) -> bool:
    if isinstance(value, dict):
        return is_boxed(value) or any(map(_holds_box, value.values()))
    return isinstance(value, list) and any(map(_holds_box, value))


def is_boxed(fields: Mapping[str, object]) -> bool:
    """Tell whether an object has a box of its own."""
    return bool(box_fields(fields)) or named_box(fields, GEMINI_STYLE) is not None


def read_boxes(value: object, style: BoxStyle, where: str, *, key: str = "") -> tuple[RawBox, ...]:
    """Return the boxes that a value under a key holds, in whichever shape.

    Raises:
        Misfit: it cannot be read as boxes, or in two ways.
    """
    if isinstance(value, list):
        value = [item for item in value if not is_none(item)]
    if is_none(value):
        return ()
    asked = _style_of(key, style)
    single = one_box(value, asked, fold(key))
    if single is not None:
        return (_checked(single, where),)
    if isinstance(value, str):
        return _of_text(value, asked, where, key)
    if isinstance(value, dict):
        boxes = boxes_of(value, asked, where)
        if boxes:
            return boxes
    if isinstance(value, list) and not _is_flat(value):
        each = [read_boxes(item, style, where, key=key) for item in value]
        return tuple(box for boxes in each for box in boxes)
    raise Misfit(where, _needs(asked))


def _style_of(key: str, style: BoxStyle) -> BoxStyle:
    """Return the convention that a key stands for, else the one that was asked for."""
    folded = fold(key)
    if folded in _GEMINI_KEYS:
        return GEMINI_STYLE
    if folded in _XY_KEYS or folded.endswith(("xyxy", "xywh")):
        return BoxStyle("bbox_2d", "xy", style.scale)
    if folded.endswith("yxyx"):
        return BoxStyle("box_2d", "yx", style.scale)
    return style


def _needs(style: BoxStyle) -> str:
    order = "[y0, x0, y1, x1]" if style.order == "yx" else "[x0, y0, x1, y1]"
    return f"must be a box as four numbers {order}, or null"


def _is_flat(value: list[object]) -> bool:
    """Tell whether a list holds no lists or objects: bare numbers or words."""
    return not any(isinstance(item, list | dict) for item in value) and (
        not value or len(numbers_of(value)) > 0 or not all(isinstance(item, str) for item in value)
    )


def _of_text(text: str, style: BoxStyle, where: str, key: str) -> tuple[RawBox, ...]:
    """Read a box that is written as words: as JSON, with names, with tags, or four numbers."""
    if len(text) > MAX_BOX_CHARS:
        raise Misfit(where, _needs(style))
    try:
        decoded = decode(text)
    except NotJson:
        decoded = None
    if isinstance(decoded, list | dict):
        return read_boxes(decoded, style, where, key=key)
    x_first = BoxStyle("bbox_2d", "xy", style.scale)
    if tagged := _TAGGED.findall(text):
        return tuple(_checked(_of_numbers(inner, x_first, where), where) for inner in tagged)
    names = {name.strip(): number for name, number in _NAMED.findall(text)}
    if (named := named_box(names, style)) is not None:
        return (_checked(named, where),)
    return (_checked(_of_numbers(text, style, where), where),)


def _of_numbers(text: str, style: BoxStyle, where: str) -> RawBox:
    numbers = [float(number) for number in _NUMBERS.findall(text)]
    between = _MARKS.sub("", _NUMBERS.sub(" ", text))
    if len(numbers) != 4 or between or not all(map(math.isfinite, numbers)):
        raise Misfit(where, _needs(style))
    if text.count("%") == len(numbers):
        numbers = [number / 100.0 for number in numbers]
    return scaled(swapped(numbers) if style.order == "yx" else numbers, style)


def _checked(box: RawBox, where: str) -> RawBox:
    """Return the box; corners that are swapped may be a corner and a size, so they are no box."""
    if box.x1 <= box.x0 or box.y1 <= box.y0:
        raise Misfit(where, "must have its first corner above and left of its second")
    return box

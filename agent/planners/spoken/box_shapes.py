"""The shapes in which models write boxes, read as corners with their scale. Pure.

The order and the scale come from the key and from the names in the box, never from the values,
with one exception: four numbers that do not exceed 1 are shares of the sides. What can be read in
two ways is not read.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from agent.mllm.box_formats import GEMINI_STYLE, BoxStyle
from agent.mllm.json.decode import NotJson, decode
from agent.mllm.json.misfit import Misfit
from agent.planners.spoken.wordings import fold, is_none

Point = tuple[float, float]


class SpokenBox(NamedTuple):
    """A box in a model's own coordinates: corners in the order x0, y0, x1, y1.

    Attributes:
        scale: ``thousandths`` or ``shares`` of the picture's sides, or ``pixels`` as it was sent.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    scale: Literal["thousandths", "pixels", "shares"]


# One field under many names, as `fold` writes them.
BOX_KEYS = frozenset(
    {"box", "boxes", "bbox", "bboxes", "box2d", "bbox2d", "boxes2d", "bboxes2d", "boundingbox"}
    | {"boundingboxes", "bndbox", "boxcoordinates", "bboxcoordinates", "coordinates", "coords"}
    | {"rect", "rectangle", "roi", "xyxy", "boxxyxy", "bboxxyxy", "xywh", "boxxywh", "bboxxywh"}
    | {"yxyx", "boxyxyx", "bboxyxyx"}
)
# Kept apart: a point is no box, and two are not surely its corners.
_POINT_KEYS = frozenset({"point", "points", "point2d", "points2d", "position2d", "click"})
_GEMINI_KEYS = frozenset({"box2d", "boxes2d"})
_XY_KEYS = frozenset({"bbox2d", "bboxes2d"})

# A box with names takes 60; bounds the work on a runaway text.
MAX_BOX_CHARS = 500
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
_ONE_NUMBER = re.compile(rf"\s*({_NUMBER})\s*(px|%)?\s*", re.IGNORECASE)
_NUMBERS = re.compile(rf"(?<![\w.]){_NUMBER}", re.IGNORECASE)
_NAMED = re.compile(rf"([a-z][a-z0-9_ -]*?)[\"']?\s*[=:]\s*({_NUMBER})", re.IGNORECASE)
# Qwen's own words for a box: always x first.
_TAGGED = re.compile(
    r"<\|?box(?:_start)?\|?>(.*?)<\|?(?:/box|box_end)\|?>", re.DOTALL | re.IGNORECASE
)
_MARKS = re.compile(r"(?:px|to|and|[\s,;()\[\]{}<>|/%→-])+", re.IGNORECASE)

# Names of two corners.
_CORNERS = (
    ("x1", "y1", "x2", "y2"),
    ("x0", "y0", "x1", "y1"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("minx", "miny", "maxx", "maxy"),
    ("left", "top", "right", "bottom"),
    ("startx", "starty", "endx", "endy"),
    ("xstart", "ystart", "xend", "yend"),
    ("xtl", "ytl", "xbr", "ybr"),
    ("x", "y", "x2", "y2"),
)
_PAIRS = (
    ("topleft", "bottomright"),
    ("upperleft", "lowerright"),
    ("min", "max"),
    ("start", "end"),
    ("p1", "p2"),
)
# Names of one corner, or of the middle, and of two sides.
_ORIGINS = (("x", "y"), ("left", "top"), ("x0", "y0"), ("x1", "y1"), ("xmin", "ymin"))
_MIDDLES = (("cx", "cy"), ("centerx", "centery"), ("xcenter", "ycenter"), ("centrex", "centrey"))
_SIDES = (("w", "h"), ("width", "height"))


def boxes_of(fields: Mapping[str, object], style: BoxStyle, where: str) -> tuple[SpokenBox, ...]:
    """Return the boxes of an object, under whichever names they stand; none is no fault.

    Args:
        fields: of the object, under the names that the model gave them.
        style: how it was asked to write boxes.
        where: path of the object.

    Raises:
        Misfit: one cannot be read, or two names hold boxes that differ.
    """
    found: list[tuple[SpokenBox, ...]] = []
    for key, value in fields.items():
        if is_none(value):
            continue
        if fold(key) in _POINT_KEYS:
            raise Misfit(f"{where}.{style.key}", _needs(style))
        if fold(key) in BOX_KEYS:
            found.append(read_boxes(value, style, f"{where}.{style.key}", key=key))
    if not found and (named := _named(fields, style)) is not None:
        found.append((_checked(named, f"{where}.{style.key}"),))
    if any(boxes != found[0] for boxes in found[1:]):
        raise Misfit(f"{where}.{style.key}", "must be one box, and other names must not differ")
    return found[0] if found else ()


def holds_box(value: object) -> bool:
    """Tell whether anything that is named as a box stands anywhere in a value."""
    if isinstance(value, dict):
        return any(
            (fold(key) in BOX_KEYS | _POINT_KEYS and not is_none(inner)) or holds_box(inner)
            for key, inner in value.items()
        )
    return isinstance(value, list) and any(map(holds_box, value))


def is_boxed(fields: Mapping[str, object]) -> bool:
    """Tell whether an object has a box of its own."""
    keys = {fold(key) for key, value in fields.items() if not is_none(value)}
    return bool(keys & (BOX_KEYS | _POINT_KEYS)) or _named(fields, GEMINI_STYLE) is not None


def read_boxes(
    value: object, style: BoxStyle, where: str, *, key: str = ""
) -> tuple[SpokenBox, ...]:
    """Return the boxes that a value under a key holds, in whichever shape.

    Raises:
        Misfit: it cannot be read as boxes, or in two ways.
    """
    if isinstance(value, list):
        value = [item for item in value if not is_none(item)]
    if is_none(value):
        return ()
    asked = _style_of(key, style)
    single = _one(value, asked, fold(key))
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


def _one(value: object, style: BoxStyle, key: str) -> SpokenBox | None:
    """Return the one box that four numbers, points or named sides are, None for anything else."""
    if isinstance(value, dict):
        return _named(value, style)
    if not isinstance(value, list):
        return None
    numbers = _numbers(value)
    if len(numbers) == len(value) == 4:
        if key.endswith("xywh"):
            x, y, width, height = numbers
            return _scaled((x, y, x + width, y + height), style)
        y_first = style.order == "yx"
        return _scaled(_swapped(numbers) if y_first else numbers, style)
    points = [point for item in value if (point := _point(item, style)) is not None]
    if len(value) >= 2 and len(points) == len(value):
        return _around(points, style)
    return None


def _swapped(numbers: Sequence[float]) -> tuple[float, ...]:
    return (numbers[1], numbers[0], numbers[3], numbers[2])


def _named(fields: Mapping[str, object], style: BoxStyle) -> SpokenBox | None:
    """Return the box of sides, corners or a corner and a size that have names."""
    by_name = {fold(key): value for key, value in fields.items()}
    numbers = next((found for names in _CORNERS if (found := _all_numbers(by_name, names))), ())
    numbers = numbers or _of_size(by_name) or _of_corners(by_name, style)
    return _scaled(numbers, style) if numbers else None


def _of_size(fields: Mapping[str, object]) -> tuple[float, ...]:
    """Return the corners of a box that is given by a corner or its middle, and its size."""
    for middle in (False, True):
        for origin in _MIDDLES if middle else _ORIGINS:
            for sides in _SIDES:
                if numbers := _all_numbers(fields, (*origin, *sides)):
                    x, y, width, height = numbers
                    left, top = (x - width / 2, y - height / 2) if middle else (x, y)
                    return (left, top, left + width, top + height)
    return ()


def _of_corners(fields: Mapping[str, object], style: BoxStyle) -> tuple[float, ...]:
    for pair in _PAIRS:
        points = [point for name in pair if (point := _point(fields.get(name), style))]
        if len(points) == len(pair):
            return (*points[0], *points[1])
    return ()


def _all_numbers(fields: Mapping[str, object], names: Sequence[str]) -> tuple[float, ...]:
    """Return the numbers of all names, () if one lacks."""
    numbers = tuple(_numbers([fields.get(name) for name in names]))
    return numbers if len(numbers) == len(names) else ()


def _point(value: object, style: BoxStyle) -> Point | None:
    if isinstance(value, dict):
        numbers = _all_numbers({fold(key): inner for key, inner in value.items()}, ("x", "y"))
        return (numbers[0], numbers[1]) if numbers else None
    if not isinstance(value, list) or len(value) != 2:
        return None
    numbers = tuple(_numbers(value))
    if len(numbers) != 2:
        return None
    return (numbers[1], numbers[0]) if style.order == "yx" else (numbers[0], numbers[1])


def _around(points: Sequence[Point], style: BoxStyle) -> SpokenBox:
    """Return the box of two corners, or around the corners of a polygon."""
    if len(points) == 2:
        return _scaled((*points[0], *points[1]), style)
    across, down = [point[0] for point in points], [point[1] for point in points]
    return _scaled((min(across), min(down), max(across), max(down)), style)


def _scaled(numbers: Sequence[float], style: BoxStyle) -> SpokenBox:
    x0, y0, x1, y1 = numbers
    is_share = all(0.0 <= number <= 1.0 for number in numbers)
    return SpokenBox(x0, y0, x1, y1, "shares" if is_share else style.scale)


def _numbers(values: Sequence[object]) -> tuple[float, ...]:
    """Return those of some values that are finite numbers, also where they are written as words."""
    numbers = (_number(value) for value in values)
    return tuple(number for number in numbers if number is not None)


def _number(value: object) -> float | None:
    if isinstance(value, str):
        match = _ONE_NUMBER.fullmatch(value[:40])
        if match is None:
            return None
        number = float(match[1])
        return number / 100.0 if match[2] == "%" else number
    if type(value) not in {int, float}:
        return None
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) else None


def _is_flat(value: list[object]) -> bool:
    """Tell whether a list holds no lists or objects: bare numbers or words."""
    return not any(isinstance(item, list | dict) for item in value) and (
        not value or len(_numbers(value)) > 0 or not all(isinstance(item, str) for item in value)
    )


def _of_text(text: str, style: BoxStyle, where: str, key: str) -> tuple[SpokenBox, ...]:
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
    if (named := _named(names, style)) is not None:
        return (_checked(named, where),)
    return (_checked(_of_numbers(text, style, where), where),)


def _of_numbers(text: str, style: BoxStyle, where: str) -> SpokenBox:
    numbers = [float(number) for number in _NUMBERS.findall(text)]
    between = _MARKS.sub("", _NUMBERS.sub(" ", text))
    if len(numbers) != 4 or between or not all(map(math.isfinite, numbers)):
        raise Misfit(where, _needs(style))
    if text.count("%") == len(numbers):
        numbers = [number / 100.0 for number in numbers]
    return _scaled(_swapped(numbers) if style.order == "yx" else numbers, style)


def _checked(box: SpokenBox, where: str) -> SpokenBox:
    """Return the box; corners that are swapped may be a corner and a size, so they are no box."""
    if box.x1 <= box.x0 or box.y1 <= box.y0:
        raise Misfit(where, "must have its first corner above and left of its second")
    return box

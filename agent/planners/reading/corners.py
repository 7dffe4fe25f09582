"""One box out of numbers, points or named sides, in a model's own coordinates. Pure."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from agent.mllm.box_formats import BoxStyle
from agent.planners.reading.fields import fold

Point = tuple[float, float]


class RawBox(NamedTuple):
    """A box in a model's own coordinates: corners in the order x0, y0, x1, y1.

    Attributes:
        scale: ``thousandths`` or ``shares`` of the picture's sides, or ``pixels`` as it was sent.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    scale: Literal["thousandths", "pixels", "shares"]


NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
_ONE_NUMBER = re.compile(rf"\s*({NUMBER})\s*(px|%)?\s*", re.IGNORECASE)

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
_NAMES = frozenset(name for names in (*_CORNERS, *_PAIRS, *_ORIGINS, *_MIDDLES) for name in names)


def one_box(value: object, style: BoxStyle, key: str) -> RawBox | None:
    """Return the one box that four numbers, points or named sides are, None for anything else."""
    if isinstance(value, dict):
        return named_box(value, style)
    if not isinstance(value, list):
        return None
    numbers = numbers_of(value)
    if len(numbers) == len(value) == 4:
        if key.endswith("xywh"):
            x, y, width, height = numbers
            return scaled((x, y, x + width, y + height), style)
        y_first = style.order == "yx"
        return scaled(swapped(numbers) if y_first else numbers, style)
    points = [point for item in value if (point := _point(item, style)) is not None]
    if len(value) >= 2 and len(points) == len(value):
        return _around(points, style)
    return None


def swapped(numbers: Sequence[float]) -> tuple[float, ...]:
    """Return corners that are written y first with x first."""
    return (numbers[1], numbers[0], numbers[3], numbers[2])


def named_box(fields: Mapping[str, object], style: BoxStyle) -> RawBox | None:
    """Return the box of sides, corners or a corner and a size that have names."""
    by_name = {fold(key): value for key, value in fields.items()}
    if not _NAMES & by_name.keys():
        return None
    numbers = next((found for names in _CORNERS if (found := _all_numbers(by_name, names))), ())
    numbers = numbers or _of_size(by_name) or _of_corners(by_name, style)
    return scaled(numbers, style) if numbers else None


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
    numbers = tuple(numbers_of([fields.get(name) for name in names]))
    return numbers if len(numbers) == len(names) else ()


def _point(value: object, style: BoxStyle) -> Point | None:
    if isinstance(value, dict):
        numbers = _all_numbers({fold(key): inner for key, inner in value.items()}, ("x", "y"))
        return (numbers[0], numbers[1]) if numbers else None
    if not isinstance(value, list) or len(value) != 2:
        return None
    numbers = tuple(numbers_of(value))
    if len(numbers) != 2:
        return None
    return (numbers[1], numbers[0]) if style.order == "yx" else (numbers[0], numbers[1])


def _around(points: Sequence[Point], style: BoxStyle) -> RawBox:
    """Return the box of two corners, or around the corners of a polygon."""
    if len(points) == 2:
        return scaled((*points[0], *points[1]), style)
    across, down = [point[0] for point in points], [point[1] for point in points]
    return scaled((min(across), min(down), max(across), max(down)), style)


def scaled(numbers: Sequence[float], style: BoxStyle) -> RawBox:
    """Return the box of corners; four numbers that do not exceed 1 are shares of the sides."""
    x0, y0, x1, y1 = numbers
    is_share = all(0.0 <= number <= 1.0 for number in numbers)
    return RawBox(x0, y0, x1, y1, "shares" if is_share else style.scale)


def numbers_of(values: Sequence[object]) -> tuple[float, ...]:
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

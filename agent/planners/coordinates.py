"""Translates boxes and calls between a model's coordinates and pixels of the image. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agent.drawing.layout import Size
from agent.mllm.box_formats import BoxStyle
from agent.mllm.json.misfit import Misfit
from agent.planners.reading.calls import RawCall
from agent.planners.reading.corners import RawBox
from agent.policy.calls import MIN_BOX_PX
from agent.schemas.plan import Call
from segmenter.contract import Box, BoxPrompt
from segmenter.masks.geometry import clip_box

# A side may lie so far outside of the picture, as a share of it, and is cut there. What lies
# further outside is in another scale than was asked for.
MAX_OUTSIDE = 0.1

_GRID = 1000.0


@dataclass(frozen=True)
class BoxCoordinates:
    """All it takes to translate boxes between a model and us.

    Attributes:
        style: the model's way with boxes.
        shown: size of the clean picture as it was sent.
        image: size of the image.
    """

    style: BoxStyle
    shown: Size
    image: Size


def to_calls(
    calls: Sequence[RawCall], targets: Sequence[str], coordinates: BoxCoordinates
) -> tuple[Call, ...]:
    """Translate calls.

    Args:
        calls: as the model asks for them.
        targets: ids of the targets in their order.
        coordinates: between the model's boxes and ours.

    Raises:
        Misfit: a box lies outside of the image, or is too small to show anything.
    """
    made: list[Call] = []
    for place, raw in enumerate(calls):
        key = f"calls[{place}].{coordinates.style.key}"
        boxes = [BoxPrompt(box=to_box(box, coordinates, key)) for box in raw.boxes]
        boxes += [
            BoxPrompt(box=to_box(box, coordinates, f"calls[{place}].avoid"), label="negative")
            for box in raw.avoid
        ]
        call = Call(target=targets[raw.target], concept=raw.concept, boxes=tuple(boxes))
        if call not in made:
            made.append(call)
    return tuple(made)


def to_box(raw: RawBox, coordinates: BoxCoordinates, where: str) -> Box:
    """Translate a model's box into pixels of the image.

    Raises:
        Misfit: it lies outside of the image, or is too small to show anything.
    """
    across, down = _extent(raw.scale, coordinates)
    sides = (raw.x0 / across, raw.y0 / down, raw.x1 / across, raw.y1 / down)
    image = coordinates.image
    if min(sides) < -MAX_OUTSIDE or max(sides) > 1.0 + MAX_OUTSIDE:
        raise Misfit(where, f"must lie in the picture, 0 to {across:g} across and {down:g} down")
    x0, y0, x1, y1 = sides
    box = clip_box(
        Box(x0=x0 * image.width, y0=y0 * image.height, x1=x1 * image.width, y1=y1 * image.height),
        width=image.width,
        height=image.height,
    )
    if box is None or min(box.x1 - box.x0, box.y1 - box.y0) < MIN_BOX_PX:
        raise Misfit(where, f"must be at least {MIN_BOX_PX:g} pixels of the image wide and high")
    return box


def from_box(box: Box, coordinates: BoxCoordinates) -> tuple[int, int, int, int]:
    """Write a box of the image the way the model writes boxes."""
    across, down = _extent(coordinates.style.scale, coordinates)
    x0, x1 = (round(side / coordinates.image.width * across) for side in (box.x0, box.x1))
    y0, y1 = (round(side / coordinates.image.height * down) for side in (box.y0, box.y1))
    return (y0, x0, y1, x1) if coordinates.style.order == "yx" else (x0, y0, x1, y1)


def _extent(
    scale: Literal["thousandths", "pixels", "shares"], coordinates: BoxCoordinates
) -> tuple[float, float]:
    if scale == "pixels":
        return float(coordinates.shown.width), float(coordinates.shown.height)
    return (1.0, 1.0) if scale == "shares" else (_GRID, _GRID)

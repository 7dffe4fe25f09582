"""Which of a target's masks are wanted: sides, places, ranks, borders. Pure."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from agent.masks.split import objects
from agent.schemas.plan import EVERY, Selection, Target
from agent.schemas.rounds import Candidate
from segmenter.contract import BinaryMask, Box, Mask
from segmenter.masks.components import Components, components
from segmenter.masks.geometry import mask_box
from segmenter.masks.rle import encode

# Pieces below this share of the largest are specks of the same structure, not one of their own.
SPECK_SHARE = 0.05
# A record holds 200 masks; a picture of more objects than this is better counted on a crop.
MAX_PIECES = 120
_NUMERALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")

Size = tuple[int, int]


class Piece(NamedTuple):
    """A mask cut out of a candidate's: bool, shape (H, W)."""

    source: Candidate
    mask: BinaryMask


def needs_pieces(target: Target) -> bool:
    """Tell whether single pieces are asked for, which one mask may hold together."""
    return target.selection != EVERY


def cut_pieces(
    candidate: Candidate, mask: BinaryMask, *, touching: bool = False
) -> Iterator[Piece]:
    """Cut a mask (bool, shape (H, W)) of several pieces apart, largest first; none if it is one.

    One after the other: all of them at once take hundreds of megabytes on a large image.

    Args:
        candidate: whose mask it is.
        mask: bool, shape (H, W).
        touching: objects that touch are pieces of their own too.
    """
    found, kept = _pieces(mask, touching=touching)
    if len(kept) > 1:
        for number in kept[:MAX_PIECES]:
            yield Piece(candidate, found.labels == number)


def left_out(mask: BinaryMask, *, touching: bool) -> int:
    """Count the pieces that `cut_pieces` has no room for."""
    return max(0, len(_pieces(mask, touching=touching)[1]) - MAX_PIECES)


def _pieces(mask: BinaryMask, *, touching: bool) -> tuple[Components, list[int]]:
    if not touching:
        found = components(mask)
        return found, _large(found)
    found = objects(mask)
    # The largest may be a clump that could not be cut; most are single objects.
    usual = float(np.median(found.areas[found.areas > 0]))
    return found, found.largest_first(least_px=SPECK_SHARE * usual)


def without_specks(mask: BinaryMask) -> BinaryMask:
    """Remove what is below `SPECK_SHARE` of the largest component: bool, shape (H, W)."""
    found = components(mask)
    return found.mask_of(_large(found))


def _large(found: Components) -> list[int]:
    return found.largest_first(least_px=SPECK_SHARE * float(found.areas.max()))


def to_mask(source: Mask, mask: BinaryMask) -> Mask:
    """Describe a mask that code made of `source`, whose scores it keeps.

    Args:
        source: what the tool gave.
        mask: bool, shape (H, W); not empty.
    """
    box = mask_box(mask)
    if box is None:
        raise ValueError("an empty mask cannot be described")
    return source.model_copy(update={"rle": encode(mask), "box": box, "area_px": int(mask.sum())})


def select(candidates: Sequence[Candidate], selection: Selection, size: Size) -> list[Candidate]:
    """Return the wanted ones, in the order of their rank if there is one.

    Args:
        candidates: of one target.
        selection: which are wanted.
        size: width and height of the image, in pixels. Left and right part in its middle.
    """
    kept = [one for one in candidates if fits(one.mask.box, selection, size)]
    if selection.rank is not None:
        kept.sort(key=_order(selection.rank, size))
    start = selection.nth - 1
    return kept[start:] if selection.limit is None else kept[start : start + selection.limit]


def fits(box: Box, selection: Selection, size: Size) -> bool:
    """Tell whether a mask lies where it is wanted, by its tight box."""
    return (
        on_side(box, selection.side, width=size[0])
        and _is_placed(box, selection.place, height=size[1])
        and (
            selection.border is None
            or touches_border(box, size) == (selection.border == "touching")
        )
    )


def on_side(box: Box, side: str | None, *, width: int) -> bool:
    """Tell whether the middle of a box is on a side of the image; any is without a side."""
    middle = (box.x0 + box.x1) / 2
    return side is None or (middle < width / 2) == (side == "left")


def _is_placed(box: Box, place: str | None, *, height: int) -> bool:
    middle = (box.y0 + box.y1) / 2
    if place == "middle":
        return height / 3 <= middle < 2 * height / 3
    return place is None or (middle < height / 2) == (place == "top")


def touches_border(box: Box, size: Size) -> bool:
    """Tell whether a tight box reaches the image's first or last row or column."""
    return box.x0 <= 0 or box.y0 <= 0 or box.x1 >= size[0] or box.y1 >= size[1]


def _order(rank: str, size: Size) -> Callable[[Candidate], float]:
    """Return what sorts the first one of a rank to the front."""

    def centre(box: Box) -> float:
        x, y = (box.x0 + box.x1) / 2 - size[0] / 2, (box.y0 + box.y1) / 2 - size[1] / 2
        return x * x + y * y

    keys: dict[str, Callable[[Candidate], float]] = {
        "largest": lambda one: -one.mask.area_px,
        "smallest": lambda one: one.mask.area_px,
        "leftmost": lambda one: one.mask.box.x0 + one.mask.box.x1,
        "rightmost": lambda one: -one.mask.box.x0 - one.mask.box.x1,
        "topmost": lambda one: one.mask.box.y0 + one.mask.box.y1,
        "bottommost": lambda one: -one.mask.box.y0 - one.mask.box.y1,
        "central": lambda one: centre(one.mask.box),
    }
    return keys[rank]


def name_side(side: str, frame: str | None) -> str:
    """Name a side of the image, and the patient's where the picture has a convention."""
    other = "right" if side == "left" else "left"
    patient = f" (the patient's {other})" if frame == "patient" else ""
    return f"the image's {side}{patient}"


def why_none(
    candidates: Sequence[Candidate], selection: Selection, size: Size, target: Target | str
) -> str:
    """Say which qualifier leaves nothing of what was found for a target or for several, and why."""
    label, frame = (target, None) if isinstance(target, str) else (target.label, target.frame)
    placed = [one for one in candidates if fits(one.mask.box, selection, size)]
    if placed and selection.rank is not None:
        many = "only one was found" if len(placed) == 1 else f"only {len(placed)} were found"
        return f"{many} for {label}, so there is no {_ordinal(selection.nth)} {selection.rank}"
    places = [f"on {name_side(selection.side, frame)}"] if selection.side else []
    if selection.place:
        height = "middle third" if selection.place == "middle" else f"{selection.place} half"
        places.append(f"in the image's {height}")
    if selection.border:
        border = "touches" if selection.border == "touching" else "is clear of"
        places.append(f"and {border} the image's border" if places else f"{border} the border")
    where = " ".join(places)
    verb = "" if where.startswith(("touches", "is ")) else "is "
    return f"nothing that was found for {label} {verb}{where or 'left'}"


def _ordinal(number: int) -> str:
    return _NUMERALS[number - 1] if number <= len(_NUMERALS) else f"{number}th"

"""Which of a target's masks are wanted: sides, ranks and pieces. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from agent.schemas.plan import Selection, Target
from agent.schemas.rounds import Candidate
from segmenter.contract import BinaryMask, Box, Mask
from segmenter.masks.components import Components, components
from segmenter.masks.geometry import mask_box
from segmenter.masks.rle import encode

# Pieces below this share of the largest are specks of the same structure, not one of their own.
SPECK_SHARE = 0.05
# As many pieces as one prompt may give masks at most by default.
MAX_PIECES = 20


class Piece(NamedTuple):
    """A mask cut out of a candidate's: bool, shape (H, W)."""

    source: Candidate
    mask: BinaryMask


def needs_pieces(target: Target) -> bool:
    """Tell whether single pieces are asked for, which one mask may hold together."""
    return target.selection != Selection()


def cut_pieces(candidate: Candidate, mask: BinaryMask) -> list[Piece]:
    """Cut a mask (bool, shape (H, W)) of several separate pieces apart; [] if there is but one."""
    found = components(mask)
    kept = _large(found)[:MAX_PIECES]
    if len(kept) < 2:
        return []
    return [Piece(candidate, found.labels == number) for number in kept]


def _large(found: Components) -> list[int]:
    return found.largest_first(least_px=SPECK_SHARE * float(found.areas.max()))


def to_mask(source: Mask, mask: BinaryMask) -> Mask:
    """Describe a mask that code cut out of `source`, whose scores it keeps.

    Args:
        source: what the tool gave.
        mask: bool, shape (H, W); not empty.
    """
    box = mask_box(mask)
    if box is None:
        raise ValueError("an empty mask cannot be described")
    return source.model_copy(update={"rle": encode(mask), "box": box, "area_px": int(mask.sum())})


def select(candidates: Sequence[Candidate], selection: Selection, *, width: int) -> list[Candidate]:
    """Return the wanted ones; left and right part at the middle of an image `width` pixels wide."""
    kept = [
        candidate
        for candidate in candidates
        if on_side(candidate.mask.box, selection.side, width=width)
    ]
    if selection.rank is not None:
        kept.sort(key=lambda candidate: candidate.mask.area_px, reverse=selection.rank == "largest")
    return kept[: selection.limit]


def on_side(box: Box, side: str | None, *, width: int) -> bool:
    """Tell whether the middle of a box is on a side of the image; any is without a side."""
    middle = (box.x0 + box.x1) / 2
    return side is None or (middle < width / 2) == (side == "left")

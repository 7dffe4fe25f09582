"""Which masks of a thing a question means: by side, place, border and rank. Pure."""

import math
from collections.abc import Mapping, Sequence

from agent.answers.findings import Findings, Shown
from agent.masks.selection import SPECK_SHARE
from agent.planners.sides import Frame
from agent.schemas.intent import Rank, Side, Which
from segmenter.contract import BinaryMask
from segmenter.masks.components import components
from segmenter.masks.geometry import mask_box
from segmenter.masks.rle import decode, encode
from segmenter.measures.mask import measure

OTHER: Mapping[str, Side] = {"left": "right", "right": "left"}
# More pieces of one mask are not told apart; as many as are cut apart for masks of their own.
MAX_PIECES = 120


def image_side(which: Which, frame: Frame) -> Side:
    """Return the image's side that is meant by a side in words; there must be one."""
    assert which.side is not None, "only what has a side is on one"
    is_patients = (which.frame or frame) == "patient"
    return OTHER[which.side] if is_patients else which.side


def on_side(masks: Sequence[Shown], side: Side, findings: Findings) -> tuple[Shown, ...]:
    """Return the masks on a side of the image; one that reaches over the middle gives its pieces.

    A mask of one piece is on the side of its centroid.
    """
    split = [piece for mask in masks for piece in halves(mask, findings) or (mask,)]
    return tuple(piece for piece in split if piece.measures.image_side == side)


def halves(mask: Shown, findings: Findings) -> tuple[Shown, ...]:
    """Return the large pieces of a mask that reaches over the picture's middle, largest first."""
    middle = findings.image.width / 2
    return pieces(mask, findings) if mask.box.x0 < middle < mask.box.x1 else ()


def pieces(mask: Shown, findings: Findings) -> tuple[Shown, ...]:
    """Return the large pieces of a mask, the largest first; () if it is in one."""
    if mask.measures.pieces < 2:
        return ()
    found = components(decode(mask.rle))
    numbers = found.largest_first(least_px=SPECK_SHARE * float(found.areas.max()))[:MAX_PIECES]
    if len(numbers) < 2:
        return ()
    return tuple(_piece(mask, found.labels == chosen, findings) for chosen in numbers)


def _piece(mask: Shown, piece: BinaryMask, findings: Findings) -> Shown:
    box = mask_box(piece)
    assert box is not None, "a component has pixels"
    measures = measure(piece, findings.image.spacing)
    return Shown(mask.item, encode(piece), box, measures, is_piece=True)


def placed(masks: Sequence[Shown], which: Which, findings: Findings) -> tuple[Shown, ...]:
    """Return the masks of a part of the picture, or at its border or not."""
    if which.border is not None:
        touching = which.border == "touching"
        masks = [mask for mask in masks if mask.measures.touches_edge == touching]
    if which.place is None:
        return tuple(masks)
    height = findings.image.height
    low, high = {"top": (0.0, 1 / 2), "bottom": (1 / 2, 1.0), "middle": (1 / 3, 2 / 3)}[which.place]
    return tuple(
        mask for mask in masks if low * height <= mask.measures.centroid[1] <= high * height
    )


def ranked(masks: tuple[Shown, ...], which: Which, findings: Findings) -> tuple[Shown, ...]:
    """Return the masks of a rank: the largest, the second from the left."""
    rank = which.rank
    if rank is None:
        return masks

    def order(mask: Shown) -> float:
        (x, y), image = mask.measures.centroid, findings.image
        keys: dict[Rank, float] = {
            "largest": -mask.measures.area_px,
            "smallest": mask.measures.area_px,
            "leftmost": x,
            "rightmost": -x,
            "topmost": y,
            "bottommost": -y,
            "central": math.hypot(x - image.width / 2, y - image.height / 2),
        }
        return keys[rank]

    start = which.nth - 1
    return tuple(sorted(masks, key=order)[start : start + (which.limit or 1)])

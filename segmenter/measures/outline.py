"""The outline of a mask: its straight pieces, and the corners of its convex hull. Pure."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull

from segmenter.contract import BinaryMask

Corners = npt.NDArray[np.int64]
Points = npt.NDArray[np.float64]

# Rows of a table of distances that is looked at in one go: 8 MiB of 1000 points.
BLOCK = 1024


class Outline(NamedTuple):
    """The straight pieces that separate a mask from what is around and in it.

    Attributes:
        across: horizontal ones: int64, shape (N, 2, 2); both ends as (x, y), corners of pixels.
        down: vertical ones, likewise.
    """

    across: Corners
    down: Corners


def outline(mask: BinaryMask) -> Outline:
    """Return the outline of a mask: bool, shape (H, W)."""
    down = _pieces(mask.T)
    return Outline(across=_pieces(mask), down=down[:, :, ::-1])


def _pieces(mask: BinaryMask) -> Corners:
    """Return the horizontal pieces."""
    padded = np.pad(mask, 1)
    is_edge = padded[1:] != padded[:-1]
    rows, columns = np.nonzero(is_edge[:, 1:] != is_edge[:, :-1])
    # Every second change ends a piece.
    ends = np.stack((columns, rows), axis=1).reshape(-1, 2, 2)
    return ends.astype(np.int64, copy=False)


def hull_corners(mask: BinaryMask) -> Corners:
    """Return the corners of a mask's convex hull, of pixels as squares.

    Returns:
        int64, shape (N, 2), each (x, y).

    Args:
        mask: bool, shape (H, W), not empty.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    inside = mask[rows]
    left = inside.argmax(axis=1)
    right = mask.shape[1] - inside[:, ::-1].argmax(axis=1)
    x = np.concatenate((left, left, right, right))
    y = np.concatenate((rows, rows + 1, rows, rows + 1))
    corners = np.stack((x, y), axis=1).astype(np.int64, copy=False)
    hull: Corners = corners[ConvexHull(corners).vertices]
    return hull


def farthest(points: Points) -> tuple[float, list[tuple[int, int]]]:
    """Return the largest distance of two points, and all pairs that are so far apart.

    Args:
        points: float64, shape (N, D), in one unit along all axes.
    """
    largest = -1.0
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(points), BLOCK):
        some = points[start : start + BLOCK, None, :] - points[None, start:, :]
        squares = np.einsum("ijk,ijk->ij", some, some)
        most = float(squares.max())
        # Equal ones differ by rounding.
        if most > largest * (1 + 1e-9):
            pairs = []
        largest = max(largest, most)
        found = np.argwhere(squares >= largest * (1 - 1e-9))
        pairs += [(start + int(i), start + int(j)) for i, j in found if i < j]
    return float(np.sqrt(largest)), pairs

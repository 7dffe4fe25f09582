"""Connected pieces of a mask, in numpy alone."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BinaryMask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


class Component(NamedTuple):
    """One 8-connected piece: half-open box in whole pixels, and area in pixels."""

    x0: int
    y0: int
    x1: int
    y1: int
    area: int


class _Runs(NamedTuple):
    """Horizontal runs of a mask in reading order; ``ends`` are exclusive."""

    rows: Indices
    starts: Indices
    ends: Indices


def _runs(mask: BinaryMask) -> _Runs:
    """Return the runs of set pixels of ``mask``, bool (H, W)."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    return _Runs(rows, starts, np.nonzero(steps == -1)[1])


def _touching(runs: _Runs, width: int) -> tuple[Indices, Indices]:
    """Return pairs of run numbers that touch in neighbouring rows, corners included."""
    stride = width + 2
    keys_start = runs.rows * stride + runs.starts
    keys_end = runs.rows * stride + runs.ends
    above = (runs.rows - 1) * stride
    first = np.searchsorted(keys_end, above + runs.starts, side="left")
    last = np.searchsorted(keys_start, above + runs.ends, side="right")
    counts = np.maximum(last - first, 0)
    below = np.repeat(np.arange(len(counts)), counts)
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return below, first[below] + offsets


def _roots(count: int, first: Indices, second: Indices) -> Indices:
    """Return for each of ``count`` nodes the smallest node it is linked with."""
    roots = np.arange(count)
    while True:
        low = np.minimum(roots[first], roots[second])
        before = roots.copy()
        np.minimum.at(roots, roots[first], low)
        np.minimum.at(roots, roots[second], low)
        roots = roots[roots]
        if np.array_equal(before, roots):
            return roots


def components(mask: BinaryMask) -> list[Component]:
    """Return the 8-connected pieces of a mask, largest first.

    Args:
        mask: bool, shape (H, W).
    """
    runs = _runs(mask)
    if len(runs.rows) == 0:
        return []
    below, above = _touching(runs, mask.shape[1])
    _, labels = np.unique(_roots(len(runs.rows), below, above), return_inverse=True)
    count = int(labels.max()) + 1
    lows = np.full((2, count), np.iinfo(np.int64).max)
    highs = np.zeros((2, count), dtype=np.int64)
    np.minimum.at(lows[0], labels, runs.starts)
    np.minimum.at(lows[1], labels, runs.rows)
    np.maximum.at(highs[0], labels, runs.ends)
    np.maximum.at(highs[1], labels, runs.rows + 1)
    areas = np.bincount(labels, weights=runs.ends - runs.starts).astype(np.int64)
    order = np.argsort(-areas, kind="stable")
    return [
        Component(
            int(lows[0][piece]), int(lows[1][piece]), int(highs[0][piece]), int(highs[1][piece]),
            int(areas[piece]),
        )
        for piece in order
    ]  # fmt: skip

"""Connected components, rings and holes of masks. Pure numpy: scipy is no dependency."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segmenter.contract import BinaryMask

IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Runs:
    """Horizontal runs of a mask, top to bottom, and the component each belongs to.

    Attributes:
        row: row of each run.
        start: first column of each run.
        end: column after its last.
        component: number of its component, 0 for the largest.
        areas: pixels of each component, largest first.
        shape: (H, W) of the mask.
    """

    row: IntArray
    start: IntArray
    end: IntArray
    component: IntArray
    areas: IntArray
    shape: tuple[int, int]

    def mask_of(self, number: int) -> BinaryMask:
        """Draw one component: bool, shape (H, W)."""
        return self.mask_below(self.component == number)

    def mask_below(self, chosen: npt.NDArray[np.bool_]) -> BinaryMask:
        """Draw the chosen runs: bool, shape (H, W)."""
        steps = np.zeros((self.shape[0], self.shape[1] + 1), dtype=np.int8)
        # Runs of one row never touch, so no place is written twice.
        steps[self.row[chosen], self.start[chosen]] = 1
        steps[self.row[chosen], self.end[chosen]] -= 1
        return np.cumsum(steps[:, :-1], axis=1, dtype=np.int8).astype(bool)


def find_runs(mask: BinaryMask) -> Runs:
    """Find the 8-connected components of a mask: bool, shape (H, W)."""
    steps = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(steps == 1)
    end = np.nonzero(steps == -1)[1]
    parents = _joined(row, start, end, mask.shape[1] + 2)
    _, labels = np.unique(parents, return_inverse=True)
    areas = np.bincount(labels, weights=(end - start), minlength=0).astype(np.intp)
    order = np.argsort(-areas, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    component = rank[labels] if areas.size else labels.astype(np.intp)
    return Runs(row, start, end, component, areas[order], (mask.shape[0], mask.shape[1]))


def _joined(row: IntArray, start: IntArray, end: IntArray, stride: int) -> IntArray:
    """Return for each run the smallest number of a run it is connected with."""
    starts, ends = row * stride + start, row * stride + end
    # A run of the next row touches, also over a corner, if it starts and ends around ours.
    first = np.searchsorted(ends, starts + stride, side="left")
    last = np.searchsorted(starts, ends + stride, side="right")
    parents = list(range(row.size))

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    for number, (low, high) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        for other in range(low, high):
            one, two = root(number), root(other)
            parents[max(one, two)] = min(one, two)
    return np.array([root(number) for number in range(row.size)], dtype=np.intp)


def fill_holes(mask: BinaryMask) -> BinaryMask:
    """Fill what is enclosed by the mask: bool, shape (H, W)."""
    runs = find_runs(np.pad(~mask, 1, constant_values=True))
    if runs.areas.size == 0:
        return mask
    outside = runs.component[0]
    return ~runs.mask_of(int(outside))[1:-1, 1:-1]


def dilate(mask: BinaryMask, radius: int) -> BinaryMask:
    """Grow a mask by `radius` pixels in both axes (a square): bool, shape (H, W)."""
    grown = mask
    for axis in (0, 1):
        grown = _dilate_axis(grown, radius, axis)
    return grown


def erode(mask: BinaryMask, radius: int) -> BinaryMask:
    """Shrink a mask by `radius` pixels; the frame counts as mask, so it does not erode there."""
    return ~dilate(~mask, radius)


def _dilate_axis(mask: BinaryMask, radius: int, axis: int) -> BinaryMask:
    pad = [(0, 0), (0, 0)]
    pad[axis] = (radius + 1, radius)
    sums = np.cumsum(np.pad(mask, pad), axis=axis, dtype=np.int32)
    size = mask.shape[axis]
    window = 2 * radius + 1
    high = np.take(sums, np.arange(window, window + size), axis=axis)
    low = np.take(sums, np.arange(size), axis=axis)
    grown: BinaryMask = (high - low) > 0
    return grown

"""Percentiles of more values than memory should hold: exact, in a few passes over pieces of them.

The values of a volume are read piece by piece, as often as needed. Each pass looks at 16 more bits
of them, highest first, and counts; as soon as what may hold the percentiles is few it is gathered
and sorted. The result is that of `numpy.percentile` on all values at once, bit for bit.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from segmenter.errors import BrokenImage
from segmenter.formats.grey_levels import (
    FULL_RANGE,
    HIGH_PERCENT,
    LOW_PERCENT,
    PERCENTILES,
    Ramp,
    Stored,
)

Keys = npt.NDArray[np.unsignedinteger]

DIGIT_BITS = 16
# Gathered and sorted at once; 16 MiB of float64.
MAX_GATHERED = 2_000_000
# Values worked on at once; 4 MiB of float64, of which counting makes some copies.
PIECE_VALUES = 500_000


class Piece(NamedTuple):
    """Some values of a volume, all of one dtype in every piece.

    Attributes:
        picture: those that are no background, finite, shape (N,).
        everything: all finite ones, shape (M,).
    """

    picture: Stored
    everything: Stored


Pieces = Callable[[], Iterable[Piece]]


class _Values(NamedTuple):
    """The values of the picture: how to go through them anew, their type, and the bits of a key."""

    read: Callable[[], Iterator[Stored]]
    dtype: np.dtype[np.number]
    bits: int


class _Target(NamedTuple):
    """A value sought: what is known of its key, and its rank among those that share that."""

    prefix: int
    rank: int


def streamed_ramp(pieces: Pieces, *, max_gathered: int = MAX_GATHERED) -> tuple[Ramp, str] | None:
    """Return what `grey_levels.percentile_ramp` does of all values; None if there is none.

    Args:
        pieces: goes through all values anew each time it is called.
        max_gathered: values that are sorted at once.
    """
    extremes: list[tuple[float, float]] = []

    def first_pass() -> Iterator[Stored]:
        for piece in pieces():
            if piece.everything.size:
                extremes.append((float(piece.everything.min()), float(piece.everything.max())))
            yield piece.picture

    def again() -> Iterator[Stored]:
        return (piece.picture for piece in pieces())

    found = _percentiles(first_pass, again, max_gathered)
    if not extremes:
        return None
    if found is not None and found[1] > found[0]:
        return Ramp(*found), PERCENTILES
    lows, highs = zip(*extremes, strict=True)
    return Ramp(min(lows), max(highs)), FULL_RANGE


def non_zero_ramp(runs: Callable[[], Iterable[Stored]], what: str) -> tuple[Ramp, str]:
    """Take 0 for background in `streamed_ramp`, where no header tells what is.

    Args:
        runs: goes through all values anew each time it is called, each run shape (N,).
        what: the values are, for the message.

    Raises:
        BrokenImage: no value is finite.
    """

    def pieces() -> Iterator[Piece]:
        for values in runs():
            finite = values[np.isfinite(values)]
            yield Piece(finite[finite != 0], finite)

    found = streamed_ramp(pieces)
    if found is None:
        raise BrokenImage(f"no {what} has a finite value")
    slope, rule = found
    return slope, f"{rule} of non-zero values" if rule == PERCENTILES else rule


def cut(values: Stored) -> Iterator[Stored]:
    """Cut values, shape (N,), into pieces of at most `PIECE_VALUES`."""
    for start in range(0, values.size, PIECE_VALUES):
        yield values[start : start + PIECE_VALUES]


def _percentiles(
    first: Callable[[], Iterator[Stored]],
    again: Callable[[], Iterator[Stored]],
    max_gathered: int,
) -> tuple[float, float] | None:
    """Return both percentiles, None without values."""
    counts, dtype = np.zeros(1 << DIGIT_BITS, np.int64), None
    for values in first():
        dtype = values.dtype
        keys, bits = _keys(values)
        counts += _count(keys, bits - DIGIT_BITS)
    total = int(counts.sum())
    if dtype is None or total == 0:
        return None
    # Source: numpy's method "linear", Hyndman and Fan (1996), number 7.
    places = (total - 1) * (np.array([LOW_PERCENT, HIGH_PERCENT]) / 100)
    below = np.floor(places).astype(np.int64)
    ranks = [int(rank) for each in below for rank in (each, min(each + 1, total - 1))]
    values = _at_ranks(_Values(again, dtype, bits), counts, ranks, max_gathered)
    low, high = _between(values[0::2], values[1::2], places - below)
    return float(low), float(high)


def _at_ranks(
    source: _Values, counts: npt.NDArray[np.int64], ranks: list[int], max_gathered: int
) -> Stored:
    """Return the values of some ranks, counted from 0; `counts` is of their first digits."""
    narrowed = [_narrow(_Target(0, rank), counts) for rank in ranks]
    targets, size = [target for target, _ in narrowed], dict(narrowed)
    left = source.bits - DIGIT_BITS
    while left and _size(size) > max_gathered:
        left -= DIGIT_BITS
        prefixes = {target.prefix for target in targets}
        by_prefix = {prefix: np.zeros(1 << DIGIT_BITS, np.int64) for prefix in prefixes}
        for values in source.read():
            keys, _ = _keys(values)
            above = keys >> keys.dtype.type(left + DIGIT_BITS)
            for prefix, known in by_prefix.items():
                known += _count(keys[above == prefix], left)
        narrowed = [_narrow(target, by_prefix[target.prefix]) for target in targets]
        targets, size = [target for target, _ in narrowed], dict(narrowed)
    if not left:
        keys = np.array([target.prefix for target in targets], np.uint64)
        return _values(keys, source.bits, source.dtype)
    gathered = _gather(source.read, {target.prefix for target in targets}, left)
    return np.array([gathered[target.prefix][target.rank] for target in targets], source.dtype)


def _narrow(target: _Target, counts: npt.NDArray[np.int64]) -> tuple[_Target, int]:
    """Return a target with one more digit, and how many values share its bits."""
    ends = np.cumsum(counts)
    digit = int(np.searchsorted(ends, target.rank, side="right"))
    rank = target.rank - int(ends[digit] - counts[digit])
    return _Target(target.prefix << DIGIT_BITS | digit, rank), int(counts[digit])


def _size(sizes: dict[_Target, int]) -> int:
    return sum({target.prefix: size for target, size in sizes.items()}.values())


def _gather(
    again: Callable[[], Iterator[Stored]], prefixes: set[int], left: int
) -> dict[int, Stored]:
    """Return the values whose keys begin with a prefix, sorted; `left` bits follow it."""
    found: dict[int, list[Stored]] = {prefix: [] for prefix in prefixes}
    for values in again():
        keys, _ = _keys(values)
        above = keys >> keys.dtype.type(left)
        for prefix, parts in found.items():
            parts.append(values[above == prefix])
    return {prefix: np.sort(np.concatenate(parts)) for prefix, parts in found.items()}


def _count(keys: Keys, left: int) -> npt.NDArray[np.int64]:
    digits = (keys >> keys.dtype.type(left)).astype(np.uint16)
    return np.bincount(digits, minlength=1 << DIGIT_BITS)


def _keys(values: Stored) -> tuple[Keys, int]:
    """Return unsigned whole numbers in the order of some values, and their bits, at least 16."""
    native = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    if native.dtype.itemsize == 1:
        native = native.astype(np.uint16 if native.dtype.kind == "u" else np.int16)
    unsigned = np.dtype(f"u{native.dtype.itemsize}")
    bits, top = native.view(unsigned), unsigned.type(1 << (8 * unsigned.itemsize - 1))
    if native.dtype.kind == "i":
        bits = bits ^ top
    elif native.dtype.kind == "f":
        # Of floats less than 0 a larger pattern is a smaller number.
        bits = np.where(bits & top, ~bits, bits | top)
    return bits, 8 * unsigned.itemsize


def _values(keys: npt.NDArray[np.uint64], bits: int, dtype: np.dtype[np.number]) -> Stored:
    """Undo `_keys`."""
    unsigned = np.dtype(f"u{bits // 8}")
    patterns, top = keys.astype(unsigned), unsigned.type(1 << (bits - 1))
    if dtype.kind == "i":
        patterns = patterns ^ top
    elif dtype.kind == "f":
        patterns = np.where(patterns & top, patterns ^ top, ~patterns)
    wide = np.dtype(f"{dtype.kind}{bits // 8}")
    values: Stored = patterns.view(wide).astype(dtype.newbyteorder("="))
    return values


def _between(below: Stored, above: Stored, share: npt.NDArray[np.float64]) -> Stored:
    """Interpolate as numpy does, in the same order of operations."""
    step = above - below
    from_below, from_above = below + step * share, above - step * (1 - share)
    return np.where(share >= 0.5, from_above, from_below)

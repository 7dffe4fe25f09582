"""Percentiles of values that come in pieces are those of all values at once, bit for bit."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from segmenter.errors import BrokenImage
from segmenter.formats.grey_levels import FULL_RANGE, PERCENTILES, Ramp, percentile_ramp
from segmenter.formats.percentiles import MAX_GATHERED, Piece, non_zero_ramp, streamed_ramp

DTYPES = ["u1", "i1", "<u2", ">u2", "i2", "u4", ">i4", "i8", "u8", "f4", ">f4", "f8"]


def some(kind: str, count: int, seed: int) -> npt.NDArray[Any]:
    rng, dtype = np.random.default_rng(seed), np.dtype(kind)
    if dtype.kind == "f":
        return rng.normal(0.0, 10.0 ** rng.integers(-3, 4), count).astype(dtype)
    native, ends = dtype.newbyteorder("="), np.iinfo(dtype)
    # Half the range: numpy's own interpolation overflows beyond.
    values = rng.integers(ends.min // 2, ends.max // 2, count, dtype=native, endpoint=True)
    return values.astype(dtype)


def streamed(values: npt.NDArray[Any], gathered: int = MAX_GATHERED) -> tuple[Ramp, str] | None:
    parts = np.array_split(values, 3)
    return streamed_ramp(
        lambda: (Piece(part[part != 0], part) for part in parts), max_gathered=gathered
    )


@pytest.mark.parametrize("gathered", [MAX_GATHERED, 3], ids=["sorted", "counted"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_pieces_give_what_the_whole_gives(dtype: str, gathered: int) -> None:
    for count in (1, 2, 3, 7, 201, 5000):
        values = some(dtype, count, seed=count)
        for each in (values, np.where(np.arange(count) % 2, values, 0).astype(values.dtype)):
            assert streamed(each, gathered) == percentile_ramp(each[each != 0], each), (
                dtype,
                count,
            )


def test_values_that_are_all_alike_are_shown_by_their_whole_range() -> None:
    assert streamed(np.full(900, 7, np.int16)) == (Ramp(7.0, 7.0), FULL_RANGE)
    assert streamed(np.zeros(900, np.float64)) == (Ramp(0.0, 0.0), FULL_RANGE)
    assert streamed(np.zeros(0, np.float64)) is None


def test_zero_is_background_and_what_is_not_finite_is_nothing() -> None:
    values = np.array([0.0, np.nan, 5.0, np.inf, 9.0, -3.0])
    slope, rule = non_zero_ramp(lambda: [values[:3], values[3:]], "voxel")
    assert rule == f"{PERCENTILES} of non-zero values"
    assert slope == percentile_ramp(np.array([5.0, 9.0, -3.0]), values)[0]
    with pytest.raises(BrokenImage, match="no voxel has a finite value"):
        non_zero_ramp(lambda: [values[1:2]], "voxel")

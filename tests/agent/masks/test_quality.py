from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.masks.quality import WEIGHTS, Features, measure, plausible_size, score
from agent.masks.selection import cut_pieces
from agent.schemas.rounds import Candidate
from segmenter.contract import BinaryMask
from tests.agent.doubles import MIDDLE, picture, square, target, to_mask


def candidate(mask: BinaryMask, **changes: float) -> Candidate:
    return Candidate(
        id="m1", target="t1", round=1, call=0, concept="polyp", mask=to_mask(mask, **changes)
    )


def features(mask: BinaryMask, *, others: tuple[BinaryMask, ...] = (), **changes: Any) -> Features:
    return measure(candidate(mask), mask, picture(), target=target(**changes), others=list(others))


def test_a_mask_on_the_bright_square_stands_out() -> None:
    on, off = features(MIDDLE), features(square(2, 2, 18, 18))
    assert on.contrast > off.contrast
    assert on.edge > off.edge
    assert score(on) > score(off)


@pytest.mark.parametrize(
    ("name", "better", "worse"),
    [
        (
            "agreement",
            features(MIDDLE, others=(MIDDLE,)),
            features(MIDDLE, others=(square(0, 0, 9, 9),)),
        ),
        ("compact", features(MIDDLE), features(MIDDLE | square(50, 50, 60, 60))),
        ("filled", features(MIDDLE), features(MIDDLE & ~square(25, 25, 35, 35))),
        ("clear_of_frame", features(MIDDLE), features(square(0, 0, 64, 30))),
        ("plausible_size", features(MIDDLE), features(MIDDLE, area_share=(0.5, 1.0))),
    ],
)
def test_each_feature_tells_better_from_worse(name: str, better: Features, worse: Features) -> None:
    assert getattr(better, name) > getattr(worse, name)
    assert score(better) > score(worse)


def test_where_the_image_cuts_a_structure_off_it_has_no_contour() -> None:
    pixels = np.repeat(3 * np.arange(64, dtype=np.uint8), 64 * 3).reshape(64, 64, 3)
    pixels[:, :32] += 8
    half = square(0, 0, 32, 64)
    cut_off = measure(candidate(half), half, pixels, target=target(), others=[])
    # Slope 5 at the step, 3.1 on average; sides along the frame would lower the 5 to 4.
    assert cut_off.edge == pytest.approx(5 / (3.1 + 1) / 2, abs=0.01)


def test_several_pieces_are_fine_where_several_are_expected() -> None:
    assert features(MIDDLE | square(50, 50, 60, 60), count="several").compact == 1.0


shares = st.floats(0.0, 1.0)


@given(st.tuples(*[shares] * 2, st.none() | shares, *[shares] * 6))
def test_a_score_is_a_share(values: tuple[float, float, float | None, float]) -> None:
    assert 0.0 <= score(Features(*values)) <= 1.0  # type: ignore[call-arg]


def test_the_weights_sum_to_one() -> None:
    assert sum(weight for weight in WEIGHTS if weight is not None) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("share", "grade"), [(0.1, 1.0), (0.3, 1.0), (3.0, 0.0), (0.01, 0.0), (0.0, 0.0)]
)
def test_an_area_is_graded_by_its_prior(share: float, grade: float) -> None:
    assert plausible_size(share, (0.1, 0.3)) == pytest.approx(grade)


def test_an_empty_prior_bound_forgives_small_masks() -> None:
    assert plausible_size(1e-9, (0.0, 0.5)) == 1.0


def test_a_mask_is_cut_into_its_separate_pieces_without_specks() -> None:
    mask = MIDDLE | square(50, 50, 60, 60) | square(2, 2, 3, 3)
    pieces = list(cut_pieces(candidate(mask), mask))
    assert [int(piece.mask.sum()) for piece in pieces] == [400, 100]
    assert not list(cut_pieces(candidate(MIDDLE), MIDDLE))


def wide(shape: tuple[int, int], *spots: tuple[int, int, int, int]) -> BinaryMask:
    mask = np.zeros(shape, dtype=np.bool_)
    for y0, x0, y1, x1 in spots:
        mask[y0:y1, x0:x1] = True
    return mask


def measured(mask: BinaryMask, *others: BinaryMask, count: str = "several") -> Features:
    """Measure a dark structure on a grey picture."""
    pixels = np.full((*mask.shape, 3), 100, dtype=np.uint8)
    pixels[mask] = 30
    return measure(
        candidate(mask), mask, pixels, target=target("spot", count=count), others=list(others)
    )


@pytest.mark.parametrize("shift", [1, 2, 3, 5, 7])
@pytest.mark.parametrize(
    "spots",
    [
        ((101, 151, 105, 156),),
        ((101, 151, 103, 900),),
        ((101, 151, 104, 154), (300, 900, 303, 903)),
    ],
    ids=["a tiny one", "a thin one", "tiny ones far apart"],
)
def test_a_small_structure_measures_alike_wherever_it_lies(
    spots: tuple[tuple[int, int, int, int], ...], shift: int
) -> None:
    here = wide((400, 1200), *spots)
    there = np.roll(here, (shift, shift), axis=(0, 1))
    first, moved = measured(here, here), measured(there, there)
    assert first == moved
    assert first.agreement == 1.0
    assert first.filled == 1.0
    assert first.contrast > 0.9


def test_agreement_counts_what_lies_far_from_the_mask() -> None:
    here = wide((400, 1200), (10, 10, 20, 20))
    both = here | wide((400, 1200), (300, 1000, 310, 1010))
    assert measured(here, both).agreement == pytest.approx(0.5)
    assert measured(both, here).agreement == pytest.approx(0.5)


def test_an_empty_mask_is_measured_as_nothing() -> None:
    empty = np.zeros((40, 60), dtype=np.bool_)
    nothing = measure(
        candidate(MIDDLE), empty, np.zeros((40, 60, 3), np.uint8), target=target(), others=[empty]
    )
    assert (nothing.contrast, nothing.edge, nothing.compact, nothing.filled) == (0.0, 0.0, 0.0, 0.0)
    assert nothing.agreement == 0.0

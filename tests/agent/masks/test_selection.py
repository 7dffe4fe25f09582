import pytest

from agent.masks.selection import select, touches_border, why_none
from agent.schemas.plan import Selection
from agent.schemas.rounds import Candidate
from tests.agent.doubles import SIZE, square, to_mask

# Left top, small; right bottom, largest; in the middle; at the right border.
BOXES = ((4, 4, 10, 10), (40, 44, 60, 60), (28, 28, 36, 36), (50, 10, 64, 20))
CANDIDATES = [
    Candidate(
        id=f"m{number}", target="t1", round=1, call=0, concept="polyp", mask=to_mask(square(*one))
    )
    for number, one in enumerate(BOXES, 1)
]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, "m1 m2 m3 m4"),
        ({"side": "left"}, "m1"),
        ({"side": "right"}, "m2 m3 m4"),
        ({"place": "top"}, "m1 m4"),
        ({"place": "bottom"}, "m2 m3"),
        ({"place": "middle"}, "m3"),
        ({"rank": "largest", "limit": 1}, "m2"),
        ({"rank": "largest", "nth": 2, "limit": 1}, "m4"),
        ({"rank": "largest", "nth": 2, "limit": 2}, "m4 m3"),
        ({"rank": "smallest", "limit": 2}, "m1 m3"),
        ({"rank": "leftmost", "limit": 1}, "m1"),
        ({"rank": "rightmost", "limit": 1}, "m4"),
        ({"rank": "topmost", "limit": 1}, "m1"),
        ({"rank": "bottommost", "limit": 1}, "m2"),
        ({"rank": "central", "limit": 1}, "m3"),
        ({"border": "touching"}, "m4"),
        ({"border": "clear"}, "m1 m2 m3"),
        ({"side": "right", "rank": "smallest", "limit": 1}, "m3"),
        ({"rank": "largest", "nth": 9, "limit": 1}, ""),
    ],
)
def test_the_wanted_ones_are_chosen_in_order(changes: dict[str, object], wanted: str) -> None:
    chosen = select(CANDIDATES, Selection.model_validate(changes), (SIZE, SIZE))
    assert " ".join(one.id for one in chosen) == wanted


@pytest.mark.parametrize(
    ("changes", "some", "why"),
    [
        (
            {"rank": "largest", "nth": 2, "limit": 1},
            1,
            "only one was found for polyp, so there is no second largest",
        ),
        (
            {"rank": "smallest", "nth": 5, "limit": 1},
            4,
            "only 4 were found for polyp, so there is no fifth smallest",
        ),
        ({"side": "right"}, 1, "nothing that was found for polyp is on the image's right"),
        ({"place": "middle"}, 1, "nothing that was found for polyp is in the image's middle third"),
        ({"border": "touching"}, 1, "nothing that was found for polyp touches the border"),
    ],
)
def test_what_leaves_nothing_says_why(changes: dict[str, object], some: int, why: str) -> None:
    selection = Selection.model_validate(changes)
    assert not select(CANDIDATES[:some], selection, (SIZE, SIZE))
    assert why_none(CANDIDATES[:some], selection, (SIZE, SIZE), "polyp") == why


def test_a_mask_at_the_last_column_touches_the_border() -> None:
    assert [touches_border(one.mask.box, (SIZE, SIZE)) for one in CANDIDATES] == [
        False,
        False,
        False,
        True,
    ]

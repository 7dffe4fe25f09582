from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.policy.ledger import (
    Ids,
    Option,
    best_option,
    challenge,
    grade_of,
    is_vetoed,
    record_verdicts,
    sets_of,
    wins_comparison,
)
from agent.schemas.rounds import Candidate, Verdict
from tests.agent.doubles import SIZE, square, target, to_mask

Word = Literal["accept", "partial", "reject"]
Better = Literal["yes", "no", "same"]
Side = Literal["first", "second", "same"]


def verdict(name: str, word: Word, better: Better = "same", by: str = "mllm") -> Verdict:
    return Verdict.model_validate(
        {"candidate": name, "verdict": word, "better_than_incumbent": better, "by": by}
    )


def option(*ids: str, boxed: bool = False, vetoed: bool = False, quality: float = 0.5) -> Option:
    return Option(ids=ids, boxed=boxed, vetoed=vetoed, quality=quality)


@pytest.mark.parametrize(
    ("old", "new", "better", "step"),
    [
        ("accept", "accept", "yes", "compare"),
        ("accept", "accept", "same", "keep"),
        ("accept", "accept", "no", "keep"),
        ("accept", "partial", "yes", "compare"),
        ("partial", "accept", "yes", "compare"),
        ("partial", "accept", "same", "keep"),
        ("partial", "reject", "yes", "keep"),
        ("reject", "accept", "same", "replace"),
        ("reject", "accept", "no", "keep"),
        ("reject", "partial", "yes", "compare"),
        ("reject", "reject", "yes", "keep"),
    ],
)
def test_only_a_judged_better_set_may_challenge(
    old: Word, new: Word, better: Better, step: str
) -> None:
    verdicts = {"m1": verdict("m1", old), "m2": verdict("m2", new, better)}
    assert challenge(("m1",), option("m2"), verdicts, same=False) == step


def test_the_first_find_stands_whatever_was_said_of_it() -> None:
    assert challenge((), option("m1"), {"m1": verdict("m1", "reject")}, same=False) == "open"


def test_an_unjudged_set_never_replaces() -> None:
    assert challenge(("m1",), option("m2"), {"m1": verdict("m1", "reject")}, same=False) == "keep"


@pytest.mark.parametrize(
    ("one", "same"),
    [(option("m2", vetoed=True), False), (option("m2"), True), (option("m1"), False)],
    ids=["vetoed", "same pixels", "itself"],
)
def test_code_may_forbid_what_a_judge_wants(one: Option, same: bool) -> None:
    verdicts = {"m1": verdict("m1", "reject"), "m2": verdict("m2", "accept", "yes")}
    assert challenge(("m1",), one, verdicts, same=same) == "keep"


def test_what_a_person_accepted_is_not_replaced() -> None:
    verdicts = {
        "m1": verdict("m1", "accept", by="client"),
        "m2": verdict("m2", "accept", "yes"),
    }
    assert challenge(("m1",), option("m2"), verdicts, same=False) == "keep"


def test_a_model_does_not_overwrite_a_persons_word() -> None:
    mine = verdict("m1", "reject", by="client")
    assert record_verdicts({"m1": mine}, [verdict("m1", "accept")]) == {"m1": mine}


def test_a_person_overwrites_a_models_word() -> None:
    mine = verdict("m1", "reject", by="client")
    assert record_verdicts({"m1": verdict("m1", "accept")}, [mine]) == {"m1": mine}


@pytest.mark.parametrize(
    ("first", "swapped", "won"),
    [
        ("second", "first", True),
        ("second", "second", False),
        ("first", "first", False),
        ("same", "first", False),
        ("second", "same", False),
    ],
)
def test_a_comparison_is_won_only_both_ways(first: Side, swapped: Side, won: bool) -> None:
    assert wins_comparison(first, swapped) is won


@pytest.mark.parametrize(
    ("area", "frame", "prior", "vetoed"),
    [
        (0.1, 0.0, (0.05, 0.2), False),
        (0.0, 0.0, (0.0, 1.0), True),
        (0.3, 0.0, (0.05, 0.2), True),
        (0.01, 0.0, (0.05, 0.2), True),
        (0.15, 0.9, (0.05, 0.2), True),
        (0.9, 0.9, (0.0, 1.0), False),
    ],
    ids=["fine", "empty", "too large", "too small", "frame", "may fill the image"],
)
def test_vetoes(area: float, frame: float, prior: tuple[float, float], vetoed: bool) -> None:
    assert is_vetoed(area, frame, target(area_share=prior)) is vetoed


def test_the_best_set_is_judged_before_it_is_measured() -> None:
    verdicts = {"m1": verdict("m1", "partial"), "m2": verdict("m2", "accept")}
    options = [option("m1", quality=0.9), option("m2", quality=0.1)]
    assert best_option(options, verdicts) == options[1]


def test_the_set_of_the_callers_box_is_preferred_among_equals() -> None:
    options = [option("m1", quality=0.9), option("m2", quality=0.1, boxed=True)]
    assert best_option(options, {}) == options[1]


def candidate(name: str, x0: int, x1: int, source: str | None = None) -> Candidate:
    return Candidate(
        id=name,
        target="t1",
        round=1,
        call=0,
        concept="polyp",
        mask=to_mask(square(x0, 10, x1, 20)),
        derived_from=source,
    )


ROW = [candidate("m1", 2, 10), candidate("m2", 12, 30), candidate("m3", 40, 60)]


@pytest.mark.parametrize(
    ("changes", "sets"),
    [
        ({"count": "one"}, [("m1",), ("m2",), ("m3",)]),
        ({"count": "several"}, [("m1", "m2", "m3")]),
        ({"count": "one", "selection": {"rank": "largest", "limit": 1}}, [("m3",)]),
        ({"count": "several", "selection": {"rank": "largest", "limit": 2}}, [("m3", "m2")]),
        ({"count": "several", "selection": {"side": "left"}}, [("m1", "m2")]),
        ({"count": "one", "selection": {"side": "right"}}, [("m3",)]),
    ],
)
def test_a_call_offers_the_sets_that_the_target_wants(
    changes: dict[str, Any], sets: list[Ids]
) -> None:
    assert sets_of(target(**changes), ROW, {}, size=(SIZE, SIZE)) == sets


def test_rejected_members_leave_the_set() -> None:
    verdicts = {"m2": verdict("m2", "reject")}
    assert sets_of(target(count="several"), ROW, verdicts, size=(SIZE, SIZE)) == [("m1", "m3")]


def test_a_mask_that_was_cut_up_gives_way_to_its_pieces() -> None:
    pieces = [candidate("m1", 2, 60), candidate("m2", 2, 20, "m1"), candidate("m3", 40, 60, "m1")]
    chosen = target(selection={"side": "left"})
    assert sets_of(chosen, pieces, {}, size=(SIZE, SIZE)) == [("m2",)]


words = st.sampled_from(["accept", "partial", "reject"])
betters = st.sampled_from(["yes", "no", "same"])
sides = st.sampled_from(["first", "second", "same"])
rounds = st.lists(st.tuples(words, betters, sides, sides, st.booleans()), min_size=1, max_size=6)


@settings(max_examples=300)
@given(rounds)
def test_for_any_judge_the_chain_of_replacements_is_a_chain_of_judged_wins(
    script: list[tuple[Word, Better, Side, Side, bool]],
) -> None:
    standing: Ids = ()
    verdicts: dict[str, Verdict] = {}
    order = {"accept": 3, "partial": 2, "open": 1, "reject": 0}
    for number, (word, better, first, swapped, vetoed) in enumerate(script, start=1):
        new = (f"m{number}",)
        verdicts = record_verdicts(verdicts, [verdict(new[0], word, better)])
        step = challenge(standing, option(*new, vetoed=vetoed), verdicts, same=False)
        if step == "open":
            assert standing == ()
            standing = new
        elif step == "replace" or (step == "compare" and wins_comparison(first, swapped)):
            # A win is a find that was not rejected, over a set that lost in the same sheet.
            assert not vetoed
            assert word in ("accept", "partial")
            assert better != "no"
            assert better == "yes" or grade_of(standing, verdicts) == "reject"
            compared = (first, swapped) == ("second", "first")
            assert compared or order[word] > order[grade_of(standing, verdicts)]
            standing = new
        assert standing != ()
    assert standing == ("m1",) or grade_of(standing, verdicts) in ("accept", "partial")

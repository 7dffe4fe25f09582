import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.policy.calls import CallLimits, admit
from agent.policy.next_calls import (
    Flaw,
    Progress,
    first_calls,
    is_searched,
    next_step,
    repair_calls,
    widening_calls,
)
from agent.schemas.plan import Call
from agent.schemas.rounds import Candidate, Issue
from segmenter.contract import BinaryMask, Box, BoxPrompt, Capabilities
from tests.agent.doubles import MIDDLE, box, capabilities, image_ref, square, target, to_mask

OPEN = capabilities(concepts=None, negative_boxes=True)
POLYP = target(phrases=("polyp", "colon polyp", "adenoma"))


def limits(*tried: Call, can: Capabilities = OPEN, unknown: tuple[str, ...] = ()) -> CallLimits:
    return CallLimits(image_ref(), can, tried, frozenset(unknown))


def call(concept: str | None = "polyp", *boxes: Box, threshold: float | None = None) -> Call:
    prompts = tuple(BoxPrompt(box=one) for one in boxes)
    return Call(target="t1", concept=concept, boxes=prompts, threshold=threshold)


def said(calls: tuple[Call, ...]) -> list[tuple[str | None, int, float | None]]:
    return [(one.concept, len(one.boxes), one.threshold) for one in calls]


@pytest.mark.parametrize(
    ("text", "concept"),
    [
        ("Polyp", "polyp"),
        ("the large bowel polyp of the colon", "the large bowel"),
        ("../etc/passwd", "etc passwd"),
        ("{0}%s\n", "0 s"),
        ("ground-glass opacity", "ground-glass opacity"),
        ("T2 zone", "t2 zone"),
    ],
)
def test_a_concept_is_one_to_three_plain_words(text: str, concept: str) -> None:
    assert said(admit([call(text)], [POLYP], limits())) == [(concept, 0, None)]


@pytest.mark.parametrize("text", ["", "---", "!?", "\u0000", "肿瘤"])
def test_a_call_that_says_nothing_is_not_made(text: str) -> None:
    assert admit([call(text)], [POLYP], limits()) == ()


@given(st.text(max_size=200))
def test_no_text_makes_an_inadmissible_concept(text: str) -> None:
    for one in admit([call(text)], [POLYP], limits()):
        assert one.concept is not None
        assert 1 <= len(one.concept.split()) <= 3
        assert len(one.concept) <= 100
        assert set(one.concept) <= set("abcdefghijklmnopqrstuvwxyz0123456789 -")


@pytest.mark.parametrize(
    ("earlier", "later", "admitted"),
    [
        (call(), call(), 0),
        (call(), call("adenoma"), 1),
        (call("polyp", box(0, 0, 20, 20)), call("polyp", box(0, 0, 20, 19.5)), 0),
        (call("polyp", box(0, 0, 20, 20)), call("polyp", box(0, 0, 20, 15)), 1),
        (call("polyp", box(0, 0, 20, 20)), call(None, box(0, 0, 20, 20)), 1),
        (call("polyp", box(0, 0, 20, 20)), call(), 1),
        (call(), call(threshold=0.3), 1),
        (call(threshold=0.3), call(), 0),
    ],
    ids=["same", "other word", "same box", "other box", "no word", "no box", "lower", "higher"],
)
def test_a_call_that_was_tried_is_not_repeated(earlier: Call, later: Call, admitted: int) -> None:
    assert len(admit([later], [POLYP], limits(earlier))) == admitted
    assert len(admit([earlier, later], [POLYP], limits())) == 1 + admitted


def test_at_most_four_calls_a_round_and_every_target_first() -> None:
    both = [target(), target(id="t2", label="optic cup")]
    many = [call(f"word {number}") for number in range(6)]
    calls = admit([*many, Call(target="t2", concept="optic cup")], both, limits())
    assert [one.target for one in calls] == ["t1", "t2", "t1", "t1"]


def test_calls_for_unknown_targets_are_dropped() -> None:
    assert admit([Call(target="t9", concept="polyp")], [POLYP], limits()) == ()


def test_slivers_of_boxes_are_dropped() -> None:
    asked = call("polyp", box(0, 0, 20, 20), box(1, 1, 2, 60), box(1, 1, 60, 2))
    (made,) = admit([asked], [POLYP], limits())
    assert [one.box for one in made.boxes] == [box(0, 0, 20, 20)]


def test_negative_boxes_go_only_to_models_that_take_them() -> None:
    asked = Call(
        target="t1", concept="polyp", boxes=(BoxPrompt(box=box(0, 0, 20, 20), label="negative"),)
    )
    closed = capabilities(concepts=None, negative_boxes=False)
    assert said(admit([asked], [POLYP], limits())) == [("polyp", 1, None)]
    assert said(admit([asked], [POLYP], limits(can=closed))) == [("polyp", 0, None)]


def test_a_box_is_not_lost_on_a_word_the_model_does_not_list() -> None:
    closed = capabilities()
    asked = call("pink bump", box(0, 0, 20, 20))
    assert said(admit([asked], [POLYP], limits(can=closed))) == [("polyp", 1, None)]
    stone = target("gallstone")
    assert said(admit([asked], [stone], limits(can=closed))) == [(None, 1, None)]


def test_a_word_the_model_cannot_look_for_is_not_put_again() -> None:
    can = capabilities()
    assert admit([call("gallstone", threshold=0.3)], [POLYP], limits(can=can)) != ()
    assert (
        admit([call("gallstone", threshold=0.3)], [POLYP], limits(can=can, unknown=("gallstone",)))
        == ()
    )


def test_code_adds_the_pair_without_the_box_and_all_phrases() -> None:
    proposed = [call("pink bump", box(10, 10, 30, 30))]
    calls = first_calls([POLYP], proposed, None, limits())
    assert said(calls) == [
        ("pink bump", 1, None),
        ("pink bump", 0, None),
        ("polyp", 0, None),
        ("colon polyp", 0, None),
    ]


def test_the_callers_box_comes_before_the_planners() -> None:
    proposed = [call("adenoma", box(1, 1, 9, 9))]
    calls = first_calls([POLYP], proposed, box(10, 10, 30, 30), limits())
    assert calls[0] == call("polyp", box(10, 10, 30, 30))


def test_when_nothing_is_found_the_next_phrase_goes_before_the_threshold() -> None:
    first = widening_calls(POLYP, limits(call()))
    assert said(first) == [("colon polyp", 0, None), ("adenoma", 0, None)]
    second = widening_calls(POLYP, limits(call(), *first))
    assert said(second) == [("polyp", 0, 0.3), ("colon polyp", 0, 0.3)]
    assert is_searched(POLYP, limits(call(), *first, *second))


def test_another_threshold_is_lowered_in_proportion() -> None:
    can = capabilities(threshold=0.25)
    assert said(widening_calls(POLYP, limits(call(), can=can))) == [("polyp", 0, 0.15)]


def test_a_concepts_own_threshold_is_the_one_that_is_lowered() -> None:
    can = capabilities(threshold=0.25, thresholds={"polyp": 0.1})
    assert said(widening_calls(POLYP, limits(call(), can=can))) == [("polyp", 0, 0.06)]


def flaw(issue: Issue, where: Box | None = None, mask: BinaryMask = MIDDLE) -> Flaw:
    found = Candidate(id="m1", target="t1", round=1, call=0, concept="polyp", mask=to_mask(mask))
    return Flaw(issue, found, where)


@pytest.mark.parametrize(
    ("issue", "where", "wanted"),
    [
        (Issue.TOO_SMALL, None, [("colon polyp", 0), ("adenoma", 0)]),
        (Issue.MISSING_PARTS, None, [("colon polyp", 0), ("adenoma", 0)]),
        (Issue.TOO_LARGE, None, [("polyp", 1)]),
        (Issue.LEAK, box(22, 22, 30, 30), [("polyp", 1)]),
        (Issue.WRONG_STRUCTURE, box(1, 1, 9, 9), [("polyp", 2), ("colon polyp", 2)]),
        (Issue.WRONG_SIDE, None, [("colon polyp", 0), ("adenoma", 0)]),
        (Issue.FRAGMENTED, None, []),
        (Issue.NONE, None, []),
    ],
)
def test_an_issue_names_the_next_calls(
    issue: Issue, where: Box | None, wanted: list[tuple[str, int]]
) -> None:
    calls = repair_calls(POLYP, flaw(issue, where), limits(call()))
    assert [(one.concept, len(one.boxes)) for one in calls] == wanted


def test_a_mask_that_is_too_small_gets_a_larger_box_when_the_next_phrase_is_used_up() -> None:
    (made,) = repair_calls(target(), flaw(Issue.TOO_SMALL), limits(call()))
    assert made.boxes[0].box == box(15, 15, 45, 45)


def test_the_larger_box_of_a_mask_at_the_edge_ends_there() -> None:
    edge = flaw(Issue.TOO_SMALL, mask=square(0, 44, 20, 64))
    (made,) = repair_calls(target(), edge, limits(call()))
    assert made.boxes[0].box == box(0, 39, 25, 64)


def test_a_mask_that_leaks_gets_a_smaller_box() -> None:
    (made,) = repair_calls(target(), flaw(Issue.LEAK), limits(call()))
    assert made.boxes[0].box == box(22, 22, 38, 38)


def test_the_rejected_box_becomes_a_negative_example() -> None:
    calls = repair_calls(POLYP, flaw(Issue.WRONG_STRUCTURE, box(1, 1, 9, 9)), limits(call()))
    assert [one.label for one in calls[0].boxes] == ["positive", "negative"]


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({}, "refine"),
        ({"proposed": "absent"}, "refine"),
        ({"settled": True}, "finish"),
        ({"proposed": "stop"}, "finish"),
        ({"unchanged": True}, "finish"),
        ({"rounds": 3}, "finish"),
        ({"seconds_left": 0.0}, "finish"),
        ({"spent": True}, "finish"),
    ],
)
def test_a_run_stops_for_a_reason(changes: dict[str, object], step: str) -> None:
    values: dict[str, object] = {
        "rounds": 1,
        "max_rounds": 3,
        "settled": False,
        "unchanged": False,
        "proposed": "segment",
        "seconds_left": 9.0,
    }
    assert next_step(Progress(**(values | changes))) == step  # type: ignore[arg-type]

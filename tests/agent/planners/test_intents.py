"""What a plan says beside its targets and calls, and that every word is accounted for."""

from typing import Any

import pytest

from agent.drawing.layout import Size
from agent.language.coverage import Words
from agent.mllm.box_formats import GEMINI_STYLE
from agent.mllm.json.misfit import Misfit
from agent.planners.coordinates import BoxCoordinates
from agent.planners.replies import to_plan
from agent.schemas.intent import Intent, Which
from agent.schemas.plan import Plan
from tests.agent.examples import plan_answer

GEMINI = BoxCoordinates(GEMINI_STYLE, Size(800, 400), Size(400, 200))


def planned(request: str, *labels: str, **changes: Any) -> Plan:
    """The plan of a model that names its targets only; `changes` are what else it says."""
    targets = [{"label": label, "count": "one", "where": None} for label in labels]
    answer = plan_answer(**{"targets": targets, "calls": [], **changes})
    return to_plan(answer, GEMINI, Words(request))


def intent_of(plan: Plan) -> Intent:
    assert plan.intent is not None
    return plan.intent


def target(label: str, **changes: object) -> dict[str, object]:
    return {"label": label, "count": "one", "where": None, **changes}


def order(act: str, words: str, **changes: object) -> dict[str, object]:
    return {"act": act, "words": words, **changes}


def test_a_plan_says_all_that_a_request_means() -> None:
    plan = planned(
        "please outline the tiniest polyp on my left, grow m1 by 5% and say how big it is",
        targets=[
            target(
                "polyp",
                words="tiniest polyp on my left",
                which={"side": "left", "whose": "patient", "rank": "smallest"},
            )
        ],
        operations=[order("expand", "grow m1 by 5%", masks=["m1"], amount=5, unit="%")],
        questions=[{"topic": "how big", "words": "how big it is"}],
        context=["please"],
        not_understood=[],
    )
    intent = intent_of(plan)
    (thing,) = intent.find
    assert thing.terms == ("polyp",)
    assert thing.which == Which(side="left", frame="patient", rank="smallest", limit=1)
    (operation,) = intent.operations
    assert (operation.act, operation.masks) == ("grow", ("m1",))
    assert (operation.amount, operation.unit) == (5.0, "percent")
    assert [one.topic for one in intent.questions] == ["size"]
    # The verbs are in none of its parts; the rules know them.
    assert intent.not_understood == ("outline", "say")


def test_a_model_s_box_of_an_operation_is_in_pixels_of_the_image() -> None:
    box = order("box", "this box", box_2d=[100, 200, 500, 600])
    (operation,) = intent_of(planned("take this box", operations=[box], targets=[])).operations
    assert operation.box is not None
    assert operation.box.as_tuple() == pytest.approx((80, 20, 240, 100))


@pytest.mark.parametrize(
    ("said", "left"),
    [
        pytest.param({}, ("outline", "foo bar"), id="a plan of the old shape"),
        pytest.param({"context": ["foo"]}, ("outline", "foo bar"), id="context hides nothing"),
        pytest.param(
            {
                "questions": [
                    {"topic": "size", "words": "outline"},
                    {"topic": "area", "words": "foo"},
                ]
            },
            ("bar",),
            id="words of a question",
        ),
        pytest.param(
            {
                "questions": [{"topic": "size", "words": "foo bar"}],
                "not_understood": ["bar"],
            },
            ("outline", "bar"),
            id="refused",
        ),
        pytest.param({"not_understood": []}, ("outline", "foo bar"), id="a nod"),
        pytest.param({"context": ["foo bar baz"]}, ("outline", "foo bar"), id="not verbatim"),
        pytest.param({"talk": "greeting"}, ("outline", "foo bar"), id="talk hides nothing"),
    ],
)
def test_a_word_that_no_part_says_is_not_understood(
    said: dict[str, object], left: tuple[str, ...]
) -> None:
    plan = planned("outline the polyp and foo bar", "polyp", **said)
    assert intent_of(plan).not_understood == left


@pytest.mark.parametrize(
    ("said", "note"),
    [
        pytest.param(
            {"operations": [order("drop", "everything")]},
            "not said in the request: drop",
            id="an operation that the request does not say",
        ),
        pytest.param(
            {"operations": [{"act": "clear"}]},
            "not said in the request: clear",
            id="an operation without words",
        ),
        pytest.param(
            {"questions": [{"topic": "diagnosis", "words": "is it cancer"}]},
            "not said in the request: diagnosis",
            id="a question that the request does not ask",
        ),
        pytest.param(
            {"operations": [order("frobnicate", "polyp")]},
            "not understood of the plan: operations[0].act",
            id="an unknown act",
        ),
        pytest.param(
            {"questions": [{"topic": "mood", "words": "polyp"}]},
            "not understood of the plan: questions[0].topic",
            id="an unknown topic",
        ),
        pytest.param(
            {"operations": [order("box", "polyp", box_2d=[7, 7])]},
            "not understood of the plan: operations[0].box_2d",
            id="a box that is none",
        ),
        pytest.param(
            {"operations": [order("keep", "polyp", which={"rank": "nicest"})]},
            "not understood of the plan: operations[0].which.rank",
            id="an unknown order",
        ),
        pytest.param({"talk": "gossip"}, "not understood of the plan: talk", id="unknown talk"),
        pytest.param(
            {"context": ["history of smoking"]},
            "not said in the request: history of smoking",
            id="invented context",
        ),
        pytest.param(
            {"context": ["foo"]}, "read as asking for nothing: foo", id="what is set aside"
        ),
    ],
)
def test_what_is_not_used_of_a_plan_is_named(said: dict[str, object], note: str) -> None:
    plan = planned("outline the polyp and foo", "polyp", **said)
    assert note in plan.note
    assert intent_of(plan).operations == ()
    assert intent_of(plan).questions == ()


def test_one_item_that_cannot_be_read_spoils_no_other() -> None:
    orders = [7, order("frobnicate", "polyp"), order("smooth", "smooth it"), None, {"act": []}]
    plan = planned("outline the polyp, smooth it", "polyp", operations=orders)
    assert [one.act for one in intent_of(plan).operations] == ["smooth"]


def test_a_target_that_the_request_does_not_say_is_named_and_not_looked_for() -> None:
    targets = [target("heart", words="the heart"), target("polyp", words="polyp")]
    calls = [
        {"target": 1, "concept": "heart", "box_2d": None, "avoid": []},
        {"target": 2, "concept": "polyp", "box_2d": [100, 200, 500, 600], "avoid": []},
    ]
    plan = planned("outline the polyp", targets=targets, calls=calls)
    assert [(one.id, one.label) for one in plan.targets] == [("t2", "polyp")]
    assert [(one.target, one.concept) for one in plan.calls] == [("t2", "polyp")]
    assert "not asked for in the request: heart" in plan.note


def test_a_plan_in_another_language_than_the_request_keeps_its_targets() -> None:
    plan = planned("\u8bf7\u5206\u5272\u606f\u8089", targets=[target("polyp", words="polyp")])
    assert [one.label for one in plan.targets] == ["polyp"]
    assert intent_of(plan).not_understood == ("\u8bf7\u5206\u5272\u606f\u8089",)


def test_words_of_a_target_whose_which_cannot_be_read_account_for_its_label_alone() -> None:
    odd = target("polyp", words="nicest polyp", which={"rank": "nicest"})
    plan = planned("nicest polyp", targets=[odd])
    assert intent_of(plan).not_understood == ("nicest",)
    assert "targets[0].which.rank" in plan.note


def test_which_of_a_target_may_stand_beside_its_label() -> None:
    (thing,) = intent_of(planned("the polyp", targets=[target("polyp", side="left")])).find
    assert thing.which.side == "left"


@pytest.mark.parametrize(
    "said",
    [
        {"operations": [order("smooth", "smooth")]},
        {"questions": [{"topic": "size", "words": "how big"}]},
        {"talk": "greeting"},
    ],
)
def test_a_plan_needs_no_target_if_it_says_something_else(said: dict[str, object]) -> None:
    plan = planned("hi smooth how big", decision="segment", targets=[], **said)
    assert plan.targets == ()


@pytest.mark.parametrize(
    "said", [{}, {"operations": [order("frobnicate", "smooth")]}, {"context": ["smooth"]}]
)
def test_a_plan_of_which_nothing_is_left_is_asked_again(said: dict[str, object]) -> None:
    with pytest.raises(Misfit):
        planned("hi smooth", decision="segment", targets=[], **said)


def test_a_decision_that_lacks_is_told_by_operations_and_talk() -> None:
    orders = {"operations": [order("smooth", "smooth")]}
    assert to_plan(orders, GEMINI, Words("smooth")).decision == "segment"
    assert to_plan({"talk": "thanks"}, GEMINI, Words("thx")).decision == "unclear"


def test_an_answer_s_words_are_bounded() -> None:
    long = "x" * 5000
    plan = planned(
        "outline the polyp",
        "polyp",
        operations=[order("drop", long)],
        context=[long],
        talk=long,
    )
    assert len(plan.note) <= 400


def test_the_words_of_every_part_are_places_in_the_request() -> None:
    request = "Keep the larger, drop the rest"
    plan = planned(
        request,
        operations=[order("keep", "keep the larger"), order("drop", "drop the rest")],
        targets=[],
    )
    words = Words(request)
    assert all(words.places(one.words) for one in intent_of(plan).operations)
    assert intent_of(plan).not_understood == ()

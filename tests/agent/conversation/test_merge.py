"""What holds when the rules and a model have read one request."""

from datetime import UTC, datetime
from typing import Any

import pytest

from agent.conversation.merge import merge
from agent.drawing.layout import Size
from agent.language.coverage import Words
from agent.mllm.box_formats import GEMINI_STYLE
from agent.planners.coordinates import BoxCoordinates
from agent.planners.replies import to_plan
from agent.schemas.intent import Act, Intent, Operation, Question, Thing, Which
from agent.schemas.plan import Plan
from agent.schemas.rounds import Status
from agent.schemas.runs import ResultMask, TargetResult, ThreadRecord
from tests.agent.doubles import image_ref, target
from tests.agent.examples import candidate, plan_answer, rectangle
from tests.agent.plan_replies import to_reply

GEMINI = BoxCoordinates(GEMINI_STYLE, Size(64, 64), Size(64, 64))
POLYP = Thing(words="polyp", terms=("polyp",))
DISC = Thing(words="optic disc", terms=("optic disc",))
MASKS = tuple(candidate(name, rectangle(8, 6, 32, 24)) for name in ("m1", "m2"))
EMPTY = ThreadRecord(id="thr_" + "0" * 32, created_at=datetime.now(UTC), image=image_ref())
HOLDS_DISC = EMPTY.model_copy(
    update={
        "candidates": MASKS,
        "targets": (
            TargetResult(
                target=target("optic disc"),
                status=Status.FOUND,
                masks=tuple(
                    ResultMask(candidate=one, label="optic disc", verdict="accept", by="rules")
                    for one in MASKS
                ),
            ),
        ),
    }
)


def plan_of(request: str, *labels: str, **changes: Any) -> Plan:
    targets = [{"label": label, "words": None} for label in labels]
    answer = plan_answer(**{"targets": targets, "calls": [], "decision": "unclear", **changes})
    return to_plan(answer, GEMINI, Words(request))


def order(act: str, words: str, **changes: object) -> dict[str, object]:
    return {"act": act, "words": words, **changes}


def acts(intent: Intent) -> list[Act]:
    return [one.act for one in intent.operations]


@pytest.mark.parametrize(
    ("request_", "rules", "said", "expected", "left"),
    [
        pytest.param(
            "smooth it", Intent(operations=(Operation(act="smooth"),)),
            [order("drop", "smooth it")], ["smooth"], (),
            id="words that the rules understood stay theirs",
        ),
        pytest.param(
            "smooth it then zap it",
            Intent(operations=(Operation(act="smooth"),), not_understood=("zap it",)),
            [order("drop", "zap it")], ["smooth", "drop"], (),
            id="words that they did not are the model's",
        ),
        pytest.param(
            "smooth it then zap it",
            Intent(operations=(Operation(act="smooth"),), not_understood=("zap it",)),
            [], ["smooth"], ("zap it",),
            id="words of nobody",
        ),
        pytest.param(
            "smooth it then zap it and zonk",
            Intent(operations=(Operation(act="smooth"),), not_understood=("zap it and zonk",)),
            [order("drop", "zap it")], ["smooth", "drop"], ("zonk",),
            id="what is left of a part",
        ),
        pytest.param(
            "zap it", Intent(not_understood=("zap it",)),
            [order("undo", "zap it")], [], ("zap it",),
            id="a step of the thread is not the model's",
        ),
        pytest.param(
            "zap m9", Intent(not_understood=("zap m9",)),
            [order("drop", "zap m9", masks=["m9"])], [], ("zap m9",),
            id="a mask that is not there",
        ),
        pytest.param(
            "zap m2", Intent(not_understood=("zap m2",)),
            [order("drop", "zap m2", masks=["m2"])], ["drop"], (),
            id="a mask that is there",
        ),
        pytest.param(
            "zap it \U0001f600", Intent(not_understood=("zap it", "\U0001f600")),
            [order("drop", "zap it")], ["drop"], ("\U0001f600",),
            id="a sign without letters",
        ),
    ],
)  # fmt: skip
def test_operations_are_the_rules_and_the_model_s_for_new_words(
    request_: str, rules: Intent, said: list[object], expected: list[Act], left: tuple[str, ...]
) -> None:
    merged = merge(rules, plan_of(request_, operations=said), request_, HOLDS_DISC)
    assert acts(merged) == expected
    assert merged.not_understood == left


def test_an_operation_that_both_read_is_completed_not_doubled() -> None:
    rules = Intent(
        operations=(Operation(act="grow", things=(DISC,)),), not_understood=("a smidgen",)
    )
    request = "grow the optic disc by a smidgen"
    said = order("grow", "by a smidgen", targets=["optic disc"], amount=1, unit="px")
    merged = merge(rules, plan_of(request, operations=[said]), request, HOLDS_DISC)
    (one,) = merged.operations
    assert (one.act, one.things, one.amount, one.unit) == ("grow", (DISC,), 1.0, "px")
    assert merged.not_understood == ()


def test_what_the_rules_read_of_an_operation_is_not_changed() -> None:
    rules = Intent(
        operations=(Operation(act="grow", amount=2, unit="mm"),), not_understood=("sizeably",)
    )
    request = "grow by 2 mm sizeably"
    said = order("grow", "sizeably", amount=9, unit="px")
    (one,) = merge(rules, plan_of(request, operations=[said]), request, EMPTY).operations
    assert (one.amount, one.unit) == (2.0, "mm")


@pytest.mark.parametrize(
    ("request_", "rules", "plan", "find", "left"),
    [
        pytest.param(
            "outline the polyp", Intent(find=(POLYP,)), {"labels": ["polyp"]}, [POLYP], (),
            id="both",
        ),
        pytest.param(
            "outline the lump", Intent(find=(Thing(words="lump"),)), {"labels": ["mass"]},
            [Thing(words="lump")], (),
            id="a target in other words stands for it",
        ),
        pytest.param(
            "polyp and optic disc", Intent(find=(POLYP, DISC)), {"labels": ["polyp"]},
            [POLYP], ("optic disc",),
            id="what the model leaves out is named",
        ),
        pytest.param(
            "polyp, seen an optic disc once", Intent(find=(POLYP, DISC)),
            {"labels": ["polyp"], "context": ["seen an optic disc once"]}, [POLYP],
            ("optic disc",),
            id="what the model calls context is not looked for, and named",
        ),
        pytest.param(
            "outline the pollypus", Intent(not_understood=("pollypus",)),
            {"targets": [{"label": "polyp", "words": "pollypus"}]},
            [POLYP.model_copy(update={"words": "polyp"})], (),
            id="a word that only the model knows",
        ),
        pytest.param(
            "nothing of note", Intent(not_understood=("nothing of note",)), {}, [],
            ("nothing of note",),
            id="nobody",
        ),
    ],
)  # fmt: skip
def test_things_are_the_rules_and_the_model_s_for_new_words(
    request_: str,
    rules: Intent,
    plan: dict[str, Any],
    find: list[Thing],
    left: tuple[str, ...],
) -> None:
    made = plan_of(request_, *plan.pop("labels", ()), **plan)
    merged = merge(rules, made, request_, EMPTY)
    assert [(one.words, one.terms) for one in merged.find] == [
        (one.words, one.terms or merged.find[at].terms) for at, one in enumerate(find)
    ]
    assert merged.not_understood == left


def test_a_thing_that_stands_need_not_be_planned_again() -> None:
    rules = Intent(find=(DISC, POLYP))
    request = "optic disc and polyp"
    assert merge(rules, plan_of(request, "polyp"), request, HOLDS_DISC).find == (DISC, POLYP)


def test_which_is_completed_only_by_words_that_the_rules_did_not_understand() -> None:
    request = "outline the tiddliest polyp"
    said = {"label": "polyp", "words": "tiddliest polyp", "which": {"rank": "smallest"}}
    plan = plan_of(request, targets=[said])
    (dark,) = merge(Intent(find=(POLYP,), not_understood=("tiddliest",)), plan, request, EMPTY).find
    assert dark.which == Which(rank="smallest", limit=1)
    (lit,) = merge(Intent(find=(POLYP,)), plan, request, EMPTY).find
    assert lit.which == Which()


def test_questions_and_talk_are_the_model_s_where_the_rules_read_nothing() -> None:
    request = "yo, whaddya reckon its girth is"
    plan = plan_of(
        request, questions=[{"topic": "perimeter", "words": "girth"}], talk="greeting",
        context=["yo"],
    )  # fmt: skip
    merged = merge(Intent(not_understood=(request,)), plan, request, EMPTY)
    assert [one.topic for one in merged.questions] == ["perimeter"]
    assert merged.talk == "greeting"
    assert merged.context == ()
    assert merged.not_understood == ("yo", "whaddya reckon")


def test_a_question_that_both_read_is_asked_once_and_hides_no_word() -> None:
    rules = Intent(questions=(Question(topic="size"),), not_understood=("roughly",))
    plan = plan_of("how big roughly", questions=[{"topic": "size", "words": "how big roughly"}])
    merged = merge(rules, plan, "how big roughly", EMPTY)
    assert merged.questions == rules.questions
    assert merged.not_understood == ("roughly",)


@pytest.mark.parametrize(
    "said",
    [
        {"targets": [{"label": "polyp", "words": "polyp and frobnicate"}]},
        {"targets": [{"label": "polyp", "words": "polyp and frobnicate", "count": "several"}]},
        {"operations": [order("accept", "outline the polyp and frobnicate")]},
        {"questions": [{"topic": "names", "words": "outline the polyp and frobnicate"}]},
        {"context": ["outline", "polyp", "frobnicate"]},
    ],
    ids=["a target", "a number", "an operation", "a question", "context"],
)
def test_who_repeats_the_request_hides_none_of_its_words(said: dict[str, Any]) -> None:
    request = "outline the polyp and frobnicate"
    rules = Intent(find=(POLYP,), not_understood=("frobnicate",))
    merged = merge(rules, plan_of(request, **said), request, EMPTY)
    assert merged.find == (POLYP,)
    assert (merged.operations, merged.questions) == ((), ())
    assert merged.not_understood == ("frobnicate",)


def test_a_planner_that_makes_no_intent_changes_nothing() -> None:
    rules = Intent(find=(POLYP,), not_understood=("zonk",))
    plan = Plan(decision="segment", modality="unknown", targets=(), calls=())
    assert merge(rules, plan, "polyp zonk", EMPTY) is rules


READ = [
    ("outline the polyp", Intent(find=(POLYP,))),
    ("polyp zonk", Intent(find=(POLYP,), not_understood=("zonk",))),
    (
        "keep the optic disc, drop m1, and zonk in the corner",
        Intent(
            operations=(
                Operation(act="keep", things=(DISC,), words="keep the optic disc"),
                Operation(act="drop", masks=("m1",), words="drop m1"),
            ),
            not_understood=("zonk in the corner",),
        ),
    ),
    (
        "please, how big is the optic disc",
        Intent(
            questions=(Question(topic="size", things=(DISC,), words="how big is the optic disc"),),
            context=("please",),
        ),
    ),
    ("hello", Intent(talk="greeting")),
]


@pytest.mark.parametrize(("request_", "rules"), READ)
def test_a_model_that_says_what_the_rules_say_changes_nothing(request_: str, rules: Intent) -> None:
    plan = to_plan(to_reply(rules, request_), GEMINI, Words(request_))
    assert merge(rules, plan, request_, HOLDS_DISC) == rules


@pytest.mark.parametrize(("request_", "rules"), READ)
def test_a_model_never_makes_a_word_vanish(request_: str, rules: Intent) -> None:
    nods = plan_of(request_, decision="absent", targets=[])
    merged = merge(rules, nods, request_, HOLDS_DISC)
    words = Words(request_)
    before = frozenset[int]().union(*map(words.places, rules.not_understood))
    after = frozenset[int]().union(*map(words.places, merged.not_understood))
    assert words.telling(before) <= after

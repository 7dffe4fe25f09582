import itertools
from typing import Any, get_args

import pytest

from agent.mllm.box_formats import GEMINI_STYLE
from agent.mllm.json.misfit import Misfit
from agent.planners.reading import intent_words
from agent.planners.reading.fields import Words, choice_of
from agent.planners.reading.operations import (
    RawOperation,
    operation_of,
    question_of,
    talk_of,
    which_of,
)
from agent.schemas.intent import Act, Height, Rank, Side, Talk, Topic, Unit

CHOICES: list[tuple[Words, object]] = [
    (intent_words.ACTS, Act),
    (intent_words.TOPICS, Topic),
    (intent_words.TALKS, Talk),
    (intent_words.SIDES, Side),
    (intent_words.HEIGHTS, Height),
    (intent_words.RANKS, Rank),
    (intent_words.UNITS, Unit),
]
TABLES = [
    table
    for name, table in vars(intent_words).items()
    if name.isupper() and isinstance(table, dict)
]
LABELS = ["optic disc", "optic cup"]


def read(value: object) -> RawOperation:
    return operation_of(value, LABELS, "operations[0]", GEMINI_STYLE)


def operation(**fields: Any) -> dict[str, object]:
    return read({"words": "it", **fields}).fields


def question(**fields: Any) -> dict[str, object]:
    return question_of({"words": "it", **fields}, LABELS, "questions[0]")


@pytest.mark.parametrize(("table", "kind"), CHOICES)
def test_a_table_has_all_of_our_words(table: Words, kind: object) -> None:
    assert set(table) == set(get_args(kind))


@pytest.mark.parametrize("table", TABLES)
def test_no_word_of_a_table_stands_for_two_of_ours(table: Words) -> None:
    everything = list(itertools.chain(*map(set, table.values())))
    assert sorted(everything) == sorted(set(everything))
    for name, words in table.items():
        assert all(choice_of(word, table, "x") == name for word in words)


@pytest.mark.parametrize(
    ("written", "act"),
    [
        ("delete", "drop"), ("Remove", "drop"), ("expand", "grow"), ("dilate", "grow"),
        ("erode", "shrink"), ("KEEP_ONLY", "keep"), ("keep only", "keep"), ("smaller", "tighter"),
        ("too small", "bigger"), ("fill holes", "fill"), ("remove specks", "despeckle"),
        ("look_again", "retry"), ("reject", "wrong"), ("approve", "accept"), ("union", "merge"),
        ("separate", "split"), ("delete all", "clear"), ("exchange", "swap"),
    ],
)  # fmt: skip
def test_an_act_is_read_by_its_other_names(written: str, act: str) -> None:
    assert operation(act=written)["act"] == act
    assert operation(operation=written)["act"] == act


@pytest.mark.parametrize(
    ("written", "topic"),
    [
        ("how_big", "size"), ("longest diameter", "diameter"), ("RECIST", "diameter"),
        ("circumference", "perimeter"), ("brightness", "intensity"), ("how many", "count"),
        ("where", "place"), ("laterality", "side"), ("is there", "presence"), ("CDR", "ratio"),
        ("percentage", "share"), ("which is larger", "compare"), ("BI-RADS", "diagnosis"),
        ("ejection fraction", "unmeasurable"), ("are you sure", "why"), ("identify", "names"),
    ],
)  # fmt: skip
def test_a_topic_is_read_by_its_other_names(written: str, topic: str) -> None:
    assert question(topic=written)["topic"] == topic


@pytest.mark.parametrize(
    ("amount", "unit", "read"),
    [
        (5, "pixels", (5.0, "px")), ("5 px", None, (5.0, "px")), ("10%", None, (10.0, "percent")),
        (10, "%", (10.0, "percent")), (1.5, "millimetres", (1.5, "mm")), ("2cm", "", (2.0, "cm")),
        (None, "px", (None, None)), (0, None, (None, None)), ("null", None, (None, None)),
        (3, "mm\u00b2", (3.0, "mm")),
    ],
)  # fmt: skip
def test_an_amount_is_read_with_its_unit(
    amount: object, unit: object, read: tuple[object, object]
) -> None:
    made = operation(act="grow", amount=amount, unit=unit)
    assert (made["amount"], made["unit"]) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (None, None), ({}, None), ("none", None), ("largest", {"rank": "largest"}),
        ("Left", {"side": "left"}), ("upper half", {"place": "top"}),
        ({"side": "R", "whose": "patient's"}, {"side": "right", "whose": "patient"}),
        ({"rank": "biggest", "nth": "2", "limit": None}, {"rank": "largest", "nth": 2}),
        ({"border": "touches", "side": None}, {"border": "touching"}),
        ('{"rank": "tiniest"}', {"rank": "smallest"}),
        ([], None), ("2nd", {"nth": 2}), ("at most 3", {"limit": 3}), ("top 3", {"limit": 3}),
        (["left", "patient", "largest"], {"side": "left", "whose": "patient", "rank": "largest"}),
        (["largest", "2nd", "largest"], {"rank": "largest", "nth": 2}),
        ([{"side": "left"}, "touching"], {"side": "left", "border": "touching"}),
    ],
)  # fmt: skip
def test_which_is_meant_is_read_from_an_object_or_words(value: object, read: object) -> None:
    assert which_of(value, "which") == read


def test_which_may_stand_beside_the_act() -> None:
    assert operation(act="drop", border="touching")["which"] == {"border": "touching"}


@pytest.mark.parametrize(
    ("masks", "read"),
    [("m1", ["m1"]), (["M1", "mask 2"], ["m1", "m2"]), ([1, "#3"], ["m1", "m3"]), (None, [])],
)
def test_masks_are_read_as_ids(masks: object, read: list[str]) -> None:
    assert operation(act="drop", masks=masks)["masks"] == read


@pytest.mark.parametrize(
    ("targets", "read"),
    [
        ("optic cup", ["optic cup"]), ([1, "2"], LABELS), ([{"label": "optic cup"}], ["optic cup"]),
        (None, []),
    ],
)  # fmt: skip
def test_targets_are_read_as_labels_or_by_their_numbers(targets: object, read: list[str]) -> None:
    assert operation(act="subtract", minus=targets)["minus"] == read
    assert question(topic="size", targets=targets)["targets"] == read


def test_a_word_alone_is_an_operation_without_words_of_the_request() -> None:
    assert read("undo").fields["act"] == "undo"
    assert read("undo").fields["words"] == ""


@pytest.mark.parametrize("key", ["box_2d", "box", "bounding_box"])
def test_a_box_is_read_under_each_of_its_names(key: str) -> None:
    raw = read({"act": "box", "words": "it", key: [100, 200, 300, 400]})
    assert raw.box is not None
    assert (raw.box.x0, raw.box.y0, raw.box.x1, raw.box.y1) == (200, 100, 400, 300)


def test_small_talk_is_read() -> None:
    assert [talk_of(value) for value in (None, "Hello", ["thank you"])] == [
        None,
        "greeting",
        "thanks",
    ]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"act": "frobnicate"}, ".act"), ({}, ".act"), ({"act": ["drop"]}, ".act"),
        ({"act": "grow", "amount": "a bit"}, ".amount"), ({"act": "grow", "amount": -2}, ".amount"),
        ({"act": "grow", "amount": 3}, ".unit"), ({"act": "grow", "amount": "3 ells"}, ".unit"),
        ({"act": "drop", "masks": ["the best"]}, ".masks"),
        ({"act": "drop", "masks": [True]}, ".masks"), ({"act": "drop", "targets": [7]}, ".targets"),
        ({"act": "keep", "which": {"rank": "nicest"}}, ".which.rank"),
        ({"act": "keep", "which": {"colour": "red"}}, ".which"),
        ({"act": "keep", "which": {"nth": 0}}, ".which.nth"),
        ({"act": "box", "box_2d": [7, 7]}, ".box_2d"),
        ({"act": "box", "box_2d": [[1, 2, 30, 40], [5, 6, 70, 80]]}, ".box_2d"),
        ({"act": "keep", "which": ["left", "right"]}, ".which.side"),
        ({"act": "keep", "which": ["largest", "2"]}, ".which"),
        ({"act": "keep", "which": ["0th"]}, ".which"),
        ({"act": "keep", "which": ["nicest"]}, ".which"),
        ({"act": "keep", "which": "nicest"}, ".which"), ({"act": "keep", "which": 7}, ".which"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(fields: dict[str, object], where: str) -> None:
    with pytest.raises(Misfit) as caught:
        read({"words": "it", **fields})
    assert caught.value.where == f"operations[0]{where}"


@pytest.mark.parametrize("value", [7, True, [1], None])
def test_what_is_no_object_is_no_question(value: object) -> None:
    with pytest.raises(Misfit):
        question_of(value, LABELS, "questions[0]")

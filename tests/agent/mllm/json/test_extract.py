import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import MllmReplyError
from agent.mllm.json.decode import MAX_CHARS
from agent.mllm.json.extract import extract, without_thoughts
from agent.mllm.json.misfit import Misfit
from agent.mllm.json.repair import repaired

CALL = {"concept": "polyp", "box_2d": [1, 2, 3, 4]}
GOOD = {"next": "segment", "calls": [CALL], "note": None}
TEXT = json.dumps(GOOD)
KNOWN = frozenset({"next", "calls", "note", "concept", "box_2d"})


def read(value: object) -> dict[str, object]:
    """Take an object with the three fields; the planner's own reading has its own tests."""
    if not isinstance(value, dict) or not {"next", "calls"} <= set(value):
        raise Misfit("", "must have next and calls", is_other=True)
    if value["next"] not in ("stop", "segment"):
        raise Misfit("next", "must be one of stop, segment")
    if not isinstance(value["calls"], list):
        raise Misfit("calls", "must be a list")
    return {"next": value["next"], "calls": value["calls"], "note": value.get("note")}


def extracted(said: str) -> dict[str, object]:
    return extract(said, read, KNOWN)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(TEXT, id="bare"),
        pytest.param(f"  \n{TEXT}\n", id="white space"),
        pytest.param(f"```json\n{TEXT}\n```", id="fenced"),
        pytest.param(f"```\n{{}}\n```\nbetter:\n```json\n{TEXT}\n```", id="the last fence first"),
        pytest.param(f"```json\n{TEXT}", id="unclosed fence"),
        pytest.param(f"Here it is: {TEXT} Hope it helps {{}}!", id="in prose"),
        pytest.param(f'<think>{{"next": "stop"}}</think>{TEXT}', id="thoughts dropped"),
        pytest.param(f"<think>{TEXT}</think>", id="only a thought"),
        pytest.param(f"<think>{TEXT}", id="only a thought without an end"),
        pytest.param(f'{{"next": "stop"}} hm</think>{TEXT}', id="thought never opened"),
        pytest.param(f"<tool>{TEXT}</tool>", id="tool tag"),
        pytest.param(
            f'<tool_call>{{"name": "segment", "arguments": {TEXT}}}</tool_call>', id="tagged call"
        ),
        pytest.param(json.dumps({"name": "x", "arguments": TEXT}), id="arguments as a string"),
        pytest.param(json.dumps({"function": {"arguments": TEXT}}), id="function call"),
        pytest.param(json.dumps(TEXT), id="double encoded"),
        pytest.param(json.dumps(json.dumps(TEXT)), id="twice double encoded"),
        pytest.param(f"[{TEXT}]", id="list of one"),
        pytest.param(f'{{"answer": {TEXT}}}', id="wrapped under one key"),
        pytest.param(f'{{"plan": {TEXT}, "confidence": 0.9}}', id="wrapped beside a number"),
        pytest.param("{" + TEXT + "}", id="doubled braces"),
        pytest.param(TEXT.replace("}]", "},]"), id="trailing comma"),
        pytest.param(TEXT[:-1], id="missing closer"),
        pytest.param(TEXT[: TEXT.index("]") + 1], id="missing closers"),
        pytest.param(TEXT + "}}", id="too many closers"),
        pytest.param(TEXT.replace(', "note": null', ""), id="missing nullable field"),
        pytest.param(TEXT[:-1] + ', "extra": 1}', id="extra field"),
    ],
)  # fmt: skip
def test_the_answer_is_found_in_whatever_was_written(said: str) -> None:
    assert extracted(said) == GOOD


def test_values_that_fit_and_say_the_same_are_one_answer() -> None:
    assert extracted(f"first {TEXT} then {{}} or {TEXT}") == GOOD


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("first {small} then {text}", id="in prose"),
        pytest.param("```json\n{small}\n```\nbetter:\n```json\n{text}\n```", id="in fences"),
    ],
)
def test_of_two_answers_that_differ_none_is_taken(said: str) -> None:
    small = json.dumps({"next": "stop", "calls": [], "note": None})
    with pytest.raises(MllmReplyError) as caught:
        extracted(said.format(small=small, text=TEXT))
    assert caught.value.reason == "does not fit: two answers that differ"


def test_values_side_by_side_are_read_as_a_list_where_a_list_is_an_answer() -> None:
    def numbers(value: object) -> list[object]:
        if not isinstance(value, list):
            raise Misfit("", "must be a list", is_other=True)
        return value

    assert extract('{"a": 1}\n{"a": 2}', numbers) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('{"next": "stop", "next": "segment", "calls": []}', "does not fit: next"),
        (
            TEXT.replace('"concept"', '"concept": "mass", "concept"'),
            "does not fit: calls[0].concept",
        ),
        ('{"next": "stop", "calls": [], "Doe": {"x": 1, "x": 2}}', "does not fit: ….…"),
        ('{"plan": {"next": "stop", "next": "segment", "calls": []}}', "does not fit: ….next"),
    ],
)
def test_a_key_with_two_values_contradicts_itself(said: str, reason: str) -> None:
    with pytest.raises(MllmReplyError) as caught:
        extracted(said)
    assert caught.value.reason == reason


def test_a_key_that_is_repeated_with_its_value_says_one_thing() -> None:
    assert extracted('{"next": "segment", ' + TEXT[1:]) == GOOD


@pytest.mark.parametrize(
    "end",
    [
        pytest.param('"calls": [{"concept": "polyp", "box_2d": [1, 2, 3, 4', id="a number"),
        pytest.param('"calls": [{"concept": "pol', id="a word"),
        pytest.param('"calls": [{"concept": "polyp"}, {"concept"', id="a key"),
        pytest.param('"calls": [{"concept":', id="a value"),
        pytest.param('"calls": [{"concept": "polyp"},', id="an item"),
        pytest.param('"calls": [', id="a list"),
    ],
)
def test_half_an_answer_is_not_repaired(end: str) -> None:
    with pytest.raises(MllmReplyError):
        extracted('{"next": "segment", ' + end)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        pytest.param("", "empty", id="nothing"),
        pytest.param("I cannot see a secret-polyp.", "no JSON object", id="prose"),
        pytest.param('{"next": "explode", "calls": []}', "`next` must be one of", id="enum"),
        pytest.param('{"next": "stop"}', "must have next and calls", id="lacking"),
        pytest.param('{"next": "stop", "calls": "x"}', "`calls` must be a list", id="type"),
        pytest.param('{"next": "stop", "calls": NaN}', "no JSON object", id="NaN"),
        pytest.param(TEXT.replace("[1,", "[1e999,"), "no JSON object", id="infinity"),
        pytest.param(TEXT.replace("[1,", "[" + "9" * 40 + ","), "no JSON object", id="huge"),
        pytest.param("[" * 5000 + "]" * 5000, "no JSON object", id="deep"),
        pytest.param("x" * (MAX_CHARS + 1), "longer than", id="long"),
    ],
)
def test_what_is_no_answer_is_said_in_words_of_the_schema(said: str, fault: str) -> None:
    with pytest.raises(MllmReplyError) as caught:
        extracted(said)
    assert fault in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "explode" not in str(caught.value)


def test_strings_come_back_clean() -> None:
    said = '{"next": "stop", "calls": [], "note": "a\\u0000b\\ud800c\\u202ed\\ne"}'
    note = extracted(said)["note"]
    assert note == "abcd e"
    json.dumps(note, ensure_ascii=False).encode("utf-8")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a<think>b</think>c", "ac"),
        ("b</think>c", "c"),
        ("a<think>b", "a"),
        ("<THINKING>b</THINKING>c", "c"),
    ],
)
def test_thoughts_are_dropped(said: str, kept: str) -> None:
    assert without_thoughts(said) == kept


Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["next", "calls", "note", "concept", "x"]), inner)
    ),
    max_leaves=12,
)
Piece = st.sampled_from(
    ["{", "}", "[", "]", '"', ",", ":", "\\", "```", "```json\n", "<think>", "</think>", "null",
     "1e9", "NaN", '"next"', '"calls"', '"stop"', "\n", " ", "\ud800", "\x00", '{"args":', TEXT]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.lists(Piece, max_size=40).map("".join), st.text(max_size=200)))
def test_no_text_breaks_the_extraction(said: str) -> None:
    try:
        found = extracted(said)
    except MllmReplyError:
        return
    assert set(found) == {"next", "calls", "note"}
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode("utf-8")


@settings(max_examples=150, deadline=None)
@given(Json, st.integers(0, 60))
def test_no_json_value_breaks_the_extraction(value: Any, cut: int) -> None:
    said = json.dumps(value)
    for text in (said, said[:cut], said + said, json.dumps(said)):
        try:
            assert set(extracted(text)) == {"next", "calls", "note"}
        except MllmReplyError:
            continue


@settings(max_examples=200, deadline=None)
@given(Json.filter(lambda value: isinstance(value, list | dict)))
def test_repair_changes_nothing_that_is_sound(value: Any) -> None:
    assert repaired(json.dumps(value)) == json.dumps(value)


@pytest.mark.parametrize(
    "brackets",
    [
        "{" * 50_000,
        "{ " * 25_000,
        "[" * 50_000,
        "{" + " " * 40_000 + "{" * 9_000,
        "[" * 25_000 + "}" * 25_000,
    ],
)
def test_hostile_brackets_are_done_with_quickly(brackets: str) -> None:
    with pytest.raises(MllmReplyError):
        extracted(brackets)

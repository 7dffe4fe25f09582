import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import MllmReplyError
from agent.mllm.json.decode import MAX_CHARS
from agent.mllm.json.extract import extract, without_thoughts
from agent.mllm.json.repair import repaired
from agent.mllm.json.schema import find_fault

SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "next": {"type": "string", "enum": ["stop", "segment"]},
        "calls": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "concept": {"type": "string"},
                    "box_2d": {
                        "anyOf": [
                            {"type": "array", "items": {"type": "number"}},
                            {"type": "null"},
                        ]
                    },
                },
                "required": ["concept", "box_2d"],
            },
        },
        "note": {"type": ["string", "null"]},
    },
    "required": ["next", "calls", "note"],
}
CALL = {"concept": "polyp", "box_2d": [1, 2, 3, 4]}
GOOD = {"next": "segment", "calls": [CALL], "note": None}
TEXT = json.dumps(GOOD)
LISTS: dict[str, object] = {
    "type": "object",
    "properties": {"masks": {"type": "array", "items": {"type": "object"}}},
    "required": ["masks"],
}


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
        pytest.param("{" + TEXT + "}", id="doubled braces"),
        pytest.param(TEXT.replace("}]", "},]"), id="trailing comma"),
        pytest.param(TEXT[:-1], id="missing closer"),
        pytest.param(TEXT[: TEXT.index("]")], id="missing closers"),
        pytest.param(TEXT + "}}", id="too many closers"),
        pytest.param(TEXT.replace(', "note": null', ""), id="missing nullable field"),
        pytest.param(TEXT[:-1] + ', "extra": 1}', id="extra field"),
    ],
)  # fmt: skip
def test_the_answer_is_found_in_whatever_was_written(said: str) -> None:
    assert extract(said, SCHEMA) == GOOD


def test_a_list_stands_for_an_object_with_one_list() -> None:
    assert extract('[{"id": "M1"}, {"id": "M2"}]', LISTS) == {"masks": [{"id": "M1"}, {"id": "M2"}]}


def test_the_longest_value_that_fits_wins() -> None:
    small = json.dumps({"next": "stop", "calls": [], "note": None})
    assert extract(f"first {small} then {TEXT} or {small}", SCHEMA) == GOOD


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        pytest.param("", "no JSON object", id="nothing"),
        pytest.param("I cannot see a secret-polyp.", "no JSON object", id="prose"),
        pytest.param('{"next": "explode", "calls": []}', "'next' must be one of", id="enum"),
        pytest.param('{"next": "stop"}', "lacks 'calls'", id="lacking"),
        pytest.param('{"next": "stop", "calls": "x"}', "'calls' must be of type", id="type"),
        pytest.param('{"next": "stop", "calls": [{}]}', "lacks 'concept'", id="no sound item"),
        pytest.param('{"next": "stop", "calls": NaN}', "no JSON object", id="NaN"),
        pytest.param(TEXT.replace("[1,", "[1e999,"), "no JSON object", id="infinity"),
        pytest.param(TEXT.replace("[1,", "[" + "9" * 40 + ","), "no JSON object", id="huge"),
        pytest.param("[" * 5000 + "]" * 5000, "no JSON object", id="deep"),
        pytest.param("x" * (MAX_CHARS + 1), "limit", id="long"),
        pytest.param("<think>" + TEXT, "no JSON object", id="only thoughts"),
    ],
)
def test_what_is_no_answer_is_said_in_words_of_the_schema(said: str, fault: str) -> None:
    with pytest.raises(MllmReplyError) as caught:
        extract(said, SCHEMA)
    assert fault in str(caught.value) or "holds no JSON" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "explode" not in str(caught.value)


def test_a_single_bad_item_is_left_to_the_translation() -> None:
    said = json.dumps({"next": "stop", "calls": [CALL, {"concept": 7}], "note": None})
    assert len(extract(said, SCHEMA)["calls"]) == 2  # type: ignore[arg-type]


def test_strings_come_back_clean() -> None:
    said = '{"next": "stop", "calls": [], "note": "a\\u0000b\\ud800c\\u202ed\\ne"}'
    note = extract(said, SCHEMA)["note"]
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
        found = extract(said, SCHEMA)
    except MllmReplyError:
        return
    assert find_fault(found, SCHEMA) is None
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode("utf-8")


@settings(max_examples=150, deadline=None)
@given(Json, st.integers(0, 60))
def test_no_json_value_breaks_the_extraction(value: Any, cut: int) -> None:
    said = json.dumps(value)
    for text in (said, said[:cut], said + said, json.dumps(said)):
        try:
            assert set(extract(text, SCHEMA)) == {"next", "calls", "note"}
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
        extract(brackets, SCHEMA)

import math
import time
from contextlib import suppress
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.drawing.layout import Size
from agent.language.coverage import Words
from agent.mllm.box_formats import (
    GEMINI_STYLE,
    PIXELS_STYLE,
    THOUSANDTHS_STYLE,
    BoxStyle,
    box_style,
)
from agent.mllm.json.misfit import Misfit
from agent.planners.coordinates import BoxCoordinates, from_box, to_box
from agent.planners.inspections import to_inspection, to_winner
from agent.planners.reading.box_shapes import read_boxes
from agent.planners.reading.concepts import phrase
from agent.planners.replies import to_plan
from agent.planners.reply_schemas import comparison_schema, inspect_schema, plan_schema
from agent.schemas.rounds import Issue
from segmenter.contract import Box
from tests.agent.examples import inspect_answer, mask_answer, plan_answer

IMAGE, SHOWN = Size(400, 200), Size(800, 400)
WORDS = Words("outline the tumour")
STYLES = [GEMINI_STYLE, PIXELS_STYLE, THOUSANDTHS_STYLE]
GEMINI = BoxCoordinates(GEMINI_STYLE, SHOWN, IMAGE)
PIXELS = BoxCoordinates(PIXELS_STYLE, SHOWN, IMAGE)


def boxes(value: object, coordinates: BoxCoordinates, key: str = "box") -> list[Box]:
    raw = read_boxes(value, coordinates.style, "box", key=key)
    return [to_box(each, coordinates, "box") for each in raw]


def call(**changes: Any) -> dict[str, object]:
    return {"target": 1, "concept": "polyp", "box_2d": None, "avoid": [], **changes}


@pytest.mark.parametrize(
    ("model", "style"),
    [
        ("gemini-3.8-flash", GEMINI_STYLE),
        ("google/gemma-4-27b", GEMINI_STYLE),
        ("Qwen/Qwen3-VL-8B", THOUSANDTHS_STYLE),
        ("qwen2.5vl:7b", PIXELS_STYLE),
        ("Qwen2.5-VL-7B-Instruct", PIXELS_STYLE),
        ("glm-4.6v", THOUSANDTHS_STYLE),
        ("gpt-5.4", PIXELS_STYLE),
        ("claude-sonnet", PIXELS_STYLE),
    ],
)
def test_a_model_s_name_tells_its_way_with_boxes(model: str, style: BoxStyle) -> None:
    assert box_style(model, "openai") == style


def test_an_unknown_name_on_gemini_s_wire_is_a_gemini() -> None:
    assert box_style("tunedModels/ours-1", "gemini") == GEMINI_STYLE
    assert box_style("ours-1", "openai") == PIXELS_STYLE


@pytest.mark.parametrize(
    ("numbers", "coordinates", "expected"),
    [
        pytest.param([100, 200, 500, 600], GEMINI, (80, 20, 240, 100), id="y first, thousandths"),
        pytest.param(
            [200, 100, 600, 500],
            BoxCoordinates(THOUSANDTHS_STYLE, SHOWN, IMAGE),
            (80, 20, 240, 100),
            id="x first, thousandths",
        ),
        pytest.param([160, 40, 480, 200], PIXELS, (80, 20, 240, 100), id="pixels as shown"),
        pytest.param([0.1, 0.2, 0.5, 0.6], GEMINI, (80, 20, 240, 100), id="shares, y first"),
        pytest.param([0.2, 0.1, 0.6, 0.5], PIXELS, (80, 20, 240, 100), id="shares, x first"),
        pytest.param([-50, 0, 1090, 1000], GEMINI, (0, 0, 400, 200), id="clipped"),
    ],
)  # fmt: skip
def test_boxes_are_translated_by_style(
    numbers: list[float], coordinates: BoxCoordinates, expected: tuple[float, ...]
) -> None:
    (box,) = boxes(numbers, coordinates)
    assert box.as_tuple() == pytest.approx(expected)


@pytest.mark.parametrize(
    "value",
    [
        "x", [1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3, "four"], [True, 0, 500, 500],
        [5, 5, 5, 5], [0, 0, 1000, 0], [2000, 2000, 3000, 3000], [0, 0, 0, 0],
        [math.nan, 0, 500, 500], [0, 0, math.inf, 500], {"x0": 1}, [0, 0, 2, 2],
        [500, 600, 100, 200], [100, 600, 500, 200], [0, 0, 1400, 900], [-300, 0, 500, 500], 7,
        [500, 500], {"x": 500, "y": 500}, "at the upper left", "552, 459, 765",
        "1, 2, 300, 400 or 5, 6, 700, 800", {"left": 1, "top": 2, "width": 300},
    ],
)  # fmt: skip
def test_a_bad_box_does_not_fit(value: object) -> None:
    with pytest.raises(Misfit):
        boxes(value, GEMINI)


@pytest.mark.parametrize("value", [None, [], {}, "", "null", "None", "n/a"])
def test_nothing_is_no_box(value: object) -> None:
    assert boxes(value, GEMINI) == []


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(STYLES),
    st.tuples(*[st.floats(0, 1)] * 4),
    st.tuples(*[st.integers(32, 1024)] * 4),
)
def test_writing_and_reading_a_box_agree_within_one_quantum(
    style: BoxStyle, sides: tuple[float, ...], sizes: tuple[int, ...]
) -> None:
    image, shown = Size(sizes[0], sizes[1]), Size(sizes[2], sizes[3])
    coordinates = BoxCoordinates(style, shown, image)
    x0, x1 = sorted((sides[0] * image.width, sides[1] * image.width))
    y0, y1 = sorted((sides[2] * image.height, sides[3] * image.height))
    if x1 - x0 < image.width / 8 or y1 - y0 < image.height / 8:
        return
    written = from_box(Box(x0=x0, y0=y0, x1=x1, y1=y1), coordinates)
    (read,) = boxes(list(written), coordinates)
    quantum = max(image.width, image.height) / min(1000, *shown)
    assert read.as_tuple() == pytest.approx((x0, y0, x1, y1), abs=quantum)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(STYLES),
    st.lists(st.floats() | st.integers(-(10**15), 10**15), min_size=4, max_size=4),
)
def test_whatever_numbers_come_a_box_lies_inside_the_image(
    style: BoxStyle, numbers: list[float]
) -> None:
    try:
        read = boxes(numbers, BoxCoordinates(style, SHOWN, IMAGE))
    except Misfit:
        return
    for box in read:
        assert 0 <= box.x0 < box.x1 <= IMAGE.width
        assert 0 <= box.y0 < box.y1 <= IMAGE.height


@pytest.mark.parametrize(
    ("said", "concept"),
    [
        ("Breast Tumor", "breast tumor"),
        ("hypoechoic mass in the left breast", "hypoechoic mass"),
        ("optic-disc", "optic-disc"),
        ("left and right lung field", "left and right"),
        ("polyp; DROP TABLE", "polyp drop table"),
        ("..", None),
        ("\x00\ud800", None),
        ("肿瘤", None),
        (None, None),
    ],
)
def test_a_concept_is_a_few_plain_words(said: str | None, concept: str | None) -> None:
    assert phrase(said) == concept


def test_a_plan_is_translated() -> None:
    plan = to_plan(plan_answer(), GEMINI, WORDS)
    (target,) = plan.targets
    (first,) = plan.calls
    assert (plan.decision, plan.modality, plan.note) == ("segment", "ultrasound", "")
    assert (target.id, target.label, target.phrases) == ("t1", "Tumour", ("breast tumor",))
    assert (target.count, target.where) == ("one", "upper left")
    assert (first.target, first.concept) == ("t1", "breast tumor")
    assert first.boxes[0].box.as_tuple() == pytest.approx((80, 20, 240, 100))


def calls_of(*items: object, **changes: Any) -> Any:
    return to_plan(plan_answer(calls=list(items), **changes), GEMINI, WORDS).calls


@pytest.mark.parametrize(
    ("bad", "where"),
    [
        pytest.param(call(target=2), "calls[1].target", id="no such target"),
        pytest.param(call(target=True), "calls[1].target", id="a truth is no number"),
        pytest.param(call(concept="?!"), "calls[1].concept", id="no admissible concept"),
        pytest.param(call(concept=None), "calls[1].concept", id="neither concept nor box"),
        pytest.param(call(concept=7), "calls[1].concept", id="a number for a concept"),
        pytest.param(call(box_2d=[1, 2]), "calls[1].box_2d", id="half a box"),
        pytest.param(call(bbox_2d=[1, 2]), "calls[1].box_2d", id="half a box under another name"),
        pytest.param(call(point=[500, 500]), "calls[1].box_2d", id="a point"),
        pytest.param(call(avoid=[[0, 0, 500, 500], "x"]), "calls[1].avoid", id="no box to avoid"),
        pytest.param(
            call(box_2d=[0, 0, 500, 500], box=[500, 500, 900, 900]),
            "calls[1].box_2d",
            id="two boxes that differ",
        ),
        pytest.param(
            call(alternatives=[{"box_2d": [0, 0, 500, 500]}]), "calls[1]", id="a box elsewhere"
        ),
        pytest.param(7, "calls[1]", id="a number for a call"),
    ],
)
def test_a_bad_call_is_named_and_never_dropped(bad: object, where: str) -> None:
    with pytest.raises(Misfit) as caught:
        calls_of(call(), bad)
    assert caught.value.where == where
    assert caught.value.reason == f"does not fit: {where}"


def test_calls_to_target_0_beside_1_are_not_clear() -> None:
    with pytest.raises(Misfit, match=r"calls\[0\].target"):
        calls_of(call(target=0), call(target=1, concept="mass"))


def test_calls_and_targets_are_capped_and_not_repeated() -> None:
    many = [call(concept=f"polyp {n}") for n in range(6)]
    plan = to_plan(plan_answer(calls=many), GEMINI, WORDS)
    assert len(plan.calls) == 4
    assert plan.note == "2 calls left out, a round has room for 4"
    assert len(calls_of(*[call()] * 9)) == 1
    with pytest.raises(Misfit, match="at most 64"):
        calls_of(*[call()] * 65)
    targets = [{"label": f"organ {n}", "count": "one", "where": None} for n in range(6)]
    plan = to_plan(plan_answer(targets=targets), GEMINI, WORDS)
    assert len(plan.targets) == 4
    assert plan.note == "not looked for in this run: organ 4, organ 5"


def test_the_words_of_a_model_are_capped_and_clean() -> None:
    label = "a\x00b\ud800" + "x" * 500
    plan = to_plan(
        plan_answer(targets=[{"label": label, "count": "one", "where": None}], note="n" * 9999),
        GEMINI,
        WORDS,
    )
    assert len(plan.targets[0].label) == 60
    assert plan.targets[0].label.startswith("abx")
    assert len(plan.note) == 400


def test_a_target_without_a_call_is_named_by_its_label() -> None:
    assert to_plan(plan_answer(calls=[]), GEMINI, WORDS).targets[0].phrases == ("tumour",)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({}, id="empty"),
        pytest.param(plan_answer(decision="maybe"), id="unknown decision"),
        pytest.param(plan_answer(targets=7.5), id="targets are no list"),
        pytest.param(plan_answer(targets=[], calls=[]), id="segment what?"),
        pytest.param(plan_answer(targets=[{"label": ""}]), id="a target without a name"),
        pytest.param(plan_answer(modality=7), id="modality is no word"),
    ],
)
def test_a_plan_that_is_none_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(Misfit):
        to_plan(content, GEMINI, WORDS)


@pytest.mark.parametrize("decision", ["absent", "unclear"])
def test_a_plan_may_name_no_target_when_there_is_none(decision: str) -> None:
    plan = to_plan(plan_answer(decision=decision, targets=[], calls=[]), GEMINI, WORDS)
    assert (plan.decision, plan.targets, plan.calls) == (decision, (), ())


def inspected(**changes: Any) -> Any:
    return to_inspection(
        inspect_answer(**changes),
        GEMINI,
        targets=["t3", "t4"],
        panels={"M0": ("m1", "m9"), "M2": ("m2",)},
        labels=["optic disc", "optic cup"],
    )


def test_an_inspection_is_translated() -> None:
    inspection = inspected(calls=[call(target=2)], next="segment")
    (verdict,) = inspection.verdicts
    assert (verdict.candidate, verdict.verdict, verdict.by) == ("m2", "accept", "mllm")
    assert (verdict.issue, verdict.better_than_incumbent) == (Issue.NONE, "yes")
    assert inspection.complete == {"t3": True, "t4": False}
    assert [call.target for call in inspection.calls] == ["t4"]
    assert inspection.next == "segment"


def test_a_panel_s_verdict_goes_to_all_its_candidates() -> None:
    masks = [mask_answer("m0", "reject", "leak"), mask_answer("M0", "reject", "leak")]
    verdicts = inspected(masks=masks).verdicts
    assert [(verdict.candidate, verdict.verdict) for verdict in verdicts] == [
        ("m1", "reject"),
        ("m9", "reject"),
    ]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"masks": [mask_answer("M7", "accept")]}, "masks[0].id"),
        ({"masks": [mask_answer("M2", "lovely")]}, "masks[0].verdict"),
        ({"masks": [mask_answer("M2", "accept", "odd")]}, "masks[0].issue"),
        ({"masks": [mask_answer("M2", "accept"), mask_answer("M2", "reject")]}, "masks[1].id"),
        ({"masks": ["M2"]}, "masks[0]"),
        ({"masks": []}, "masks"),
        ({"complete": [9]}, "complete[0]"),
        ({"complete": [True]}, "complete[0]"),
        ({"complete": [1, [1, 2]]}, "complete[1]"),
        ({"next": "go"}, "next"),
        ({"boxes": [[1, 2, 300, 400]]}, "calls"),
        ({"masks": [{"id": "M2", "verdict": "reject", "box_2d": [1, 2, 300, 400]}]}, "masks[0]"),
        ({"calls": [call(target=3)]}, "calls[0].target"),
        ({"calls": [call(box_2d="left")]}, "calls[0].box_2d"),
    ],
)
def test_what_does_not_fit_in_an_inspection_is_named(
    changes: dict[str, object], where: str
) -> None:
    with pytest.raises(Misfit) as caught:
        inspected(**changes)
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("complete", "done"),
    [
        (["1"], (True, False)), ([1.0], (True, False)), (["t2"], (False, True)),
        ([0], (True, False)), ([0, 1], (True, True)), (2, (False, True)), (True, (True, True)),
        (False, (False, False)), (None, (False, False)), ({"1": False, "2": True}, (False, True)),
        (["cup"], (False, True)), ("disc", (True, False)),
    ],
)  # fmt: skip
def test_complete_targets_are_understood(complete: object, done: tuple[bool, bool]) -> None:
    assert tuple(inspected(complete=complete).complete.values()) == done


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"masks": [{"id": 2, "verdict": "Accepted", "better": "YES"}]}, id="number"),
        pytest.param({"masks": {"M2": {"verdict": "accept", "better": True}}}, id="by name"),
        pytest.param(
            {"masks": {"panel": "Panel M2 (yellow)", "verdict": "good", "better": "yes"}},
            id="a single one",
        ),
        pytest.param({"next": None}, id="no next"),
        pytest.param({"next": "DONE", "missing": "none", "calls": None}, id="other words"),
    ],
)
def test_an_inspection_in_other_words_says_the_same(changes: dict[str, object]) -> None:
    assert inspected(**changes) == inspected()


def test_a_list_of_verdicts_alone_is_an_inspection() -> None:
    found = to_inspection(
        [mask_answer("M2", "accept", better="yes")], GEMINI, targets=["t3"], panels={"M2": ("m2",)}
    )
    assert (found.verdicts, found.next) == (inspected().verdicts, "stop")


@pytest.mark.parametrize(
    ("said", "won"),
    [("A", "first"), ("B", "second"), ("same", "same"), ("Panel B", "second"), ("a", "first"),
     ("tie", "same"), ("second", "second")],
)  # fmt: skip
def test_a_comparison_s_winner_is_translated(said: str, won: str) -> None:
    assert to_winner({"better": said, "reason": None}) == won
    assert to_winner({"Winner": said}) == won
    assert to_winner(said) == won


def test_a_comparison_without_a_winner_is_refused() -> None:
    with pytest.raises(Misfit):
        to_winner({"better": "C", "reason": "x"})


Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [*call(), "label", "id", "verdict", "x", "y", "w", "h", "Boxes", "point", "calls"]
            ),
            inner,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(Json, max_size=4), st.lists(Json, max_size=4))
def test_no_content_breaks_the_translation(first: list[object], second: list[object]) -> None:
    with suppress(Misfit):
        to_plan(plan_answer(targets=first, calls=second), GEMINI, WORDS).model_dump_json()
    with suppress(Misfit):
        inspected(masks=first, calls=second, complete=first).model_dump_json()


@pytest.mark.parametrize(
    "schema",
    [
        *[plan_schema(style) for style in STYLES],
        *[inspect_schema(style) for style in STYLES],
        comparison_schema(),
    ],
)  # fmt: skip
def test_schemas_are_portable(schema: dict[str, object]) -> None:
    def walk(part: Any) -> None:
        if isinstance(part, list):
            for item in part:
                walk(item)
        if not isinstance(part, dict):
            return
        assert not {"$ref", "$defs", "default", "minItems", "maxItems"} & set(part)
        if part.get("type") == "object":
            assert part["required"] == list(part["properties"])
            assert part["additionalProperties"] is False
        for value in part.values():
            walk(value)

    walk(schema)


def test_sound_answers_fit_their_schemas() -> None:
    jsonschema_rs.validate(plan_schema(GEMINI_STYLE), plan_answer())
    jsonschema_rs.validate(inspect_schema(GEMINI_STYLE), inspect_answer())


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param([call(concept="1" * 3900, box_2d="1" * 3900)] * 24, id="digits"),
        pytest.param([call(concept="1," * 1900)] * 40, id="numbers in words"),
        pytest.param([call(box_2d="a" * 3900)] * 40, id="names"),
        pytest.param([call(boxes=[[1, 2, 3, 4]] * 14_000)], id="boxes"),
        pytest.param([call(x={"b": {"c": [1]}})] * 4000, id="objects"),
        pytest.param(["[[" * 1900] * 40, id="brackets"),
    ],
)
def test_hostile_calls_are_done_with_quickly(calls: list[object]) -> None:
    started = time.perf_counter()
    for read in (lambda: calls_of(*calls), lambda: inspected(calls=calls, targets=calls)):
        with suppress(Misfit):
            read()
    # A tenth of a second here; quadratic work took minutes.
    assert time.perf_counter() - started < 10.0

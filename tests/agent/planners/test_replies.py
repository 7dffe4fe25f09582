import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.drawing.layout import Size
from agent.errors import MllmReplyError
from agent.mllm.box_formats import (
    GEMINI_STYLE,
    PIXELS_STYLE,
    THOUSANDTHS_STYLE,
    BoxStyle,
    box_style,
)
from agent.mllm.json.schema import find_fault
from agent.planners.replies import (
    BoxCoordinates,
    from_box,
    phrase,
    to_box,
    to_calls,
    to_inspection,
    to_plan,
    to_winner,
)
from agent.planners.reply_schemas import comparison_schema, inspect_schema, plan_schema
from agent.schemas.rounds import Issue
from segmenter.contract import Box
from tests.agent.examples import inspect_answer, mask_answer, plan_answer

IMAGE, SHOWN = Size(400, 200), Size(800, 400)
STYLES = [GEMINI_STYLE, PIXELS_STYLE, THOUSANDTHS_STYLE]
GEMINI = BoxCoordinates(GEMINI_STYLE, SHOWN, IMAGE)
PIXELS = BoxCoordinates(PIXELS_STYLE, SHOWN, IMAGE)


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
        pytest.param([500, 600, 100, 200], GEMINI, (80, 20, 240, 100), id="swapped corners"),
        pytest.param([-50, 0, 1100, 1000], GEMINI, (0, 0, 400, 200), id="clipped"),
    ],
)  # fmt: skip
def test_boxes_are_translated_by_style(
    numbers: list[float], coordinates: BoxCoordinates, expected: tuple[float, ...]
) -> None:
    box = to_box(numbers, coordinates)
    assert box is not None
    assert box.as_tuple() == pytest.approx(expected)


@pytest.mark.parametrize(
    "value",
    [
        None, "x", [], [1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3, "4"], [True, 0, 500, 500],
        [5, 5, 5, 5], [0, 0, 1000, 0], [2000, 2000, 3000, 3000], [0, 0, 0, 0],
        [math.nan, 0, 500, 500], [0, 0, math.inf, 500], [[1, 2, 3, 4]], {"x0": 1}, [0, 0, 2, 2],
    ],
)  # fmt: skip
def test_a_bad_box_is_no_box(value: object) -> None:
    assert to_box(value, GEMINI) is None


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
    read = to_box(list(written), coordinates)
    assert read is not None
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
    box = to_box(numbers, BoxCoordinates(style, SHOWN, IMAGE))
    if box is not None:
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
    plan = to_plan(plan_answer(), GEMINI)
    (target,) = plan.targets
    (first,) = plan.calls
    assert (plan.decision, plan.modality, plan.note) == ("segment", "ultrasound", "")
    assert (target.id, target.label, target.phrases) == ("t1", "Tumour", ("breast tumor",))
    assert (target.count, target.where) == ("one", "upper left")
    assert (first.target, first.concept) == ("t1", "breast tumor")
    assert first.boxes[0].box.as_tuple() == pytest.approx((80, 20, 240, 100))


def test_only_the_field_the_model_was_asked_for_is_its_box() -> None:
    (only,) = to_calls([call(bbox_2d=[1, 2, 900, 900], box=[1, 2, 900, 900])], ["t1"], GEMINI)
    assert only.boxes == ()


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(call(target=2), id="no such target"),
        pytest.param(call(target=0), id="numbers start at 1"),
        pytest.param(call(target="1"), id="a number in words"),
        pytest.param(call(target=True), id="a truth is no number"),
        pytest.param(call(concept="?!"), id="no admissible concept"),
        pytest.param(call(concept="?!", box_2d=[0, 0, 500, 500]), id="not even with a box"),
        pytest.param(call(concept=None), id="neither concept nor box"),
        pytest.param(call(concept=7), id="a number for a concept"),
        pytest.param("polyp", id="a word for a call"),
        pytest.param(None, id="nothing"),
    ],
)
def test_a_bad_call_is_dropped_alone(bad: object) -> None:
    calls = to_calls([bad, call()], ["t1"], GEMINI)
    assert [call.concept for call in calls] == ["polyp"]


def test_a_bad_box_costs_the_box_and_not_the_call() -> None:
    (only,) = to_calls([call(box_2d=[1, 2], avoid=[[0, 0, 500, 500], "x"])], ["t1"], GEMINI)
    assert only.concept == "polyp"
    assert [box.label for box in only.boxes] == ["negative"]


def test_calls_and_targets_are_capped_and_not_repeated() -> None:
    many = [call(concept=f"polyp {n % 6}") for n in range(500)]
    assert len(to_calls(many, ["t1"], GEMINI)) == 4
    assert len(to_calls([call()] * 9, ["t1"], GEMINI)) == 1
    targets = [{"label": f"organ {n}", "count": "one", "where": None} for n in range(9)]
    assert len(to_plan(plan_answer(targets=targets), GEMINI).targets) == 4


def test_the_words_of_a_model_are_capped_and_clean() -> None:
    label = "a\x00b\ud800" + "x" * 500
    plan = to_plan(
        plan_answer(targets=[{"label": label, "count": "one", "where": None}], note="n" * 9999),
        GEMINI,
    )
    assert len(plan.targets[0].label) == 60
    assert plan.targets[0].label.startswith("abx")
    assert len(plan.note) == 400


def test_a_target_without_a_call_is_named_by_its_label() -> None:
    assert to_plan(plan_answer(calls=[]), GEMINI).targets[0].phrases == ("tumour",)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({}, id="empty"),
        pytest.param(plan_answer(decision="maybe"), id="unknown decision"),
        pytest.param(plan_answer(targets="x"), id="targets are no list"),
        pytest.param(plan_answer(targets=[]), id="segment what?"),
        pytest.param(plan_answer(targets=[{"label": ""}]), id="a target without a name"),
        pytest.param(plan_answer(modality=7), id="modality is no word"),
    ],
)
def test_a_plan_that_is_none_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(MllmReplyError):
        to_plan(content, GEMINI)


@pytest.mark.parametrize("decision", ["absent", "unclear"])
def test_a_plan_may_name_no_target_when_there_is_none(decision: str) -> None:
    plan = to_plan(plan_answer(decision=decision, targets=[], calls=[]), GEMINI)
    assert (plan.decision, plan.targets, plan.calls) == (decision, (), ())


def inspected(**changes: Any) -> Any:
    return to_inspection(
        inspect_answer(**changes),
        GEMINI,
        targets=["t3", "t4"],
        panels={"M0": ("m1", "m9"), "M2": ("m2",)},
    )


def test_an_inspection_is_translated() -> None:
    inspection = inspected(calls=[call(target=2)], next="segment")
    (verdict,) = inspection.verdicts
    assert (verdict.candidate, verdict.verdict, verdict.by) == ("m2", "accept", "mllm")
    assert (verdict.issue, verdict.better_than_incumbent) == (Issue.NONE, "yes")
    assert inspection.complete == {"t3": True, "t4": False}
    assert [call.target for call in inspection.calls] == ["t4"]
    assert inspection.next == "segment"


def test_a_panel_s_verdict_goes_to_all_its_candidates_and_wrong_ids_to_none() -> None:
    masks = [
        mask_answer("m0", "reject", "leak"),
        mask_answer("M0", "accept"),
        mask_answer("M7", "accept"),
        mask_answer("M2", "lovely"),
        "M2",
    ]
    verdicts = inspected(masks=masks).verdicts
    assert [(verdict.candidate, verdict.verdict) for verdict in verdicts] == [
        ("m1", "reject"),
        ("m9", "reject"),
    ]


@pytest.mark.parametrize("complete", [[True], ["1"], [9], [1.0], [None], [[1]]])
def test_odd_numbers_complete_nothing(complete: list[object]) -> None:
    assert inspected(complete=complete).complete == {"t3": False, "t4": False}


@pytest.mark.parametrize("change", [{"next": "go"}, {"masks": {}}, {"calls": None}])
def test_an_inspection_that_is_none_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(MllmReplyError):
        inspected(**change)


@pytest.mark.parametrize(("said", "won"), [("A", "first"), ("B", "second"), ("same", "same")])
def test_a_comparison_s_winner_is_translated(said: str, won: str) -> None:
    assert to_winner({"better": said, "reason": None}) == won


def test_a_comparison_without_a_winner_is_refused() -> None:
    with pytest.raises(MllmReplyError):
        to_winner({"better": "C", "reason": "x"})


Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["target", "concept", "box_2d", "avoid", "label", "id", "verdict"]),
            inner,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(Json, max_size=4), st.lists(Json, max_size=4))
def test_no_content_breaks_the_translation(first: list[object], second: list[object]) -> None:
    try:
        plan = to_plan(plan_answer(targets=first, calls=second), GEMINI)
        plan.model_dump_json()
    except MllmReplyError:
        pass
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
    assert find_fault(plan_answer(), plan_schema(GEMINI_STYLE)) is None
    assert find_fault(inspect_answer(), inspect_schema(GEMINI_STYLE)) is None

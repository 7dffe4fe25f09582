"""Whole runs with plans in the shapes in which models write them: the right box, or said why not.

Each body goes over a loopback server through the real SDK, the planner and the loop, to the tool.
The picture is of the size of ``api/samples/busi_tumor.jpg``; the right box is around its tumour.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from agent.contract import PlanQuestion
from agent.drawing.layout import fit
from agent.language.lexicon import load_lexicon
from agent.language.request import read_request
from agent.mllm.contract import Mllm
from agent.mllm.factory import build_mllm
from agent.planners.mllm import MllmPlanner
from agent.schemas.plan import Plan
from agent.schemas.rounds import Status, Usage
from agent.schemas.runs import RunRecord
from agent.service import AgentContext, AgentService
from agent.settings import AgentSettings, Prices
from segmenter.contract import BinaryMask, Capabilities, ImageRef, PromptResult
from tests.agent.doubles import (
    MODEL,
    MemoryImages,
    MemoryRecords,
    ScriptedSegmenter,
    found,
    request,
)
from tests.agent.loopback import (
    Loopback,
    Received,
    Step,
    gemini_answer,
    loopback,
    openai_answer,
    says,
    sends,
)

WIDTH, HEIGHT = 400, 331
# In pixels, and in thousandths of the sides.
RIGHT = (221, 152, 306, 212)
BOX = [552, 459, 765, 640]
Y_FIRST = [459, 552, 640, 765]
SHOWN_BOX = [side * fit(WIDTH, HEIGHT).width / WIDTH for side in RIGHT]
OTHER = [100, 100, 200, 200]
IMAGE = ImageRef(sha256="1" * 64, width=WIDTH, height=HEIGHT, format="png")
CAN = Capabilities(
    model=MODEL,
    concepts=None,
    prompts=("text", "box", "text+box"),
    negative_boxes=True,
    threshold=0.5,
)


def tumour() -> BinaryMask:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[RIGHT[1] : RIGHT[3], RIGHT[0] : RIGHT[2]] = True
    return mask


class Tool(ScriptedSegmenter):
    """Finds the tumour whatever it is asked."""

    def _answer(self, text: str | None, boxed: bool, threshold: float | None) -> PromptResult:
        return found(tumour())

    def boxes(self, label: str = "positive") -> set[tuple[int, ...]]:
        """All boxes it was asked with, in whole pixels."""
        return {
            tuple(round(side) for side in prompt.box.as_tuple())
            for request in self.requests
            for call in request.prompts
            for prompt in call.boxes
            if prompt.label == label
        }


def plan(**changes: Any) -> dict[str, Any]:
    return {
        "decision": "segment",
        "modality": "ultrasound",
        "targets": [{"label": "mass", "count": "one", "where": "centre right"}],
        "calls": [call()],
        "note": None,
        **changes,
    }


def call(**changes: Any) -> dict[str, Any]:
    return {"target": 1, "concept": "breast tumor", "bbox_2d": BOX, "avoid": [], **changes}


def boxed(value: object, key: str = "bbox_2d") -> dict[str, Any]:
    """A plan whose one call has its box under a key."""
    made = call()
    del made["bbox_2d"]
    return plan(calls=[{**made, key: value}])


def message(**fields: Any) -> dict[str, Any]:
    return openai_answer(None, **fields)


def answer(said: object) -> dict[str, Any]:
    return openai_answer(said if isinstance(said, str) else json.dumps(said))


def inspecting(received: Received) -> Step:
    """Accept every panel."""
    labels = [line.split(" ")[0] for line in received.words.splitlines() if line.startswith("M")]
    verdict = {"verdict": "accept", "issue": "none", "better_than_incumbent": "same"}
    masks = [{"id": label, **verdict} for label in labels]
    judged = {"masks": masks, "complete": [1], "missing": None, "next": "stop", "calls": []}
    return says(judged)(received)


def clinician(*plans: Step | dict[str, Any]) -> Callable[[Received], Step]:
    """Send the plans one by one, the last one again and again, and accept every panel."""
    left = list(plans)

    def speak(received: Received) -> Step:
        if "Judge every panel." in received.words:
            return inspecting(received)
        body = left.pop(0) if len(left) > 1 else left[0]
        return body if isinstance(body, Step) else sends(body)

    return speak


def local(wire: str, server: Loopback, model: str) -> Mllm:
    return build_mllm(
        "gemini" if wire == "gemini" else "openai",
        model=model,
        api_key=SecretStr("key"),
        base_url=server.url if wire == "gemini" else f"{server.url}/v1",
        retries=0,
    )


def run(
    server: Loopback, *, model: str = "qwen3-vl:8b", wire: str = "openai", **settings: Any
) -> tuple[RunRecord, Tool]:
    async def go() -> tuple[RunRecord, Tool]:
        mllm = local(wire, server, model)
        tool = Tool(can=CAN)
        pixels = np.full((HEIGHT, WIDTH, 3), 60, dtype=np.uint8)
        service = AgentService(
            AgentContext(
                segmenter=tool,
                images=MemoryImages(pixels),
                records=MemoryRecords(),
                planners={wire: MllmPlanner(mllm)},
                default_planner=wire,
                settings=AgentSettings(**settings),
            )
        )
        try:
            return await service.run(request("outline the mass", image=IMAGE)), tool
        finally:
            await mllm.aclose()

    return asyncio.run(go())


def plan_turns(server: Loopback) -> int:
    return sum("Judge every panel." not in received.words for received in server.received)


TEXT = json.dumps(plan())
ZERO = [{"label": "mass", "bbox_2d": BOX}]
USED = [
    # where the answer stands
    pytest.param(message(content="", reasoning_content=TEXT), id="reasoning_content"),
    pytest.param(message(content=" ", reasoning=f"Well.\n{TEXT}"), id="reasoning"),
    pytest.param(message(thinking=f"```json\n{TEXT}\n```"), id="thinking, fenced"),
    pytest.param(message(content=[{"type": "text", "text": TEXT}]), id="list of parts"),
    pytest.param(message(function_call={"name": "p", "arguments": TEXT}), id="function_call"),
    pytest.param(
        message(
            tool_calls=[
                {"function": {"name": "think", "arguments": '{"thought": "hm"}'}},
                {"function": {"name": "plan", "arguments": TEXT}},
            ]
        ),
        id="second tool call",
    ),
    pytest.param(
        message(
            tool_calls=[
                {"function": {"name": "segment", "arguments": json.dumps(call(target="mass"))}}
            ]
        ),
        id="a tool call that is one call of a plan",
    ),
    pytest.param(answer(f"<think>{TEXT}</think>"), id="only a thought"),
    pytest.param(answer(f"<think>a {{}}</think>```json\n{TEXT}\n```"), id="thought and fence"),
    pytest.param(answer(json.dumps(TEXT)), id="double encoded"),
    pytest.param(answer([plan()]), id="a list with one plan"),
    pytest.param(answer({"plan": plan()}), id="wrapped"),
    pytest.param(answer({"plan": plan(), "confidence": 0.9}), id="wrapped beside a number"),
    pytest.param(answer({"name": "plan", "arguments": plan()}), id="call in the text"),
    pytest.param(answer(TEXT[:-1]), id="a closer lacks"),
    pytest.param(answer(TEXT.replace("}]", "},]")), id="trailing comma"),
    pytest.param(answer("{" + TEXT + "}"), id="doubled braces"),
    pytest.param(answer(f"As for [R] and (a): {TEXT} (see {{}})"), id="brackets in prose"),
    # shapes of boxes
    pytest.param(answer(boxed("552, 459, 765, 640")), id="box as words"),
    pytest.param(answer(boxed("[552,459,765,640]")), id="box as JSON in words"),
    pytest.param(answer(boxed("<box>(552,459),(765,640)</box>")), id="tagged"),
    pytest.param(
        answer(boxed("<|box_start|>(552,459),(765,640)<|box_end|>")), id="tagged otherwise"
    ),
    pytest.param(answer(boxed("(552, 459) (765, 640)")), id="corners in words"),
    pytest.param(answer(boxed("x1=552, y1=459, x2=765, y2=640")), id="named in words"),
    pytest.param(answer(boxed("55.2%, 45.9%, 76.5%, 64.0%")), id="percent"),
    pytest.param(answer(boxed(["552", "459", "765", "640"])), id="numbers as words"),
    pytest.param(answer(boxed([552.0, 459.2, 764.9, 640.1])), id="fractions"),
    pytest.param(answer(boxed([0.552, 0.459, 0.765, 0.64])), id="shares"),
    pytest.param(answer(boxed([[552, 459], [765, 640]])), id="two corners"),
    pytest.param(answer(boxed([{"x": 552, "y": 459}, {"x": 765, "y": 640}])), id="two points"),
    pytest.param(
        answer(boxed([[552, 459], [765, 459], [765, 640], [552, 640]])), id="four corners"
    ),
    pytest.param(answer(boxed([[552, 459, 765, 640]])), id="list of one box"),
    pytest.param(answer(boxed({"x0": 552, "y0": 459, "x1": 765, "y1": 640})), id="x0"),
    pytest.param(answer(boxed({"x1": 552, "y1": 459, "x2": "765", "y2": "640"})), id="x1 x2"),
    pytest.param(
        answer(boxed({"xmin": 552, "ymin": 459, "xmax": 765, "ymax": 640})), id="xmin"
    ),
    pytest.param(
        answer(boxed({"left": 552, "top": 459, "right": 765, "bottom": 640})), id="left top"
    ),
    pytest.param(
        answer(boxed({"left": 552, "top": 459, "width": 213, "height": 181})), id="width height"
    ),
    pytest.param(answer(boxed({"x": 552, "y": 459, "w": 213, "h": 181})), id="x y w h"),
    pytest.param(answer(boxed({"cx": 658.5, "cy": 549.5, "w": 213, "h": 181})), id="middle"),
    pytest.param(
        answer(boxed({"top_left": [552, 459], "bottom_right": [765, 640]})), id="named corners"
    ),
    pytest.param(
        answer(plan(calls=[{"target": 1, "x_min": 552, "y_min": 459, "x_max": 765, "y_max": 640}])),
        id="corners in the call itself",
    ),
    pytest.param(answer(boxed([[[552, 459], [765, 640]]])), id="corners in a list"),
    pytest.param(answer(boxed({"box": {"coordinates": BOX}})), id="keys within keys"),
    pytest.param(answer(boxed([{"bbox_2d": BOX}])), id="the key again"),
    pytest.param(answer(boxed("0.552,0.459,0.765,0.64")), id="shares in words"),
    pytest.param(answer(boxed("left: 552px, top: 459px, right: 765px, bottom: 640px")), id="px"),
    pytest.param(answer(boxed([BOX, BOX])), id="the same box twice"),
    pytest.param(
        answer(boxed({"topLeft": {"x": 552, "y": 459}, "bottomRight": {"x": 765, "y": 640}})),
        id="corners as points",
    ),
    pytest.param(answer(plan(calls=json.dumps([call()]))), id="calls as JSON in words"),
    pytest.param(answer(plan(calls=[json.dumps(call())])), id="a call as JSON in words"),
    # neighbouring keys
    *[
        pytest.param(answer(boxed(BOX, key)), id=f"key {key}")
        for key in ("box", "bbox", "Bounding_Box", "boundingBox", "BBOX_2D", "coordinates", "boxes",
                    "location", "region", "area", "box1", "found_at")
    ],
    pytest.param(answer(boxed(Y_FIRST, "box_2d")), id="box_2d is y first"),
    pytest.param(answer(boxed([552, 459, 213, 181], "bbox_xywh")), id="bbox_xywh"),
    pytest.param(answer(plan(calls=[call(box=BOX)])), id="two keys that say the same"),
    # targets
    *[
        pytest.param(answer(plan(calls=[call(target=name)])), id=f"target {name!r}")
        for name in ("1", 1.0, "t1", "T1", "target 1", "mass", "Mass", 0, "0", [1], None)
    ],
    pytest.param(
        answer(plan(calls=[call(target={"label": "mass"})])), id="target as an object"
    ),
    pytest.param(answer(plan(targets=["mass"])), id="targets as words"),
    pytest.param(answer(plan(targets="mass")), id="one target as a word"),
    pytest.param(answer(plan(targets={"label": "mass"})), id="one target as an object"),
    pytest.param(
        answer(plan(targets=[{"name": "mass", "id": "A"}], calls=[call(target="A")])), id="ids"
    ),
    pytest.param(answer(plan(targets=ZERO, calls=[])), id="box on the target"),
    pytest.param(answer(plan(targets=[])), id="no targets"),
    # native grounding
    pytest.param(answer(ZERO), id="list of boxes with labels"),
    pytest.param(answer(f"```json\n{json.dumps(ZERO)}\n```"), id="the same in a fence"),
    pytest.param(answer(ZERO[0]), id="one box with a label"),
    pytest.param(answer({"objects": ZERO}), id="objects"),
    pytest.param(answer({"boxes": ZERO}), id="boxes"),
    pytest.param(answer({"detections": [{"class": "mass", "box": BOX}]}), id="detections"),
    pytest.param(answer([{"bbox_2d": BOX}]), id="without a label"),
    pytest.param(answer({"mass": {"bbox_2d": BOX}}), id="by label"),
    pytest.param(answer({"mass": BOX, "cyst": [OTHER]}), id="numbers by label"),
    pytest.param(answer({"result": {"bbox_2d": BOX}}), id="wrapped, without a label"),
    pytest.param(
        answer(f'<tool_call>{{"name": "segment", "arguments": {json.dumps(call())}}}</tool_call>'),
        id="a tagged call",
    ),
    pytest.param(
        answer([{"box_2d": Y_FIRST, "label": "mass", "mask": "data:image/png;base64,iVBO=="}]),
        id="with a mask",
    ),
    pytest.param(answer([{"box_2d": Y_FIRST, "label": "mass"}]), id="box_2d with a label"),
    pytest.param(answer({"decision": "segment", "label": "mass", "bbox": BOX}), id="flat"),
    pytest.param(
        answer(f"{json.dumps(ZERO[0])}\n{json.dumps({'label': 'cyst', 'bbox_2d': OTHER})}"),
        id="a line each",
    ),
    # fields
    pytest.param(answer({"calls": [{"bbox_2d": BOX, "concept": "mass"}]}), id="only calls"),
    pytest.param(
        answer({"targets": [{"label": "mass"}], "calls": [{"target": 1, "bbox_2d": BOX}]}),
        id="optional fields lack",
    ),
    pytest.param(
        answer({"DECISION": "Segment", "Calls": [call()], "Targets": ["mass"]}), id="capitals"
    ),
    pytest.param(answer(plan(targets=[{"label": "mass", "count": 1}])), id="count as a number"),
    pytest.param(answer(plan(calls=call())), id="one call without a list"),
    pytest.param(answer(plan(calls=[call(concept=["mass", "breast lesion"])])), id="two phrases"),
    pytest.param(answer(plan(extra={"thought": "x"})), id="additional field"),
    pytest.param(answer(plan(calls=[call(bbox_2d=[540, 459, 765, 1050])])), id="cut at the edge"),
    pytest.param(answer(plan(calls=[call(avoid=[None])])), id="nothing to avoid"),
    pytest.param(answer(plan(calls=[call(avoid="none")])), id="nothing to avoid, in words"),
    pytest.param(answer({"thought": "hm", "plan": plan(), "tools": []}), id="among other fields"),
    pytest.param(answer("\ufeff" + TEXT), id="byte order mark"),
    pytest.param(answer(f"<|channel|>final<|message|>{TEXT}<|end|>"), id="channel tags"),
    pytest.param(answer(plan(targets=[{"label": "mass", "count": "2-3"}])), id="2-3"),
    pytest.param(answer(plan(calls=[call(target="mass (centre right)")])), id="longer label"),
    pytest.param(answer(plan(modality=["ultrasound"], note=["a", "b"])), id="lists of words"),
    # languages
    pytest.param(
        answer(
            plan(
                decision="segmenter",
                targets=[{"label": "Raumforderung", "count": "eine", "where": "Mitte rechts"}],
            )
        ),
        id="German and French",
    ),
    pytest.param(answer(plan(decision="\u5206\u5272", targets=["\u80bf\u5757"])), id="Chinese"),
    pytest.param(answer(plan(calls=[call(concept="\u80bf\u7624")])), id="Chinese concept, a box"),
    pytest.param(answer(plan(calls=[call(concept="tumeur du sein")])), id="French concept, a box"),
]  # fmt: skip


def planned(server: Loopback) -> tuple[Plan, Usage]:
    async def go() -> tuple[Plan, Usage]:
        mllm = local("openai", server, "qwen3-vl:8b")
        pixels = np.full((HEIGHT, WIDTH, 3), 60, dtype=np.uint8)
        asked = PlanQuestion(
            request="outline the mass",
            intent=read_request("outline the mass", load_lexicon()),
            image=IMAGE,
            pixels=pixels,
            capabilities=CAN,
        )
        try:
            found = await MllmPlanner(mllm).plan(asked, timeout_s=10)
            return found.plan, found.usage
        finally:
            await mllm.aclose()

    return asyncio.run(go())


def boxes_of(made: Plan) -> set[tuple[int, ...]]:
    return {
        tuple(round(side) for side in prompt.box.as_tuple())
        for each in made.calls
        for prompt in each.boxes
    }


@pytest.mark.parametrize("body", USED)
def test_a_plan_is_used_in_whichever_shape_it_comes(body: dict[str, Any]) -> None:
    with loopback(sends(body)) as server:
        made, usage = planned(server)
    assert (len(server.received), usage.calls, made.decision) == (1, 1, "segment")
    assert boxes_of(made) & {RIGHT, (216, 152, 306, 331)}
    assert {each.target for each in made.calls} <= {target.id for target in made.targets}


def without(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: inner for name, inner in value.items() if name not in names}


BODIES = [
    pytest.param(message(content="", reasoning_content=TEXT), id="reasoning_content"),
    pytest.param(answer(boxed("552, 459, 765, 640")), id="box_string"),
    pytest.param(answer(boxed(BOX, "box")), id="key_box"),
    pytest.param(
        answer('```json\n[{"bbox_2d": [552, 459, 765, 640], "label": "breast tumor"}]\n```'),
        id="native_grounding",
    ),
    pytest.param(answer(plan(calls=[call(target=0)])), id="target_0"),
    pytest.param(
        answer(plan(targets=[{"label": "mass", "count": "one"}], calls=[without(call(), "avoid")])),
        id="missing_avoid_where",
    ),
]


@pytest.mark.parametrize("body", BODIES)
def test_a_whole_run_finds_by_the_right_box(body: dict[str, Any]) -> None:
    with loopback(clinician(body)) as server:
        record, tool = run(server)
    assert record.provenance.planner.fallbacks == ()
    assert plan_turns(server) == 1
    assert tool.boxes() == {RIGHT}
    assert record.status is Status.FOUND


REPEATED = (
    '{"decision":"segment","modality":"ultrasound","targets":[{"label":"mass","count":"one",'
    '"where":null,"label":"shadow","count":"one"}],"calls":[{"target":1,"concept":"breast tumor",'
    '"bbox_2d":[552,459,765,640],"avoid":[]}],"note":null}'
)
TWO_CALLS = json.dumps(plan(calls=[call(), call(concept="cyst", bbox_2d=OTHER)]))
ASKED_AGAIN = [
    pytest.param(openai_answer(TEXT[:150], "length"), "cut at the token limit", id="cut"),
    pytest.param(openai_answer(TEXT, "length"), "cut at the token limit", id="cut at its end"),
    pytest.param(answer(TEXT[: TEXT.index("640") + 2]), "no JSON", id="cut in a number"),
    pytest.param(answer("I see a mass at the right."), "no JSON", id="prose"),
    pytest.param(answer(REPEATED), "does not fit: targets[0].label", id="a key twice"),
    pytest.param(
        answer(TEXT.replace('"decision"', '"Decision": "absent", "decision"')),
        "does not fit: decision",
        id="a key twice, once in capitals",
    ),
    pytest.param(answer(f"{TEXT} or {json.dumps(boxed(OTHER))}"),
                 "does not fit: two answers that differ", id="two plans"),
    *[
        pytest.param(answer(boxed(box)), "does not fit: calls[0].bbox_2d", id=f"box {box}")
        for box in ("left", [552, 459, 765], [658, 549], {"x": 658, "y": 549}, [552, 459, 213, 181],
                    [5520, 4590, 7650, 6400], [552, 459, 552, 640], [1200, 100, 1300, 200])
    ],
    pytest.param(answer(boxed([658, 549], "point_2d")), "does not fit: calls[0].bbox_2d",
                 id="point"),
    pytest.param(answer(plan(calls=[call(box=OTHER)])), "does not fit: calls[0].bbox_2d",
                 id="two keys that differ"),
    pytest.param(answer(plan(calls=[call(), call(target=2)])), "does not fit: calls[1].target",
                 id="a target that is not there"),
    pytest.param(answer(plan(calls=[call(target=0), call(target=1, concept="cyst")])),
                 "does not fit: calls[0].target", id="from 0 or from 1"),
    pytest.param(answer(plan(calls=[call(target="shadow")])), "does not fit: calls[0].target",
                 id="another label"),
    pytest.param(answer(plan(targets=["mass", "cyst"], calls=[call(target=None)])),
                 "does not fit: calls[0].target", id="which of two"),
    pytest.param(answer(plan(targets=["left lung", "right lung"], calls=[call(target="lung")])),
                 "does not fit: calls[0].target", id="a label of two"),
    pytest.param(answer(plan(targets=[{"label": "mass", "location": BOX}])),
                 "does not fit: targets[0].where", id="a box for a place"),
    pytest.param(answer({**plan(), "detections": [{"label": "cyst", "box": OTHER}]}),
                 "does not fit: calls", id="calls and boxes beside them"),
    pytest.param(answer(plan(calls={"1": call()})), "does not fit: calls[0]", id="calls by name"),
    pytest.param(answer(TEXT.replace('"', "'")), "no JSON", id="single quotes"),
    pytest.param(answer("It is at [552, 459, 765, 640]."), "no JSON", id="numbers in prose"),
    pytest.param(answer(BOX), "no JSON", id="numbers alone"),
    pytest.param(answer(plan(targets=["liver", "spleen"], calls=[call(concept="spleen")])),
                 "does not fit: calls[0].target", id="a concept that is another target's label"),
    pytest.param(answer(plan(targets=["mass [552, 459, 765, 640]"], calls=[])),
                 "does not fit: targets[0].label", id="a box in a label"),
    pytest.param(answer(plan(targets=[{"label": "mass", "where": "552, 459, 765, 640"}])),
                 "does not fit: targets[0].where", id="a box in words on the place"),
    pytest.param(
        answer(plan(calls=[call(concept="mass <box>(552,459),(765,640)</box>", bbox_2d=None)])),
        "does not fit: calls[0].concept", id="a box in a concept"),
    pytest.param(answer(plan(calls=[call(avoid=[OTHER] * 5)])), "does not fit: calls[0].avoid",
                 id="too many to avoid"),
    pytest.param(answer(plan(calls=[call(avoid=["the shadow"])])), "does not fit: calls[0].avoid",
                 id="avoid in words"),
    pytest.param(answer(plan(calls=[call(concept="\u80bf\u7624", bbox_2d=None)])),
                 "does not fit: calls[0].concept", id="Chinese without a box"),
    pytest.param(answer(plan(decision="maybe")), "does not fit: decision", id="decision"),
    pytest.param(answer(plan(targets=[{"count": "one"}])), "does not fit: targets[0].label",
                 id="no label"),
    pytest.param(answer(plan(steps=[{"bbox_2d": OTHER}])), "does not fit: calls",
                 id="boxes elsewhere"),
    pytest.param(answer(TEXT.replace("[552", "[[552")), "no JSON", id="broken inside"),
    pytest.param(answer(TWO_CALLS[: TWO_CALLS.index("cyst")]), "no JSON", id="cut behind a call"),
    pytest.param(answer(f'{json.dumps(ZERO[0])}\n{{"label": "cyst", "bbox_2d": [100, 1'), "no JSON",
                 id="a line of two is cut"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), ASKED_AGAIN)
def test_what_does_not_fit_is_asked_again_and_named(body: dict[str, Any], reason: str) -> None:
    with loopback(sends(body), says(plan())) as server:
        made, usage = planned(server)
    assert (len(server.received), usage.calls) == (2, 2)
    assert boxes_of(made) == {RIGHT}
    with loopback(clinician(body)) as server:
        record, tool = run(server)
    assert plan_turns(server) == 2
    assert record.provenance.planner.fallbacks == (
        f"plan: openai failed (MllmReplyError: {reason}), rules took over",
    )
    assert tool.boxes() == set()


def test_a_label_given_twice_is_never_found() -> None:
    with loopback(clinician(answer(REPEATED))) as server:
        record, _ = run(server)
    assert [result.target.label for result in record.targets] == ["mass"]


def test_several_boxes_are_all_used() -> None:
    several = [
        answer(plan(calls=[call(bbox_2d=[BOX, OTHER])])),
        answer([{"label": "mass", "bbox_2d": BOX}, {"label": "Mass", "bbox_2d": OTHER}]),
        answer([{"label": "mass", "bbox_2d": BOX}, {"label": "cyst", "bbox_2d": OTHER}]),
        answer({"label": "mass", "boxes": [BOX, OTHER]}),
    ]
    for body in several:
        with loopback(clinician(body)) as server:
            record, tool = run(server)
        assert {RIGHT, (40, 33, 80, 66)} <= tool.boxes()
        assert record.provenance.planner.fallbacks == ()


@pytest.mark.parametrize(
    "avoid",
    [
        OTHER, [OTHER], "100, 100, 200, 200", [{"bbox_2d": OTHER, "label": "shadow"}],
        {"x0": 100, "y0": 100, "x1": 200, "y1": 200}, [[[100, 100], [200, 200]]],
        [{"box_2d": OTHER}],
    ],
)  # fmt: skip
def test_boxes_to_avoid_come_in_the_same_shapes(avoid: object) -> None:
    with loopback(clinician(answer(plan(calls=[call(avoid=avoid)])))) as server:
        _, tool = run(server)
    assert RIGHT in tool.boxes()
    assert tool.boxes("negative") == {(40, 33, 80, 66)}


@pytest.mark.parametrize(
    ("model", "key", "box"),
    [
        ("gemini-3.8-flash", "box_2d", Y_FIRST),
        ("gemini-3.8-flash", "box", Y_FIRST),
        ("gemini-3.8-flash", "bbox_2d", BOX),
        ("qwen2.5vl:7b", "bbox_2d", SHOWN_BOX),
        ("qwen2.5vl:7b", "bbox", SHOWN_BOX),
        ("qwen2.5vl:7b", "box_2d", Y_FIRST),
        ("gemini-3.8-flash", "box_2d", {"ymin": 459, "xmin": 552, "ymax": 640, "xmax": 765}),
        ("gemini-3.8-flash", "box_2d", "[459, 552, 640, 765]"),
    ],
)
def test_the_key_says_the_convention_where_the_family_s_differs(
    model: str, key: str, box: object
) -> None:
    with loopback(clinician(answer(boxed(box, key)))) as server:
        _, tool = run(server, model=model)
    (used,) = tool.boxes()
    assert used == pytest.approx(RIGHT, abs=1)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([{"text": "hm {}", "thought": True}, {"text": TEXT}], id="thought part"),
        pytest.param([{"text": TEXT[:50]}, {"text": TEXT[50:]}], id="several parts"),
        pytest.param([{"functionCall": {"name": "plan", "args": plan()}}], id="function call"),
        pytest.param([{"text": TEXT, "thought": True}], id="only a thought"),
    ],
)
def test_gemini_s_parts_are_read(parts: list[dict[str, Any]]) -> None:
    body = gemini_answer("")
    body["candidates"][0]["content"]["parts"] = parts
    with loopback(clinician(body)) as server:
        record, tool = run(server, wire="gemini", model="gemini-3.8-flash")
    assert record.provenance.planner.fallbacks == ()
    assert RIGHT in tool.boxes()


def test_a_concept_that_is_not_english_is_named_in_the_note() -> None:
    body = answer(plan(calls=[call(concept="\u80bf\u7624")], note="hard to see"))
    with loopback(clinician(body)) as server:
        record, tool = run(server)
    assert RIGHT in tool.boxes()
    assert record.plan is not None
    assert record.plan.note == "box used without the words: \u80bf\u7624; hard to see"


def test_failed_answers_are_paid_for() -> None:
    with loopback(clinician(answer("no idea"))) as server:
        record, _ = run(server, prices=Prices(input_per_million=1.0, output_per_million=2.0))
    usage = record.provenance.usage
    assert len(server.received) == usage.calls == 3
    assert (usage.input_tokens, usage.output_tokens) == (300, 75)
    assert record.provenance.cost == pytest.approx((300 + 2 * 75) / 1e6)


def test_failed_answers_count_against_the_budget() -> None:
    with loopback(clinician(answer("no idea"))) as server:
        record, _ = run(server, run_tokens=200)
    assert len(server.received) == record.provenance.usage.calls == 2
    assert record.provenance.planner.fallbacks == (
        "plan: openai failed (MllmReplyError: no JSON), rules took over",
        "inspect 1: the run's tokens were spent, rules took over",
    )


def test_a_refused_plan_says_so_and_is_paid_for() -> None:
    with loopback(clinician(message(refusal="I will not."))) as server:
        record, _ = run(server)
    assert record.provenance.planner.fallbacks == (
        "plan: openai failed (MllmRefused: refused), rules took over",
    )
    assert record.provenance.usage.input_tokens == 100 * len(server.received)


def test_an_error_of_ours_holds_nothing_that_a_model_wrote() -> None:
    said = plan(calls=[call(target="Jane Doe", Doe={"x": 1})])
    with loopback(clinician(answer(said))) as server:
        record, _ = run(server)
    assert "Doe" not in str(record.provenance)

import asyncio

from agent.schemas.plan import Call
from agent.schemas.rounds import Status
from agent.schemas.runs import Edit, RunRecord
from segmenter.contract import BoxPrompt, PromptResult
from tests.agent.doubles import (
    MIDDLE,
    ScriptedPlanner,
    ScriptedSegmenter,
    World,
    box,
    found,
    judging,
    plan_for,
    request,
    square,
    target,
)

NAMES = ("optic disc", "optic cup", "nuclei", "lungs")
SPOT = square(2, 2, 12, 12)


def test_a_reopened_target_keeps_its_mask_beside_a_full_plan() -> None:
    answers: dict[str, PromptResult] = {"polyp": found(MIDDLE)}
    answers |= {name: found(SPOT) for name in NAMES}
    planner = ScriptedPlanner(plan_for(target("polyp")), [judging("accept")] * 4)
    world = World(ScriptedSegmenter(answers), planner)
    first = asyncio.run(world.service.run(request("outline the polyp")))
    planner._plan = plan_for(*(target(name, id=f"t{n}") for n, name in enumerate(NAMES, 1)))
    text = "also the optic disc, the optic cup, the nuclei and the lungs"
    here = Edit(action="box", box=box(18, 18, 42, 42), label="polyp")
    again = request(text, image=None, thread_id=first.thread_id, edits=(here,))
    record: RunRecord = asyncio.run(world.service.run(again))
    polyp = next(one for one in record.targets if one.target.label == "polyp")
    assert polyp.masks
    assert polyp.status is Status.FOUND
    assert record.plan is not None
    assert record.plan.targets[0].label == "polyp"
    assert record.plan.note == "not looked for in this run: lungs"
    thread = asyncio.run(world.service.thread_record(first.thread_id))
    assert "polyp" in {one.target.label for one in thread.targets}


def test_no_reopened_target_is_ever_cut_off() -> None:
    answers = {name: found(SPOT) for name in (*NAMES, "polyp", "prostate")}
    planner = ScriptedPlanner(
        plan_for(*(target(name, id=f"t{n}") for n, name in enumerate(NAMES, 1))),
        [judging("accept")] * 6,
    )
    world = World(ScriptedSegmenter(answers), planner)
    first = asyncio.run(world.service.run(request("the first four")))
    planner._plan = plan_for(target("polyp"))
    more = {"image": None, "thread_id": first.thread_id}
    asyncio.run(world.service.run(request("also the polyp", **more)))
    planner._plan = plan_for(target("prostate"))
    edits = tuple(Edit(action="reject", mask_id=f"m{n}") for n in range(1, 6))
    record = asyncio.run(world.service.run(request("also the prostate", edits=edits, **more)))
    assert {one.target.label for one in record.targets} == {*NAMES, "polyp"}
    assert record.plan is not None
    assert record.plan.note == "not looked for in this run: prostate"


def test_a_box_of_the_plan_that_has_no_room_is_named() -> None:
    corners = [(2, 2), (40, 2), (2, 40), (40, 40)]
    calls = tuple(
        Call(target="t1", concept="polyp", boxes=(BoxPrompt(box=box(x, y, x + 20, y + 20)),))
        for x, y in corners
    )
    world = World(
        ScriptedSegmenter({"polyp": found(SPOT)}),
        ScriptedPlanner(plan_for(target(), calls=calls), [judging("accept")]),
    )
    record = asyncio.run(world.service.run(request(box=box(20, 20, 40, 40))))
    assert record.plan is not None
    assert record.plan.note == "boxes of the plan not used in the first round: 1"
    assert len(record.plan.calls) == 4

"""Duplicates: what is judged again, and what inherits a word."""

import asyncio

from agent.schemas.plan import Call
from agent.schemas.rounds import Status
from agent.schemas.runs import Edit, RunRecord
from segmenter.contract import PromptResult
from tests.agent.doubles import (
    MIDDLE,
    Judge,
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

OTHER, CORNER, FAR = square(5, 5, 20, 20), square(1, 1, 9, 9), square(50, 50, 60, 60)


def run(world: World, text: str, **changes: object) -> RunRecord:
    return asyncio.run(world.service.run(request(text, **changes)))


def test_a_repeat_of_an_old_mask_that_nobody_judged_is_judged() -> None:
    pair = PromptResult(
        masks=(*found(MIDDLE).masks, *found(OTHER, joint=0.88).masks), concept=None, presence=0.9
    )
    answers = {"optic disc": pair, "optic disc+box": found(OTHER), "box": found(OTHER)}
    world = World(ScriptedSegmenter(answers))
    first = run(world, "outline the optic disc")
    assert [mask.candidate.id for mask in first.targets[0].masks] == ["m1"]
    edits = (Edit(action="reject", mask_id="m1"), Edit(action="box", box=box(4, 4, 21, 21)))
    record = run(world, "not this", image=None, thread_id=first.thread_id, edits=edits)
    (mask,) = record.targets[0].masks
    assert mask.candidate.mask.box.x0 == 5.0
    assert (record.status, mask.verdict) == (Status.FOUND, "accept")
    judged = {one.candidate for done in record.rounds for one in done.inspection.verdicts}
    assert judged == {name for done in record.rounds for name in done.candidates}


def rejecting() -> list[Judge]:
    calls = (Call(target="t1", concept="optic disc"), Call(target="t1", concept="optic cup"))
    wrong = "wrong_structure"
    return [
        judging("reject", issue=wrong, next="segment", calls=calls),
        judging("reject", issue=wrong, next="absent"),
    ]


def test_two_calls_with_the_same_mask_do_not_silence_the_vote_for_absence() -> None:
    phrases = ("polyp", "skin lesion", "optic disc", "optic cup")
    calls = (Call(target="t1", concept="polyp"), Call(target="t1", concept="skin lesion"))
    planner = ScriptedPlanner(plan_for(target("polyp", phrases=phrases), calls=calls), rejecting())
    answers = {
        "polyp": found(CORNER),
        "skin lesion": found(CORNER),
        "optic disc": found(FAR),
        "optic cup": found(FAR),
    }
    record = run(World(ScriptedSegmenter(answers), planner), "outline the polyp", max_rounds=2)
    assert record.status is Status.NOT_FOUND
    for done in record.rounds:
        assert len(done.candidates) == 2
        assert {one.candidate for one in done.inspection.verdicts} == set(done.candidates)

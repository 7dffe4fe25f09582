import asyncio

import pytest

from agent.state import Call, RunEvent, RunRecord, ThreadRecord
from tests.agent.doubles import (
    MIDDLE,
    ScriptedPlanner,
    ScriptedSegmenter,
    World,
    found,
    judging,
    plan_for,
    request,
    square,
    target,
)

SMALL = square(26, 26, 34, 34)


async def broken_off(world: World, thread_id: str) -> None:
    """Cancel a run of the thread in its second round."""
    reached = asyncio.Event()

    async def watch(event: RunEvent) -> None:
        if event.name == "run.segment.started" and event.number == 2:
            reached.set()
            await asyncio.sleep(60)

    asked = request("outline the polyp", image=None, thread_id=thread_id)
    task = asyncio.create_task(world.service.run(asked, watch=watch))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_the_target_of_a_cancelled_run_keeps_its_id_to_itself() -> None:
    again = judging("partial", issue="too_small", next="segment")
    planner = ScriptedPlanner(
        plan_for(target("optic disc")), [judging("accept"), again, judging("accept")]
    )
    world = World(ScriptedSegmenter({"optic disc": found(MIDDLE), "polyp": found(SMALL)}), planner)

    async def talk() -> tuple[ThreadRecord, RunRecord]:
        first = await world.service.run(request("outline the optic disc"))
        planner._plan = plan_for(target("polyp"), calls=(Call(target="t1", concept="polyp"),))
        await broken_off(world, first.thread_id)
        thread = await world.service.thread_record(first.thread_id)
        asked = request("outline the polyp", image=None, thread_id=first.thread_id)
        return thread, await world.service.run(asked)

    thread, record = asyncio.run(talk())
    assert {one.target for one in thread.candidates} == {"t1", "t2"}
    assert thread.next_target == 3
    # The same call is new for the new target, so the polyp is found this time.
    assert [(one.target.id, len(one.masks)) for one in record.targets] == [("t1", 1), ("t3", 1)]

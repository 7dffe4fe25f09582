import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agent.conversation.opening import Opening
from agent.loop.context import RunContext, Tools
from agent.loop.graph import walk
from agent.loop.state import AgentState
from agent.planners.rules import RulesPlanner
from agent.runs.answered import NO_ROOM, answered
from agent.runs.result import to_record
from agent.runs.threads import append_run
from agent.schemas.intent import Intent, Question, Thing
from agent.schemas.rounds import Status
from agent.schemas.runs import RunRecord, ThreadRecord
from agent.settings import AgentSettings, Budget
from segmenter.memory_budget import PLENTY_BYTES, WorkingMemory
from tests.agent.doubles import (
    MIDDLE,
    Clock,
    MemoryImages,
    ScriptedSegmenter,
    found,
    image_ref,
    nothing,
    request,
    square,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
THREAD = ThreadRecord(id="thr_" + "0" * 32, created_at=NOW, image=image_ref())
POLYP = Thing(words="polyp", terms=("polyp",))
HOW_LARGE = Intent(find=(POLYP,), questions=(Question(topic="area"),))


def run(
    intent: Intent,
    segmenter: ScriptedSegmenter,
    *,
    thread: ThreadRecord = THREAD,
    memory_bytes: int = PLENTY_BYTES,
) -> RunRecord:
    """Carry out what a request means and answer its questions."""
    tools = Tools(
        segmenter=segmenter,
        images=MemoryImages(),
        rules=RulesPlanner(),
        settings=AgentSettings(),
        clock=Clock(),
    )
    opening = Opening(intent=intent, kept=thread.targets, candidates=thread.candidates)
    context = RunContext(
        run_id="run_" + "0" * 32,
        request=request("outline the polyp"),
        image=image_ref(),
        thread=thread,
        opening=replace(opening, looked_for=intent.find, asks_planner=bool(intent.find)),
        planner=tools.rules,
        tools=tools,
        budget=Budget(seconds=60.0),
    )

    async def carry_out() -> RunRecord:
        state: AgentState = {}
        async for step in walk(context):
            state = step
        record = to_record(state, context, thread=thread, created_at=NOW)
        return await answered(record, context, thread, WorkingMemory(memory_bytes))

    return asyncio.run(carry_out())


def test_a_question_is_answered_from_the_masks_of_its_run() -> None:
    # 20 x 20.
    record = run(HOW_LARGE, ScriptedSegmenter({"polyp": found(MIDDLE)}))
    assert record.answer == (
        "polyp (m1): area 400 px. The pixel spacing of this picture is not known."
    )


def test_a_request_without_a_question_has_no_answer() -> None:
    intent = HOW_LARGE.model_copy(update={"questions": ()})
    assert run(intent, ScriptedSegmenter({"polyp": found(MIDDLE)})).answer == ""


def test_a_question_about_what_was_not_found_says_so() -> None:
    record = run(HOW_LARGE, ScriptedSegmenter({"polyp": nothing()}))
    assert record.targets[0].status is Status.NOT_FOUND
    assert record.answer == "polyp: looked for and not found, so there is nothing to measure."


def test_a_later_question_changes_no_mask_and_asks_the_tool_nothing() -> None:
    first = run(HOW_LARGE, ScriptedSegmenter({"polyp": found(MIDDLE)}))
    thread = append(THREAD, first)
    segmenter = ScriptedSegmenter()
    record = run(Intent(questions=(Question(topic="size"),)), segmenter, thread=thread)
    assert segmenter.requests == []
    assert [mask.candidate for mask in record.targets[0].masks] == list(first.candidates)
    assert record.answer.startswith("polyp (m1): area 400 px, longest diameter 28.3 px")


def test_a_thread_remembers_what_stood_before_a_change() -> None:
    first = run(HOW_LARGE, ScriptedSegmenter({"polyp": found(MIDDLE)}))
    before = append(THREAD, first)
    smaller = run(HOW_LARGE, ScriptedSegmenter({"polyp": found(square(20, 20, 30, 40))}))
    (result,) = smaller.targets
    (mask,) = result.masks
    renamed = mask.model_copy(update={"candidate": mask.candidate.model_copy(update={"id": "m2"})})
    changed = result.model_copy(update={"masks": (renamed,)})
    after = append(before, smaller.model_copy(update={"targets": (changed,)}))
    asked = Intent(questions=(Question(topic="difference"),))
    assert run(asked, ScriptedSegmenter(), thread=after).answer == (
        "polyp (m2): area 200 px now, 400 px before: 200 px (50.0 %) less. The pixel spacing of"
        " this picture is not known."
    )


def test_questions_are_not_answered_without_memory_and_the_run_stands() -> None:
    record = run(HOW_LARGE, ScriptedSegmenter({"polyp": found(MIDDLE)}), memory_bytes=1)
    assert record.answer == NO_ROOM
    assert record.status is Status.FOUND


@pytest.mark.parametrize("topic", ["size", "presence", "why", "names", "ratio"])
def test_a_question_with_nothing_outlined_has_an_answer(topic: str) -> None:
    question = Question.model_validate({"topic": topic})
    assert run(Intent(questions=(question,)), ScriptedSegmenter()).answer


def append(thread: ThreadRecord, record: RunRecord) -> ThreadRecord:
    return append_run(thread, record, next_mask=2, rejected=())

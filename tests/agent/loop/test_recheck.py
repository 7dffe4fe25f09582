"""A find that plain words do not support counts only if most looks agree on it."""

import asyncio

import pytest

from agent.loop.recheck import decide
from agent.schemas.plan import Call
from agent.schemas.rounds import Inspection, Status, Verdict
from agent.schemas.runs import RunRecord
from segmenter.contract import BoxPrompt
from tests.agent.doubles import (
    MIDDLE,
    Judge,
    ScriptedPlanner,
    ScriptedSegmenter,
    World,
    box,
    found,
    judging,
    nothing,
    plan_for,
    request,
    target,
)

WHERE = (BoxPrompt(box=box(16, 16, 48, 48)),)


def run(*words: str, plain: bool) -> tuple[RunRecord, ScriptedPlanner]:
    """Box a polyp that plain words find or do not find, with a judge that says these words."""
    judges: list[Judge] = [judging(word, next="stop") for word in words]  # type: ignore[arg-type]
    planner = ScriptedPlanner(
        plan_for(target(), calls=(Call(target="t1", concept=None, boxes=WHERE),)), judges
    )
    answers = {"polyp": found(MIDDLE) if plain else nothing(), "box": found(MIDDLE)}
    world = World(ScriptedSegmenter(answers), planner)
    return asyncio.run(world.service.run(request(max_rounds=1))), planner


def test_what_plain_words_find_is_looked_at_once() -> None:
    record, planner = run("accept", plain=True)
    assert record.status is Status.FOUND
    assert len(planner.looks) == 1


@pytest.mark.parametrize(
    ("words", "found_it"),
    [
        (("accept", "accept"), True),
        (("accept", "reject", "reject"), False),
        (("accept", "reject", "accept"), True),
        (("partial", "accept"), True),
        (("reject",), False),
    ],
)
def test_what_only_a_box_found_needs_two_looks_of_three(
    words: tuple[str, ...], found_it: bool
) -> None:
    record, planner = run(*words, plain=False)
    assert (record.status is Status.FOUND) is found_it
    assert len(planner.looks) == len(words)
    assert len({view.seed for view in planner.looks}) == len(words)
    assert record.provenance.usage.calls == 1 + len(words)


def test_a_second_look_takes_nothing_from_other_masks() -> None:
    def said(**words: str) -> Inspection:
        verdicts = [
            Verdict.model_validate({"candidate": name, "verdict": word})
            for name, word in words.items()
        ]
        return Inspection(verdicts=tuple(verdicts), next="stop", complete={"t1": True})

    first, second = said(m1="accept", m2="accept"), said(m1="reject", m2="reject")
    decided = decide([first, second, second], frozenset({"m2"}))
    assert [one.verdict for one in decided.verdicts] == ["accept", "reject"]
    assert decided.complete == {}
    assert decided.next == "segment"

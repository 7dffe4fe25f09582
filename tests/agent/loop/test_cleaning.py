import asyncio
from typing import Literal

import pytest

from agent.loop.cleaning import tidy
from agent.loop.state import RoundResult
from agent.schemas.plan import Target
from agent.schemas.rounds import Candidate, Verdict
from agent.schemas.runs import ResultMask, RunRecord
from segmenter.contract import BinaryMask
from segmenter.masks.rle import decode
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
    to_mask,
)
from tests.agent.loop.test_graph import run_context

Word = Literal["accept", "partial", "reject"]
DIRTY = (MIDDLE | square(60, 60, 62, 62)) & ~square(30, 30, 31, 31)


def world(mask: BinaryMask, wanted: Target, *, word: Word = "accept") -> World:
    planner = ScriptedPlanner(plan_for(wanted), [judging(word)])
    return World(ScriptedSegmenter({"polyp": found(mask)}), planner)


def run(on: World, text: str = "outline the polyp", **changes: object) -> RunRecord:
    return asyncio.run(on.service.run(request(text, **changes)))


def only(record: RunRecord) -> ResultMask:
    (mask,) = record.targets[0].masks
    return mask


def area_of(candidate: Candidate) -> int:
    return int(decode(candidate.mask.rle).sum())


def test_one_thing_is_cleaned_and_the_record_says_how() -> None:
    record = run(world(DIRTY, target(count="one")))
    mask = only(record)
    assert (mask.candidate.id, mask.candidate.derived_from) == ("m2", "m1")
    assert (area_of(mask.candidate), mask.candidate.mask.area_px) == (400, 400)
    assert mask.verdict == "accept"
    win = record.rounds[-1].wins[-1]
    assert (win.old, win.new) == (("m1",), ("m2",))
    assert win.note == "specks of 4 px removed, holes of 1 px filled"
    assert record.message == f"polyp: found, 1 mask; {win.note}."
    assert {candidate.id: area_of(candidate) for candidate in record.candidates} == {
        "m1": 403,
        "m2": 400,
    }


@pytest.mark.parametrize(
    ("mask", "count", "word"),
    [
        pytest.param(DIRTY, "several", "accept", id="several things"),
        pytest.param(DIRTY, "unknown", "accept", id="one or several"),
        pytest.param(DIRTY, "one", "reject", id="rejected"),
        pytest.param(MIDDLE, "one", "accept", id="nothing to clean"),
    ],
)
def test_other_masks_stay_as_the_tool_gave_them(mask: BinaryMask, count: str, word: Word) -> None:
    record = run(world(mask, target(count=count), word=word))
    assert [candidate.id for candidate in record.candidates] == ["m1"]
    assert all(win.note == "" for done in record.rounds for win in done.wins)


def test_what_only_a_box_points_at_may_be_several_things() -> None:
    on = World(ScriptedSegmenter({"box": found(DIRTY)}))
    record = run(on, "outline it", box=box(18, 18, 63, 63))
    assert only(record).candidate.id == "m1"


@pytest.mark.parametrize(
    ("by", "issue", "expected"),
    [
        pytest.param("rules", "none", "m2", id="judged by rules"),
        pytest.param("mllm", "leak", "m2", id="judged by a model"),
        pytest.param("client", "none", "m1", id="accepted by a person"),
        pytest.param("client", "fragmented", "m1", id="accepted by a person all the same"),
    ],
)
def test_a_mask_that_a_person_accepted_is_never_cleaned(by: str, issue: str, expected: str) -> None:
    on, word = run_context(ScriptedSegmenter()), {"candidate": "m1", "verdict": "accept"}
    whole = Candidate(
        id=on.new_id(), target="t1", round=1, call=0, concept="polyp", mask=to_mask(DIRTY)
    )
    on.add(whole)
    verdicts = {"m1": Verdict.model_validate(word | {"by": by, "issue": issue})}
    answers = RoundResult(number=1, calls=(), candidates=("m1",), reasons=(), presence=(), known=())
    standing, latest, wins = tidy(
        {"t1": ("m1",)}, verdicts, on, targets=[target(count="one")], answers=answers
    )
    assert standing == {"t1": (expected,)}
    assert len(wins) == (expected == "m2")
    assert latest[expected].issue == issue


def test_a_mask_of_an_earlier_round_is_not_cleaned_again() -> None:
    on = run_context(ScriptedSegmenter())
    on.add(
        Candidate(
            id=on.new_id(), target="t1", round=1, call=0, concept="polyp", mask=to_mask(DIRTY)
        )
    )
    verdicts = {"m1": Verdict(candidate="m1", verdict="accept")}
    answers = RoundResult(number=2, calls=(), candidates=(), reasons=(), presence=(), known=())
    standing, _, wins = tidy(
        {"t1": ("m1",)}, verdicts, on, targets=[target(count="one")], answers=answers
    )
    assert (standing, wins) == ({"t1": ("m1",)}, [])

import asyncio
from typing import Any, Literal

import pytest

from agent.runs.captions import result_masks, round_tiles, round_title, state_of
from agent.schemas.rounds import Candidate, Status
from agent.schemas.runs import ResultMask, RunRecord
from tests.agent.doubles import (
    MIDDLE,
    SPACING,
    ScriptedPlanner,
    ScriptedSegmenter,
    World,
    found,
    image_ref,
    judging,
    nothing,
    picture,
    plan_for,
    request,
    square,
    target,
    to_mask,
)

Word = Literal["accept", "partial", "reject"]


def run(answers: dict[str, Any], word: Word, *, issue: str = "none", **changes: Any) -> RunRecord:
    wanted = target(count=changes.pop("count", "one"))
    planner = ScriptedPlanner(plan_for(wanted), [judging(word, issue=issue)])
    return asyncio.run(World(ScriptedSegmenter(answers), planner).service.run(request(**changes)))


def result_mask(**changes: Any) -> ResultMask:
    mask = Candidate(id="m1", target="t1", round=1, call=0, concept="polyp", mask=to_mask(MIDDLE))
    values = {"candidate": mask, "label": "polyp", "verdict": "accept"}
    return ResultMask.model_validate(values | changes)


@pytest.mark.parametrize(
    ("changes", "status", "expected"),
    [
        pytest.param({}, Status.FOUND, ("", "solid"), id="accepted"),
        pytest.param({"verdict": "partial"}, Status.FOUND, ("partial", "dashed"), id="partial"),
        pytest.param({}, Status.UNCERTAIN, ("uncertain", "dashed"), id="uncertain"),
        pytest.param({"verdict": None}, Status.UNCERTAIN, ("uncertain", "dashed"), id="unjudged"),
        pytest.param(
            {"verdict": "reject"}, Status.UNCERTAIN, ("rejected", "dotted"), id="rejected"
        ),
        pytest.param({"by": "client"}, Status.UNCERTAIN, ("", "solid"), id="accepted by a person"),
    ],
)
def test_what_is_in_doubt_is_said_and_drawn_with_gaps(
    changes: dict[str, Any], status: Status, expected: tuple[str, str]
) -> None:
    assert state_of(result_mask(**changes), status) == expected


@pytest.mark.parametrize(
    ("word", "spacing", "detail"),
    [
        pytest.param("accept", None, "400 px", id="no spacing, no millimetres"),
        pytest.param("accept", SPACING, "400 mm2", id="a known spacing"),
        pytest.param("partial", None, "partial, 400 px", id="with its state"),
    ],
)
def test_a_label_says_what_a_mask_is_and_how_large(word: Word, spacing: Any, detail: str) -> None:
    record = run({"polyp": found(MIDDLE)}, word, image=image_ref(spacing=spacing))
    (drawn,) = result_masks(record)
    assert (drawn.label, drawn.detail) == ("m1 polyp", detail)
    assert (drawn.mask == MIDDLE).all()


def test_a_round_is_told_with_its_number_ids_and_verdicts() -> None:
    record = run({"polyp": found(MIDDLE)}, "reject", issue="wrong_structure")
    done = record.rounds[0]
    assert round_title(record, done).startswith("round 1 of 1, judged by the model")
    (tile,) = round_tiles(record, done, picture())
    assert tile.heading == "asked: polyp"
    assert tile.remark == "m1 rejected: wrong structure"
    assert [(mask.label, mask.detail, mask.line) for mask in tile.masks] == [
        ("m1", "rejected: wrong structure", "dotted")
    ]


def test_a_round_says_what_stands_after_it_and_what_was_cleaned() -> None:
    record = run({"polyp": found(MIDDLE | square(60, 60, 62, 62))}, "accept")
    title = round_title(record, record.rounds[0])
    assert title.endswith("now stands: polyp m2 (specks of 4 px removed)")
    (tile,) = round_tiles(record, record.rounds[0], picture())
    assert [mask.label for mask in tile.masks] == ["m1"], "shows what was judged"


def test_a_call_that_gave_nothing_says_why() -> None:
    record = run({"polyp": nothing()}, "accept")
    tiles = round_tiles(record, record.rounds[0], picture())
    assert tiles[0].masks == ()
    assert tiles[0].remark == "found none"


def test_many_masks_are_counted_by_verdict() -> None:
    spots = [square(x, 2, x + 6, 8) for x in range(0, 60, 10)]
    record = run({"polyp": found(*spots)}, "accept", count="several")
    (tile,) = round_tiles(record, record.rounds[0], picture())
    assert tile.remark == "6 accepted"
    assert [mask.label for mask in tile.masks] == [f"m{n}" for n in range(1, 7)]

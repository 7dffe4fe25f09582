import asyncio

import numpy as np
import pytest

from agent.conversation.checks import fit_boxes
from agent.errors import InvalidRequest
from agent.schemas.rounds import Status
from agent.schemas.runs import Edit, RunRecord
from segmenter.contract import Box, PromptResult
from tests.agent.doubles import (
    MIDDLE,
    SIZE,
    ScriptedSegmenter,
    World,
    box,
    found,
    image_ref,
    request,
    square,
)


def run(world: World, text: str, **changes: object) -> RunRecord:
    return asyncio.run(world.service.run(request(text, **changes)))


def shown(record: RunRecord) -> dict[str, list[float]]:
    return {
        one.target.label: [mask.candidate.mask.box.x0 for mask in one.masks]
        for one in record.targets
    }


@pytest.mark.parametrize(
    ("given", "fitted"),
    [
        (box(4, 4, 20, 20), box(4, 4, 20, 20)),
        (box(-1, 4, 20, SIZE + 1), box(0, 4, 20, SIZE)),
        (box(-500, -500, 500, 500), box(0, 0, SIZE, SIZE)),
    ],
    ids=["inside", "over by a pixel", "larger than the image"],
)
def test_a_box_is_cut_to_the_image_once(given: Box, fitted: Box) -> None:
    asked = request(box=given, edits=(Edit(action="box", box=given),))
    done = fit_boxes(asked, image_ref())
    assert (done.box, done.edits[0].box) == (fitted, fitted)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (box(500, 500, 600, 600), "lies outside of the image of 64 x 64 pixels"),
        (box(SIZE, 0, SIZE + 9, 9), "lies outside of the image of 64 x 64 pixels"),
        (box(4, 4, 7, 40), "covers less than 4 x 4 pixels of the image of 64 x 64 pixels"),
        (box(-9, 4, 2, 40), "covers less than 4 x 4 pixels of the image of 64 x 64 pixels"),
    ],
    ids=["far away", "beside the edge", "tiny", "hardly inside"],
)
@pytest.mark.parametrize("field", ["box", "edits[1].box"])
def test_a_box_that_shows_nothing_is_refused_in_a_thread_too(
    given: Box, words: str, field: str
) -> None:
    world = World(ScriptedSegmenter({"polyp": found(MIDDLE)}))
    first = run(world, "outline the polyp")
    edits = (Edit(action="accept", mask_id="m1"), Edit(action="box", box=given))
    changes: dict[str, object] = {"box": given} if field == "box" else {"edits": edits}
    with pytest.raises(InvalidRequest, match=words) as told:
        run(world, "look here", image=None, thread_id=first.thread_id, **changes)
    assert told.value.field == field
    assert len(world.segmenter.requests) == 1


def test_a_box_over_the_edge_by_a_pixel_still_counts_as_the_callers() -> None:
    answers = {"polyp": found(MIDDLE), "polyp+box": found(square(0, 18, 42, 42), joint=0.8)}
    record = run(World(ScriptedSegmenter(answers)), "outline the polyp", box=box(-1, 18, 42, 42))
    assert shown(record) == {"polyp": [0.0]}


def test_a_box_drawn_for_one_target_says_nothing_of_another() -> None:
    answers = {"optic cup": found(square(4, 4, 12, 12)), "optic disc": found(MIDDLE)}
    world = World(ScriptedSegmenter(answers))
    first = run(world, "outline the optic cup")
    drawn = Edit(action="box", box=box(2, 2, 14, 14), label="optic cup")
    record = run(
        world, "also the optic disc", image=None, thread_id=first.thread_id, edits=(drawn,)
    )
    assert shown(record) == {"optic cup": [4.0], "optic disc": [20.0]}
    asked = world.segmenter.requests[1].prompts
    assert not any(prompt.boxes for prompt in asked if prompt.text == "optic disc")
    verdicts = [one for done in record.rounds for one in done.inspection.verdicts]
    assert "wrong_structure" not in {one.issue.value for one in verdicts}


def nuclei() -> PromptResult:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    for row in range(2, 60, 10):
        for column in range(2, 60, 10):
            mask[row : row + 5, column : column + 5] = True
    return found(mask)


def test_a_box_around_one_of_several_is_an_example_and_no_limit() -> None:
    world = World(ScriptedSegmenter({"nuclei": nuclei()}))
    record = run(world, "outline the nuclei", box=box(12, 12, 17, 17))
    assert record.status is Status.FOUND
    assert shown(record) == {"nuclei": [2.0]}


@pytest.mark.parametrize(
    ("mask", "status"),
    [
        (square(30, 30, 34, 34), Status.FOUND),
        (square(10, 10, 60, 60), Status.FOUND),
        (square(2, 2, 9, 9), Status.UNCERTAIN),
        (square(8, 8, 60, 60) & ~square(15, 15, 50, 50), Status.UNCERTAIN),
    ],
    ids=["small in a large box", "larger than the box", "elsewhere", "around the box"],
)
def test_a_mask_is_elsewhere_when_its_pixels_are(mask: np.ndarray, status: Status) -> None:
    wanted = box(20, 20, 45, 45)
    world = World(ScriptedSegmenter({"optic disc": found(mask), "box": found(mask)}))
    prompts = {"optic disc": found(mask), "optic disc+box": found(mask)}
    world.segmenter.answers = prompts
    record = run(world, "outline the optic disc", box=wanted)
    issues = {v.issue.value for done in record.rounds for v in done.inspection.verdicts}
    assert ("wrong_structure" in issues) == (status is Status.UNCERTAIN)

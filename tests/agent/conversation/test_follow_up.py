import asyncio

import pytest

from agent.errors import InvalidRequest, ThreadBusy, ThreadNotFound
from agent.language.lexicon import load_lexicon
from agent.language.request import read_request
from agent.schemas.rounds import Status
from agent.schemas.runs import RunRecord, ThreadRecord
from segmenter.contract import PromptResult
from segmenter.errors import JobFailed
from tests.agent.doubles import (
    MIDDLE,
    ScriptedPlanner,
    ScriptedSegmenter,
    World,
    box,
    capabilities,
    found,
    image_ref,
    judging,
    plan_for,
    request,
    square,
    target,
)

LEFT, RIGHT, SMALL = square(4, 10, 24, 54), square(40, 10, 60, 54), square(26, 26, 34, 34)
ANSWERS = {
    "optic disc": found(MIDDLE),
    "optic cup": found(SMALL),
    "lungs": found(LEFT | RIGHT),
    "polyp": found(MIDDLE),
    "polyp+box": found(SMALL),
    "box": found(SMALL, joint=0.8),
}


class Talk:
    """A conversation on one image."""

    def __init__(
        self,
        first: str,
        *,
        answers: dict[str, PromptResult] | None = None,
        planner: ScriptedPlanner | None = None,
        **changes: object,
    ) -> None:
        can = capabilities(**changes)
        self.world = World(ScriptedSegmenter(answers or ANSWERS, can=can), planner)
        self.first = asyncio.run(self.world.service.run(request(first)))

    def say(self, text: str, **changes: object) -> RunRecord:
        asked = request(text, image=None, thread_id=self.first.thread_id, **changes)
        return asyncio.run(self.world.service.run(asked))

    @property
    def thread(self) -> ThreadRecord:
        return asyncio.run(self.world.service.thread_record(self.first.thread_id))


def shown(record: RunRecord) -> dict[str, list[str]]:
    return {one.target.label: [mask.candidate.id for mask in one.masks] for one in record.targets}


@pytest.mark.parametrize(
    ("text", "masks", "acts"),
    [
        ("mask 2 is wrong", ("m2",), ["wrong"]),
        ("M2 and m3 are not right", ("m2", "m3"), ["wrong"]),
        ("remove masks 1, 2 and 4", ("m1", "m2", "m4"), ["drop"]),
        ("mask 3 is good", ("m3",), ["accept"]),
        ("keep only mask 1", ("m1",), ["keep"]),
        ("tighter, please", (), ["tighter"]),
        ("the outline is too big", (), ["tighter"]),
        ("make it larger", (), ["bigger"]),
        ("it is too small", (), ["bigger"]),
        ("also the optic cup", (), []),
        ("only the left one", (), ["keep"]),
    ],
)
def test_a_follow_up_says_what_is_to_happen_to_which_masks(
    text: str, masks: tuple[str, ...], acts: list[str]
) -> None:
    operations = read_request(text, load_lexicon()).operations
    assert [operation.act for operation in operations] == acts
    assert all(operation.masks == masks for operation in operations)


def test_also_something_keeps_what_was_found_and_goes_on_counting() -> None:
    talk = Talk("optic disc")
    record = talk.say("also the optic cup")
    assert shown(record) == {"optic disc": ["m1"], "optic cup": ["m2"]}
    assert [one.target.id for one in record.targets] == ["t1", "t2"]
    assert talk.world.segmenter.asked() == [["optic disc"], ["optic cup"]]


def test_a_wrong_mask_goes_and_never_comes_back() -> None:
    talk = Talk("polyp", concepts=None)
    record = talk.say("mask 1 is wrong")
    assert "m1" not in shown(record)["polyp"]
    last = {mask.candidate.mask.box for one in record.targets for mask in one.masks}
    assert talk.first.targets[0].masks[0].candidate.mask.box not in last
    assert "m1" in talk.thread.rejected
    again = talk.say("outline the polyp again")
    assert all(
        mask.candidate.mask.rle != talk.first.candidates[0].mask.rle
        for one in again.targets
        for mask in one.masks
    )


def test_a_wrong_mask_sends_the_tool_on_to_what_was_not_tried() -> None:
    talk = Talk("polyp", concepts=None)
    before = [word for asked in talk.world.segmenter.asked() for word in asked]
    talk.say("mask 1 is wrong")
    after = [word for asked in talk.world.segmenter.asked()[1:] for word in asked]
    assert after
    assert not set(before) & set(after[:1])


def test_the_other_targets_stay_when_one_mask_is_wrong() -> None:
    talk = Talk("optic disc and cup")
    record = talk.say("mask 2 is wrong")
    assert shown(record)["optic disc"] == ["m1"]
    assert shown(record)["optic cup"] == []


def test_a_removed_mask_takes_its_target_along_without_a_new_call() -> None:
    talk = Talk("optic disc and cup")
    record = talk.say("remove mask 2")
    assert shown(record) == {"optic disc": ["m1"]}
    assert len(talk.world.segmenter.requests) == 1


def test_a_target_can_be_removed_by_its_name() -> None:
    talk = Talk("optic disc and cup")
    assert shown(talk.say("remove the cup")) == {"optic disc": ["m1"]}


@pytest.mark.parametrize(
    ("text", "left_edge"),
    [("only the left one", 40.0), ("only the one on the left of the image", 4.0)],
    ids=["the patient's", "the image's"],
)
def test_one_side_is_picked_out_of_what_is_there_without_a_new_call(
    text: str, left_edge: float
) -> None:
    talk = Talk("both lungs on this chest X-ray")
    record = talk.say(text)
    (mask,) = record.targets[0].masks
    assert mask.candidate.mask.box.x0 == left_edge
    assert (mask.verdict, mask.by) == ("accept", "client")
    assert len(talk.world.segmenter.requests) == 1


def test_the_largest_is_picked_out_of_what_is_there() -> None:
    pieces = found(square(2, 2, 10, 10) | square(30, 30, 60, 60))
    talk = Talk("nuclei", answers={"nuclei": pieces})
    (mask,) = talk.say("keep the largest").targets[0].masks
    assert mask.candidate.mask.area_px == 900


@pytest.mark.parametrize(
    ("text", "area", "said"),
    [
        ("tighter please", 18 * 18, "shrunk by the usual step, 1 px: 400 -> 324 px"),
        ("bigger", 22 * 22 - 4, "grown by the usual step, 1 px: 400 -> 480 px"),
    ],
)
def test_a_step_without_an_amount_goes_the_way_it_was_asked_for(
    text: str, area: int, said: str
) -> None:
    talk = Talk("polyp")
    record = talk.say(text)
    (mask,) = record.targets[0].masks
    assert (mask.candidate.mask.area_px, mask.candidate.derived_from) == (area, "m1")
    assert said in record.message
    assert len(talk.world.segmenter.requests) == 1


def test_an_accepted_edit_stands_above_any_model() -> None:
    planner = ScriptedPlanner(
        plan_for(target()),
        [judging("partial"), judging("accept", better="yes")],
        ["second", "first"],
    )
    talk = Talk("polyp", planner=planner)
    record = talk.say("fine", edits=[{"action": "accept", "mask_id": "m1"}])
    (mask,) = record.targets[0].masks
    assert (mask.candidate.id, mask.verdict, mask.by) == ("m1", "accept", "client")
    assert len(planner.looks) == 1


def test_a_rejected_edit_takes_the_mask_away() -> None:
    talk = Talk("optic disc and cup")
    record = talk.say("ok", edits=[{"action": "reject", "mask_id": "m1"}])
    assert shown(record)["optic disc"] == []
    assert shown(record)["optic cup"] == ["m2"]


def test_a_mask_whose_target_is_gone_can_still_be_accepted() -> None:
    talk = Talk("optic disc and cup")
    talk.say("remove the cup")
    record = talk.say("ok", edits=[{"action": "accept", "mask_id": "m2"}])
    assert shown(record) == {"optic disc": ["m1"], "optic cup": ["m2"]}


def test_a_person_may_take_a_rejection_back() -> None:
    talk = Talk("optic disc and cup")
    talk.say("ok", edits=[{"action": "reject", "mask_id": "m1"}])
    record = talk.say("ok", edits=[{"action": "accept", "mask_id": "m1"}])
    assert shown(record)["optic disc"] == ["m1"]
    assert talk.thread.rejected == ()


def test_a_box_edit_for_something_new_makes_a_target_of_its_own() -> None:
    talk = Talk("optic disc")
    where = {"x0": 24, "y0": 24, "x1": 36, "y1": 36}
    record = talk.say("and this", edits=[{"action": "box", "box": where, "label": "Zorblax"}])
    assert [one.target.id for one in record.targets] == ["t1", "t2"]
    assert shown(record)["optic disc"] == ["m1"]
    assert talk.world.segmenter.asked()[1][0] == "box"


def test_a_box_edit_is_used_for_the_target_it_names() -> None:
    talk = Talk("optic disc and cup", answers={**ANSWERS, "optic cup+box": found(LEFT)})
    where = {"x0": 4, "y0": 10, "x1": 24, "y1": 54}
    record = talk.say("here", edits=[{"action": "box", "box": where, "label": "optic cup"}])
    assert shown(record)["optic disc"] == ["m1"]
    assert talk.world.segmenter.asked()[1][0] == "optic cup+box"


def test_a_box_in_a_later_request_is_for_the_last_target() -> None:
    talk = Talk("polyp")
    talk.say("look here", box=box(24, 24, 36, 36))
    assert talk.world.segmenter.asked()[1] == ["polyp+box", "box"]


@pytest.mark.parametrize(
    "edit",
    [{"action": "reject", "mask_id": "m99"}, {"action": "accept"}, {"action": "box"}],
    ids=["no such mask", "no mask", "no box"],
)
def test_an_edit_that_makes_no_sense_is_refused(edit: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as told:
        Talk("polyp").say("ok", edits=[edit])
    assert told.value.field == "edits"


@pytest.mark.parametrize("text", ["mask 9 is wrong", "remove mask 9", "only mask 9"])
def test_a_mask_that_is_not_there_is_said_so_and_nothing_changes(text: str) -> None:
    talk = Talk("optic disc and cup")
    with pytest.raises(InvalidRequest, match="no mask 'm9'"):
        talk.say(text)
    assert [len(one.masks) for one in talk.thread.targets] == [1, 1]


def test_a_planner_is_told_what_is_kept_and_may_name_it_again() -> None:
    planner = ScriptedPlanner(plan_for(target()), [judging("accept"), judging("accept")])
    talk = Talk("polyp", planner=planner)
    record = talk.say("anything else you see there?")
    assert [one.target.label for one in planner.questions[1].kept] == ["polyp"]
    assert [one.target.id for one in record.targets] == ["t1"]


def test_a_failed_run_leaves_the_thread_as_it_was() -> None:
    talk = Talk("polyp")
    before = talk.thread.targets
    talk.world.segmenter.failures = [JobFailed("died")]
    assert talk.say("only the cup").status is Status.FAILED
    assert talk.thread.targets == before


def test_a_thread_shows_one_image() -> None:
    talk = Talk("polyp")
    with pytest.raises(InvalidRequest) as told:
        asyncio.run(
            talk.world.service.run(
                request("cup", image=image_ref("another"), thread_id=talk.first.thread_id)
            )
        )
    assert told.value.field == "image"


def test_a_thread_keeps_its_runs_and_words() -> None:
    talk = Talk("optic disc")
    second = talk.say("also the optic cup")
    assert talk.thread.runs == (talk.first.id, second.id)
    assert talk.thread.requests == ("optic disc", "also the optic cup")
    assert (talk.thread.next_mask, talk.thread.next_target) == (3, 3)


def test_a_busy_thread_takes_no_second_run() -> None:
    talk = Talk("polyp")
    asyncio.run(talk.world.records.put_new(f"lock:{talk.first.thread_id}", b"another", ttl_s=1.0))
    with pytest.raises(ThreadBusy):
        talk.say("also the cup")
    with pytest.raises(ThreadBusy):
        asyncio.run(talk.world.service.erase_thread(talk.first.thread_id))


def test_an_erased_thread_takes_its_runs_and_its_image_along() -> None:
    talk = Talk("polyp")
    asyncio.run(talk.world.service.erase_thread(talk.first.thread_id))
    assert talk.world.records.records == {}
    assert talk.world.images.gone == [talk.first.image.sha256]
    with pytest.raises(ThreadNotFound):
        talk.say("again")

"""What operations do with masks, by intents made by hand and a scripted model."""

import numpy as np
import pytest

from agent.schemas.intent import Intent, Operation
from agent.schemas.rounds import Status
from segmenter.contract import PromptResult, Spacing
from tests.agent.conversation.by_hand import ByHand, ask, covered, do, find, shown, thing
from tests.agent.doubles import ScriptedSegmenter, capabilities, found, image_ref, square

DISC, CUP = square(10, 10, 50, 50), square(20, 20, 40, 40)
LEFT, RIGHT = square(4, 10, 24, 54), square(40, 10, 60, 54)
THREE = square(2, 2, 10, 10) | square(30, 2, 60, 20) | square(40, 50, 64, 60)
disc, cup = thing("disc", "optic disc"), thing("cup", "optic cup")
polyp, lungs = thing("polyp"), thing("lung", "lungs")
ANSWERS = {
    "optic disc": found(DISC),
    "optic cup": found(CUP),
    "lungs": found(LEFT | RIGHT),
    "polyp": found(square(20, 20, 40, 40)),
    "left ventricle": found(square(10, 10, 20, 20)),
    "right ventricle": found(square(30, 30, 40, 40)),
    "myocardium": found(square(44, 44, 60, 60)),
}


def talk(*first: Intent, answers: dict[str, PromptResult] | None = None, **image: object) -> ByHand:
    thread = ByHand(ScriptedSegmenter(answers or ANSWERS), image=image_ref("picture", **image))
    for intent in first:
        thread.say(intent)
    return thread


def test_keeping_one_thing_leaves_it_alone() -> None:
    three = [thing(one) for one in ("left ventricle", "right ventricle", "myocardium")]
    thread = talk(find(*three))
    run = thread.say(do("keep", three[0]))
    assert shown(run) == {"left ventricle": [100]}
    assert "removed right ventricle" in run.message.lower()
    assert thread.calls == 1


def test_what_is_to_be_kept_and_is_not_there_is_looked_for() -> None:
    run = talk(find(disc)).say(do("keep", cup))
    assert shown(run) == {"optic cup": [400]}


def test_keep_and_drop_in_one_request() -> None:
    operations = (Operation(act="keep", things=(cup,)), Operation(act="drop", things=(disc,)))
    run = talk(find(disc, cup)).say(Intent(operations=operations))
    assert shown(run) == {"optic cup": [400]}


def test_what_is_not_there_cannot_be_removed_and_nothing_is_added() -> None:
    thread = talk(find(cup))
    run = thread.say(do("drop", disc))
    assert shown(run) == {"optic cup": [400]}
    assert "Nothing to remove: no disc is outlined." in run.message
    assert thread.calls == 1


def test_a_removed_thing_is_said_and_is_no_error() -> None:
    run = talk(find(polyp)).say(do("drop", polyp))
    assert (shown(run), run.status, run.needs_review) == ({}, Status.FOUND, False)
    assert run.message == "Removed polyp."


def test_everything_can_be_removed() -> None:
    run = talk(find(disc, cup)).say(do("clear"))
    assert (shown(run), run.status) == ({}, Status.FOUND)
    assert '"undo" brings it back' in run.message


@pytest.mark.parametrize("standing", [True, False], ids=["in a thread", "at once"])
def test_one_thing_is_subtracted_from_another(standing: bool) -> None:
    subtract = do("subtract", disc, minus=(cup,), find=() if standing else (disc,))
    thread = talk(*([find(disc, cup)] if standing else []))
    run = thread.say(subtract)
    assert np.array_equal(covered(run, "optic disc"), DISC & ~CUP)
    assert "optic disc without optic cup: 1,600 -> 1,200 px" in run.message.lower()
    # What was looked for only to be subtracted is not shown.
    assert ("optic cup" in shown(run)) == standing


def test_what_is_subtracted_and_not_found_changes_nothing() -> None:
    answers = {"optic disc": found(DISC)}
    run = talk(answers=answers).say(do("subtract", disc, minus=(cup,), find=(disc,)))
    assert shown(run)["optic disc"] == [1600]
    assert "nothing was subtracted" in run.message.lower()


def test_one_lung_and_then_both_again() -> None:
    thread = talk(find(lungs))
    only = thread.say(do("keep", which={"side": "left", "frame": "image"}))
    assert np.array_equal(covered(only, "lungs"), LEFT)
    other = thing("lung", "lungs", side="right", frame="image")
    both = thread.say(do("add", other))
    assert np.array_equal(covered(both, "lungs"), LEFT | RIGHT)
    assert thread.calls == 1


def test_the_patients_left_is_taken_where_the_picture_has_a_convention_and_is_said() -> None:
    run = talk(find(lungs)).say(do("keep", which={"side": "left"}))
    assert np.array_equal(covered(run, "lungs"), RIGHT)
    assert "on the image's right (the patient's left)" in run.message


@pytest.mark.parametrize(
    ("act", "more", "area", "said"),
    [
        ("grow", {"amount": 2, "unit": "px"}, 24 * 24 - 12, "grown by 2 px: 400 -> 564 px"),
        ("shrink", {"amount": 2, "unit": "px"}, 16 * 16, "shrunk by 2 px: 400 -> 256 px"),
        ("grow", {"amount": 10, "unit": "percent"}, 440, "grown by 10 % of its area"),
        ("shrink", {"amount": 1, "unit": "mm"}, 16 * 16, "shrunk by 1 mm"),
        ("shrink", {"amount": 0.1, "unit": "cm"}, 16 * 16, "shrunk by 0.1 cm"),
        ("bigger", {}, 480, "by the usual step, 1 px"),
        ("tighter", {}, 18 * 18, "by the usual step, 1 px"),
    ],
)
@pytest.mark.parametrize("at_once", [False, True], ids=["in a thread", "at once"])
def test_an_outline_is_edited_by_an_amount(
    act: str, more: dict[str, object], area: int, said: str, at_once: bool
) -> None:
    spacing = Spacing(row_mm=0.5, column_mm=0.5, source="PixelSpacing")
    thread = talk(*([] if at_once else [find(polyp)]), spacing=spacing)
    run = thread.say(do(act, find=(polyp,) if at_once else (), **more))  # type: ignore[arg-type]
    assert shown(run) == {"polyp": [area]}
    (mask,) = run.targets[0].masks
    assert mask.candidate.derived_from == "m1"
    assert said in run.message
    assert thread.calls == 1


def test_millimetres_of_an_unknown_spacing_change_nothing() -> None:
    run = talk(find(polyp)).say(do("grow", amount=5, unit="mm"))
    assert shown(run) == {"polyp": [400]}
    assert "the pixel size of this image is not known" in run.message


def test_an_edit_that_would_leave_nothing_is_not_made() -> None:
    run = talk(find(polyp)).say(do("shrink", amount=30, unit="px"))
    assert shown(run) == {"polyp": [400]}
    assert "nothing of it would be left" in run.message


def test_every_mask_of_a_target_is_edited() -> None:
    thread = talk(find(polyp), answers={"polyp": found(THREE)})
    before = shown(thread.say(do("split")))["polyp"]
    assert [before, shown(thread.say(do("shrink", amount=1)))["polyp"]] == [
        [540, 240, 64],
        # 28 x 16; 23 x 8, for the picture's border cuts the second off; 6 x 6.
        [448, 184, 36],
    ]


def test_a_removal_is_said_once() -> None:
    operations = (Operation(act="keep", things=(cup,)), Operation(act="drop", things=(disc,)))
    run = talk(find(disc, cup)).say(Intent(operations=operations))
    assert run.message == "Removed optic disc. optic cup: found, 1 mask."


def test_it_is_what_was_spoken_of_last() -> None:
    thread = talk(find(disc), find(cup))
    assert shown(thread.say(do("tighter"))) == {"optic disc": [1600], "optic cup": [324]}
    thread.say(do("tighter", disc))
    assert shown(thread.say(do("bigger")))["optic cup"] == [324]


def test_the_second_largest_of_one_is_not_invented() -> None:
    thread = talk(find(polyp))
    run = thread.say(do("keep", which={"rank": "largest", "nth": 2, "limit": 1}))
    assert shown(run) == {"polyp": [400]}
    assert run.status is Status.UNCERTAIN
    assert "only one was found for polyp" in run.message


@pytest.mark.parametrize(
    ("which", "areas"),
    [
        ({"rank": "largest", "nth": 2, "limit": 1}, [240]),
        ({"place": "top"}, [540, 64]),
        ({"border": "clear"}, [540, 64]),
        ({"rank": "largest", "limit": 2}, [540, 240]),
    ],
)
@pytest.mark.parametrize("at_once", [False, True], ids=["in a thread", "at once"])
def test_some_of_several_are_picked(
    which: dict[str, object], areas: list[int], at_once: bool
) -> None:
    answers = {"polyp": found(THREE)}
    if at_once:
        run = talk(answers=answers).say(find(thing("polyp", **which)))
    else:
        run = talk(find(polyp), answers=answers).say(do("keep", which=which))
    assert sorted(shown(run)["polyp"], reverse=True) == areas


def test_what_touches_the_border_is_removed_from_what_is_found_at_once() -> None:
    nuclei = thing("nucleus", "nuclei")
    drop = do("drop", find=(nuclei,), which={"border": "touching"})
    run = talk(answers={"nuclei": found(THREE)}).say(drop)
    assert sorted(shown(run)["nuclei"]) == [64, 540]
    assert "removed 1 of 3 masks of nuclei" in run.message.lower()


def test_every_object_gets_its_own_mask_and_they_can_be_joined_again() -> None:
    thread = talk(answers={"nuclei": found(THREE)})
    nuclei = thing("nucleus", "nuclei")
    assert shown(thread.say(do("split", find=(nuclei,)))) == {"nuclei": [540, 240, 64]}
    assert shown(thread.say(do("merge"))) == {"nuclei": [844]}


def test_labels_are_swapped() -> None:
    run = talk(find(disc, cup)).say(do("swap", disc, minus=(cup,)))
    assert shown(run) == {"optic cup": [1600], "optic disc": [400]}


def test_a_wrong_mask_goes_for_good_and_an_accepted_one_stays() -> None:
    thread = talk(find(disc, cup))
    run = thread.say(do("wrong", masks=("m2",)))
    assert shown(run)["optic cup"] == []
    assert thread.thread.rejected == ("m2",)
    kept = thread.say(do("accept", disc))
    assert kept.targets[0].masks[0].by == "client"


def test_looking_again_lowers_the_threshold_even_where_nothing_stands() -> None:
    thread = talk(find(polyp), answers={"polyp": found(square(20, 20, 40, 40), joint=0.15)})
    assert not thread.thread.targets
    run = thread.say(do("retry"))
    assert "looked again for polyp, with a lower threshold" in run.message.lower()
    assert run.rounds[0].calls[0].threshold == 0.18


def test_a_box_in_words_is_for_the_target_in_question() -> None:
    box = {"x0": 24, "y0": 24, "x1": 36, "y1": 36}
    thread = talk(find(disc), find(polyp))
    run = thread.say(do("box", box=box))
    assert [call.target for done in run.rounds for call in done.calls] == ["t2", "t2"]
    assert all(call.boxes for done in run.rounds for call in done.calls)


def test_a_question_changes_no_mask_and_asks_nothing() -> None:
    thread = talk(find(polyp))
    run = thread.say(ask("size"))
    assert (shown(run), thread.calls) == ({"polyp": [400]}, 1)
    assert "does not say what to outline" not in run.message


def test_what_a_question_needs_is_looked_for() -> None:
    assert shown(talk(find(disc)).say(ask("ratio", cup, disc)))["optic cup"] == [400]


def test_talk_looks_for_nothing_and_says_what_can_be_done() -> None:
    thread = talk()
    run = thread.say(Intent(talk="greeting"))
    assert thread.calls == 0
    assert "this model knows breast tumor, polyp" in run.message


def test_what_was_not_understood_makes_the_run_uncertain_and_is_named() -> None:
    run = talk().say(find(polyp, not_understood=("like a star",)))
    assert (run.status, run.needs_review) == (Status.UNCERTAIN, True)
    assert run.message.endswith('Not understood: "like a star".')


def test_a_typing_error_that_was_read_is_said() -> None:
    run = talk().say(find(polyp, corrections=({"typed": "polp", "read": "polyp"},)))
    assert run.message.endswith("Read 'polp' as 'polyp'.")
    assert run.status is Status.FOUND


def test_two_structures_on_the_same_pixels_are_both_uncertain() -> None:
    answers = {name: found(square(10, 10, 40, 40)) for name in ("left ventricle", "myocardium")}
    thread = talk(answers=answers)
    run = thread.say(find(thing("left ventricle"), thing("myocardium")))
    assert {one.status for one in run.targets} == {Status.UNCERTAIN}
    assert "cover the same pixels (IoU 1.00)" in run.message
    alone = thread.say(do("drop", thing("myocardium")))
    assert [(one.status, one.reason) for one in alone.targets] == [(Status.FOUND, "")]


def test_a_cup_may_fill_most_of_its_disc() -> None:
    round_disc, wide_cup = square(10, 10, 32, 32), square(12, 12, 30, 30)
    answers = {"optic disc": found(round_disc), "optic cup": found(wide_cup)}
    run = talk(answers=answers).say(find(disc, cup))
    assert {one.status for one in run.targets} == {Status.FOUND}


def test_a_concept_that_is_drawn_everywhere_is_at_most_uncertain() -> None:
    model = ScriptedSegmenter(
        {"lung infection": found(LEFT)}, can=capabilities(unproven=("lung infection",))
    )
    run = ByHand(model).say(find(thing("lung infection")))
    assert run.status is Status.UNCERTAIN
    assert "on pictures without it too" in run.message


PICTURES = {"polyp": "colonoscopy", "brain tumor": "brain MRI", "lungs": "chest X-ray"}


@pytest.mark.parametrize(
    ("answers", "words", "status", "said"),
    [
        ({"lungs": found(LEFT | RIGHT, presence=1.0)}, {}, Status.UNCERTAIN, "lungs seen"),
        ({}, {}, Status.NOT_FOUND, "not found"),
        ({}, {"modality": "x-ray"}, Status.UNCERTAIN, "cannot look for brain tumor here"),
        ({}, {"modality": "mri"}, Status.NOT_FOUND, "not found"),
    ],
    ids=["the picture tells", "nothing speaks against it", "the words tell", "the words agree"],
)
def test_absence_is_said_only_of_pictures_the_model_knows_the_thing_on(
    answers: dict[str, PromptResult], words: dict[str, object], status: Status, said: str
) -> None:
    model = ScriptedSegmenter(answers, can=capabilities(pictures=PICTURES))
    run = ByHand(model).say(find(thing("brain tumor"), **words))
    assert run.status is status
    assert said in run.message

"""Whose left is meant, from a request's words to the masks that are kept. A wrong side is harm."""

import asyncio

import pytest

from agent.language.lexicon import load_lexicon
from agent.language.modality import UNKNOWN, modality_of_name
from agent.language.request import read_request
from agent.schemas.rounds import Status
from agent.schemas.runs import AgentRequest, RunRecord
from segmenter.contract import ImageRef, PromptResult
from tests.agent.doubles import (
    ScriptedPlanner,
    ScriptedSegmenter,
    World,
    found,
    image_ref,
    judging,
    plan_for,
    square,
    target,
)

LEFT, RIGHT = square(4, 10, 24, 54), square(40, 10, 60, 54)
PATIENTS_LEFT, PATIENTS_RIGHT = 40.0, 4.0


class Talk:
    """A conversation about the lungs on one image."""

    def __init__(
        self,
        *,
        planner: ScriptedPlanner | None = None,
        lungs: PromptResult | None = None,
        image: ImageRef | None = None,
    ) -> None:
        answers = {"lungs": lungs or found(LEFT | RIGHT), "polyp": found(square(20, 20, 30, 30))}
        self.world = World(ScriptedSegmenter(answers), planner)
        self.image = image or image_ref()
        self.thread_id: str | None = None

    def say(self, text: str) -> RunRecord:
        image = None if self.thread_id else self.image
        asked = AgentRequest(request=text, image=image, thread_id=self.thread_id)
        record = asyncio.run(self.world.service.run(asked))
        self.thread_id = record.thread_id
        return record

    @property
    def modality(self) -> str:
        assert self.thread_id is not None
        return asyncio.run(self.world.service.thread_record(self.thread_id)).modality


def left_edges(record: RunRecord, label: str = "lungs") -> list[float]:
    return [
        mask.candidate.mask.box.x0
        for result in record.targets
        if result.target.label == label
        for mask in result.masks
    ]


def planned(modality: str, label: str = "lungs", count: str = "several") -> ScriptedPlanner:
    plan = plan_for(target(label, phrases=("lungs",), count=count))
    plan = plan.model_copy(update={"modality": modality})
    return ScriptedPlanner(plan, [judging("accept")] * 3)


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("x-ray", "x-ray"),
        ("X-ray", "x-ray"),
        ("X\u2011Ray", "x-ray"),
        ("xray", "x-ray"),
        ("Chest X-ray", "x-ray"),
        ("radiograph", "x-ray"),
        ("Radiographs", "x-ray"),
        ("chest radiograph (PA)", "x-ray"),
        ("plain radiography", "x-ray"),
        ("CXR", "x-ray"),
        ("DX", "x-ray"),
        (" CT ", "ct"),
        ("CT scan", "ct"),
        ("Computed Tomography", "ct"),
        ("MRI (FLAIR)", "mri"),
        ("MR", "mri"),
        ("magnetic resonance imaging", "mri"),
        ("Colour fundus photograph", "fundus"),
        ("US", "ultrasound"),
        ("B-mode ultrasound", "ultrasound"),
        ("unknown", UNKNOWN),
        ("", UNKNOWN),
        ("greyscale picture", UNKNOWN),
    ],
)
def test_a_model_may_spell_a_modality_as_it_likes(name: str, modality: str) -> None:
    assert modality_of_name(name, load_lexicon()) == modality


@pytest.mark.parametrize(
    "modality", ["x-ray", "Chest X-ray", "X-ray", "chest radiograph", "radiograph", "CT", "unknown"]
)
@pytest.mark.parametrize(
    ("words", "edge"),
    [("only the left lung", PATIENTS_LEFT), ("only the right one", PATIENTS_RIGHT)],
)
def test_a_follow_up_picks_the_patients_side_however_a_model_spells_the_modality(
    modality: str, words: str, edge: float
) -> None:
    talk = Talk(planner=planned(modality))
    talk.say("outline the lungs")
    assert left_edges(talk.say(words)) == [edge]


@pytest.mark.parametrize("kind", ["rules", "mllm"])
def test_both_ways_to_ask_for_a_side_take_the_same_one(kind: str) -> None:
    direct = Talk(planner=planned("unknown", "left lung", "one") if kind == "mllm" else None)
    later = Talk(planner=planned("unknown") if kind == "mllm" else None)
    at_once = direct.say("outline the left lung")
    later.say("outline the lungs")
    label = "left lung" if kind == "mllm" else "lungs"
    assert left_edges(at_once, label) == left_edges(later.say("only the left lung"))
    assert left_edges(at_once, label) == [PATIENTS_LEFT]


@pytest.mark.parametrize(
    ("tag", "said", "edge"),
    [
        ("CR", "ultrasound", PATIENTS_LEFT),
        ("US", "Chest X-ray", PATIENTS_RIGHT),
        ("ZZ", "Chest X-ray", PATIENTS_LEFT),
    ],
    ids=["a radiograph by its tag", "ultrasound by its tag", "a tag that says nothing"],
)
def test_the_images_own_tag_goes_above_what_a_model_says(tag: str, said: str, edge: float) -> None:
    talk = Talk(planner=planned(said), image=image_ref(modality=tag))
    talk.say("outline the lungs")
    assert left_edges(talk.say("only the left lung")) == [edge]


def test_a_later_run_does_not_forget_a_known_modality() -> None:
    talk = Talk()
    talk.say("the lungs on this chest X-ray")
    talk.say("also the polyp")
    assert talk.modality == "x-ray"
    assert left_edges(talk.say("only the left lung")) == [PATIENTS_LEFT]


def test_a_model_that_is_not_sure_does_not_unname_the_modality() -> None:
    talk = Talk(planner=planned("unknown"))
    talk.say("outline the lungs on this CXR")
    talk.say("anything else there?")
    assert talk.modality == "x-ray"


def test_a_modality_that_is_named_later_decides_from_then_on() -> None:
    talk = Talk()
    talk.say("outline the lungs")
    record = talk.say("this is an ultrasound: only the left lung")
    assert left_edges(record) == [PATIENTS_RIGHT]


def test_only_the_target_a_request_names_is_narrowed() -> None:
    talk = Talk()
    talk.say("outline the lungs and the polyp")
    record = talk.say("only the left lung")
    assert left_edges(record) == [PATIENTS_LEFT]
    assert left_edges(record, "polyp") == [20.0]


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("the left lung", None),
        ("the left lung in this image", None),
        ("the left lung on this scan", None),
        ("in this image, outline the left lung", None),
        ("the left lung on the picture of a chest", None),
        ("the patient's left lung in this image", "patient"),
        ("the lung on the left of the image", "image"),
        ("the lung in the left half of this picture", "image"),
        ("the lung on the left in the image", "image"),
        ("the image's left lung", "image"),
    ],
)
def test_an_image_is_meant_only_where_it_is_tied_to_the_side(text: str, frame: str | None) -> None:
    assert read_request(text, load_lexicon()).find[0].which.frame == frame


def test_naming_the_image_does_not_change_the_side() -> None:
    record = Talk().say("outline the left lung in this image")
    assert left_edges(record) == [PATIENTS_LEFT]


@pytest.mark.parametrize("word", ["right", "left"])
def test_a_side_that_shows_nothing_is_never_answered_with_the_other(word: str) -> None:
    there = RIGHT if word == "right" else LEFT
    talk = Talk(lungs=found(there))
    talk.say("the lungs on this chest X-ray")
    record = talk.say(f"only the {word} lung")
    assert left_edges(record) == []
    assert (record.status, record.needs_review) == (Status.UNCERTAIN, True)
    taken = "left" if word == "right" else "right"
    assert record.targets[0].reason == (
        f"nothing that was found for lungs is on the image's {taken} (the patient's {word})"
    )


@pytest.mark.parametrize(
    ("label", "text", "edge"),
    [
        ("left lung", "outline the left lung on this chest x-ray", PATIENTS_LEFT),
        ("lungs", "outline the left lung on this chest x-ray", PATIENTS_LEFT),
        ("lung", "outline the right lung on this chest x-ray", PATIENTS_RIGHT),
        ("left lung", "outline the lungs one by one", PATIENTS_LEFT),
        ("left lung", "the lung on the left of the image", PATIENTS_RIGHT),
    ],
)
def test_a_models_plan_keeps_the_side_that_was_asked_for(
    label: str, text: str, edge: float
) -> None:
    record = Talk(planner=planned("x-ray", label, "one")).say(text)
    assert left_edges(record, label) == [edge]


def test_a_models_plan_keeps_the_rank_that_was_asked_for() -> None:
    small, large = square(4, 4, 10, 10), square(30, 30, 60, 60)
    planner = planned("x-ray", "lungs")
    record = Talk(planner=planner, lungs=found(small, large)).say("only the largest lung")
    assert left_edges(record) == [30.0]


def test_a_name_with_a_side_in_it_is_no_side() -> None:
    plan = plan_for(target("left ventricle", phrases=("left ventricle",)))
    planner = ScriptedPlanner(plan.model_copy(update={"modality": "mri"}), [judging("accept")])
    world = World(ScriptedSegmenter({"left ventricle": found(LEFT)}), planner)
    asked = AgentRequest(request="outline the left ventricle", image=image_ref())
    record = asyncio.run(world.service.run(asked))
    assert left_edges(record, "left ventricle") == [4.0]

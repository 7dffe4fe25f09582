"""A run in lines for a person: nothing that a run says of itself is left out or said twice."""

import pytest

from api.cli.ask.describe import SHOWN_MASKS, describe_run
from api.schemas.answers import PlannerOut
from api.schemas.run_answers import PlanOut, RunAnswer
from tests.paths import ROOT

EXAMPLE = ROOT / "api" / "http" / "openapi" / "examples" / "answers" / "RunAnswer.json"
FOUND = RunAnswer.model_validate_json(EXAMPLE.read_bytes()).model_copy(update={"answer": ""})
SIDE = "left was read as the patient's left, on the image's right"


def told(**changed: object) -> list[str]:
    return list(describe_run(FOUND.model_copy(update=changed)))


def by(*fallbacks: str) -> object:
    planner = PlannerOut(kind="rules", model=None, fallbacks=fallbacks)
    return FOUND.provenance.model_copy(update={"planner": planner})


def planned(note: str) -> PlanOut:
    return PlanOut(decision="segment", modality="ultrasound", note=note)


def test_a_plain_run_is_its_masks_and_its_message() -> None:
    lines = told()
    assert lines[0] == f"{FOUND.targets[0].label}: found"
    assert lines[1].startswith("  m1 ")
    assert lines[2:] == [FOUND.message]


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"answer": "The lesion has 80 px."}, "The lesion has 80 px."),
        ({"plan": planned(SIDE)}, f"note: {SIDE}"),
        (
            {"not_understood": ("frobnicate", "the rest")},
            'not understood: "frobnicate"; "the rest"',
        ),
        ({"provenance": by("plan: no connection")}, "the rules took over: plan: no connection"),
        ({"error": "The model failed."}, "The model failed."),
    ],
    ids=["answer", "side", "not understood", "fallback", "error"],
)
def test_what_a_run_says_of_itself_is_told(changed: dict[str, object], line: str) -> None:
    assert line in told(**changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"answer": "It has 80 px.", "message": "mass: found. It has 80 px."},
        {"plan": planned(SIDE), "message": f"mass: found; {SIDE}."},
        {"not_understood": ("blah",), "message": 'mass: found; not understood: "blah".'},
    ],
    ids=["answer", "side", "not understood"],
)
def test_what_the_message_holds_is_not_told_again(changed: dict[str, object]) -> None:
    assert told(**changed)[-1] == changed["message"]
    assert len(told(**changed)) == len(told())


def test_of_many_masks_the_largest_are_shown_and_the_others_counted() -> None:
    target = FOUND.targets[0]
    areas = range(1, SHOWN_MASKS + 4)
    masks = tuple(
        target.masks[0].model_copy(update={"id": f"m{area}", "area_px": area}) for area in areas
    )
    lines = told(targets=(target.model_copy(update={"masks": masks}),))
    shown = [line.split()[0] for line in lines if line.startswith("  m")]
    assert shown == [f"m{area}" for area in reversed(areas)][:SHOWN_MASKS]
    assert lines[SHOWN_MASKS + 1].startswith("  and 3 smaller ones")

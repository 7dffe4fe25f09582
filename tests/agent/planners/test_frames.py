import pytest

from agent.language.lexicon import load_lexicon
from agent.language.request import read_request
from agent.planners.frames import settle_frames
from agent.schemas.plan import Plan, Selection, Target
from segmenter.contract import Capabilities, ModelInfo

CAN = Capabilities(
    model=ModelInfo(kind="compact", weights_id="w", weights_sha256="0" * 64),
    concepts=("brain tumor", "breast tumor"),
    pictures={"brain tumor": "brain MRI", "breast tumor": "breast ultrasound"},
    prompts=("text",),
    negative_boxes=False,
    threshold=0.5,
)


def plan(side: str | None, modality: str = "unknown") -> Plan:
    target = Target.model_validate(
        {
            "id": "t1",
            "label": "tumor",
            "phrases": ("brain tumor", "breast tumor"),
            "selection": Selection.model_validate({"side": side}),
            "frame": "image",
        }
    )
    return Plan(decision="segment", modality=modality, targets=(target,), calls=(), note="")


def settled(request: str, found: str, side: str | None, modality: str = "unknown") -> Target:
    lexicon = load_lexicon()
    intent = read_request(request, lexicon)
    after = settle_frames(plan(side, modality), {"t1": found}, intent, CAN, lexicon)
    return after.targets[0]


@pytest.mark.parametrize(
    ("request_", "found", "side", "frame", "taken"),
    [
        ("the left tumor", "brain tumor", "left", "patient", "right"),
        ("the left tumor", "breast tumor", "left", "image", "left"),
        ("the tumor", "brain tumor", None, "patient", None),
        ("the tumor on the image's left", "brain tumor", "left", "patient", "left"),
        # A model's own choice of a side is the image's already.
        ("the tumor", "brain tumor", "left", "patient", "left"),
    ],
)
def test_what_was_found_tells_whose_left_and_right_are_meant(
    request_: str, found: str, side: str | None, frame: str, taken: str | None
) -> None:
    target = settled(request_, found, side)
    assert (target.frame, target.selection.side) == (frame, taken)


def test_a_known_kind_of_picture_is_above_what_was_found() -> None:
    assert settled("the left tumor", "brain tumor", "left", "ultrasound").frame == "image"

import asyncio
from typing import Any

import numpy as np
import pytest

from agent.contract import PlanQuestion, RoundView
from agent.language.lexicon import load_lexicon
from agent.language.request import read_request
from agent.planners.rules import RulesPlanner, plan_request
from agent.schemas.plan import Plan
from agent.schemas.rounds import Candidate, Issue
from segmenter.contract import Box, RgbImage
from tests.agent.doubles import (
    MIDDLE,
    box,
    capabilities,
    image_ref,
    picture,
    plan_for,
    square,
    target,
    to_mask,
)


def question(
    text: str, *, modality: str | None = None, pixels: RgbImage | None = None, **changes: object
) -> PlanQuestion:
    values: dict[str, object] = {"capabilities": capabilities()}
    return PlanQuestion(
        request=text,
        intent=read_request(text, load_lexicon()),
        image=image_ref(modality=modality),
        pixels=picture() if pixels is None else pixels,
        **(values | changes),  # type: ignore[arg-type]
    )


def plan(text: str, **changes: object) -> Plan:
    return plan_request(question(text, **changes), load_lexicon())  # type: ignore[arg-type]


# Request, DICOM modality or None, labels of the targets in order.
REQUESTS: list[tuple[str, str | None, list[str]]] = [
    ("Segment the breast tumour in this ultrasound", None, ["breast tumor"]),
    ("Outline the lump", "US", ["breast tumor"]),
    ("Outline the mass", "US", ["breast tumor"]),
    ("Outline the mass", "ES", ["polyp"]),
    ("outline the mass on this colonoscopy frame", None, ["polyp"]),
    ("hypoechoic nodule in the breast", None, ["breast tumor"]),
    ("mark the fibroadenoma", None, ["breast tumor"]),
    ("POLYPS!", None, ["polyp"]),
    ("sessile polyp", None, ["polyp"]),
    ("adenoma in the sigmoid", "ES", ["polyp"]),
    ("Could you outline the melanoma, please?", None, ["skin lesion"]),
    ("the mole", None, ["skin lesion"]),
    ("pigmented naevus", None, ["skin lesion"]),
    ("the lesion on this dermoscopy image", None, ["skin lesion"]),
    ("lesion", "XC", ["skin lesion"]),
    ("lesion", "CR", ["lung infection"]),
    ("Optic disc and cup", None, ["optic disc", "optic cup"]),
    ("the disc", "OP", ["optic disc"]),
    ("the disc", "MR", ["intervertebral disc"]),
    ("optic nerve head", None, ["optic disc"]),
    ("cup-to-disc ratio: outline both", "OP", ["optic cup", "optic disc"]),
    ("vessels", "OP", ["retinal vessels"]),
    ("retinal vasculature", None, ["retinal vessels"]),
    ("All nuclei in this H&E slide", None, ["nuclei"]),
    ("cells", None, ["nuclei"]),
    ("count the lymphocytes", "SM", ["nuclei"]),
    ("both lungs", None, ["lungs"]),
    ("lung fields on the chest X-ray", None, ["lungs"]),
    ("consolidation", "DX", ["lung infection"]),
    ("ground-glass opacities", "CR", ["lung infection"]),
    ("Is there a pneumonia?", "CR", ["lung infection"]),
    ("opacity in the right lung", "CR", ["lung infection"]),
    ("glioma", None, ["brain tumor"]),
    ("brain MRI: outline the tumour", None, ["brain tumor"]),
    ("tumour", "MR", ["brain tumor"]),
    ("FLAIR hyperintensity", None, ["brain tumor"]),
    ("LV", None, ["left ventricle"]),
    ("left and right ventricle", None, ["left ventricle", "right ventricle"]),
    ("LV, RV and myocardium", None, ["left ventricle", "right ventricle", "myocardium"]),
    ("blood pool of the left ventricle", None, ["left ventricle"]),
    ("heart muscle", None, ["myocardium"]),
    ("prostate gland on T2", None, ["prostate"]),
    ("Where is the gallstone?", None, ["gallstone"]),
    ("gall-bladder stones", None, ["gallstone"]),
    ("kidneys", None, ["kidney"]),
    ("liver cyst", None, ["liver cyst"]),
    ("the liver and its tumours", "CT", ["liver", "liver tumor"]),
    ("liver and spleen", None, ["liver", "spleen"]),
    ("pneumothorax on the right", "CR", ["pneumothorax"]),
    ("hip fracture", None, ["fracture"]),
    ("acoustic shadow behind the mass", "US", ["acoustic shadow"]),
    ("peritumoral oedema", None, ["edema"]),
    ("the tumour but not the oedema", "MR", ["brain tumor"]),
    ("ignore the vessels, segment the disc", "OP", ["optic disc"]),
    ("segment the optic disc without the cup and vessels", None, ["optic disc"]),
    ("everything except the vessels", "OP", []),
    ("Do not outline the tumour", "US", []),
    ("Do not outline the disc, mark the cup", "OP", ["optic cup"]),
    ("Do not miss any polyps", None, ["polyp"]),
    ("Is there a polyp? Outline it.", None, ["polyp"]),
    ("Is there no polyp?", None, ["polyp"]),
    ("polyp: yes or no?", None, ["polyp"]),
    ("thyroid nodule", None, ["thyroid nodule"]),
    ("nodule in the thyroid", None, ["thyroid nodule"]),
    ("haemorrhage", "OP", ["retinal hemorrhage"]),
    ("haemorrhage", "CT", ["intracranial hemorrhage"]),
    ("outline the polyp and tell me its size", None, ["polyp"]),
    ("the polyp and the zorblax", None, ["polyp", "zorblax"]),
    ("Segment the zorblax", None, ["zorblax"]),
    ("crack in the femur", None, ["crack"]),
    ("hello", None, []),
    ("segment", None, []),
]


@pytest.mark.parametrize(("text", "modality", "labels"), REQUESTS, ids=[r[0] for r in REQUESTS])
def test_a_request_names_its_targets(text: str, modality: str | None, labels: list[str]) -> None:
    assert [target.label for target in plan(text, modality=modality).targets] == labels


@pytest.mark.parametrize(
    ("text", "modality", "side", "rank", "limit"),
    [
        ("left lung", "CR", "right", None, None),
        ("left lung", None, "right", None, None),
        ("right kidney on CT", None, "left", None, None),
        ("left kidney on ultrasound", None, "left", None, None),
        ("the mass on the left of the image", "CT", "left", None, None),
        ("opacity in the right lung", "CR", "left", None, None),
        ("both lungs", "CR", None, None, None),
        ("the left lung and the right lung", "CR", None, None, None),
        ("the largest nodule", None, None, "largest", 1),
        ("the two largest polyps", None, None, "largest", 2),
        ("smallest nucleus", None, None, "smallest", 1),
        ("left ventricle", "MR", None, None, None),
    ],
)
def test_sides_and_ranks_become_a_selection(
    text: str, modality: str | None, side: str | None, rank: str | None, limit: int | None
) -> None:
    selection = plan(text, modality=modality).targets[0].selection
    assert (selection.side, selection.rank, selection.limit) == (side, rank, limit)


def test_a_person_is_told_which_left_was_meant() -> None:
    assert plan("left lung", modality="CR").note == (
        "left was read as the patient's left, on the image's right"
    )


def test_an_ambiguous_word_keeps_its_alternatives_in_order() -> None:
    made = plan("outline the mass").targets[0]
    assert made.label == "mass"
    assert made.phrases[:2] == ("breast tumor", "brain tumor")


def test_a_colour_photograph_rules_radiology_out() -> None:
    skin = np.full((64, 64, 3), (220, 160, 140), dtype=np.uint8)
    assert plan("outline the tumour", pixels=skin).targets[0].phrases[0] == "skin lesion"


def test_an_unknown_word_is_marked_and_tried_as_it_stands() -> None:
    made = plan("segment the green zorblax").targets[0]
    assert (made.phrases, made.known) == (("green zorblax", "zorblax"), False)


def test_phrases_the_model_lists_come_first() -> None:
    made = plan("heart muscle").targets[0]
    assert made.phrases[0] == "myocardium"
    assert "heart muscle" in made.phrases


def test_an_open_vocabulary_gets_a_synonym_in_the_first_round() -> None:
    made = plan("polyp", capabilities=capabilities(concepts=None))
    assert [call.concept for call in made.calls] == ["polyp", "colon polyp"]


def test_a_closed_vocabulary_gets_only_what_it_lists() -> None:
    assert [call.concept for call in plan("polyp").calls] == ["polyp"]


def test_the_callers_box_is_used_with_and_without_words() -> None:
    calls = plan("polyp", box=box(10, 10, 30, 30)).calls
    assert [(call.concept, len(call.boxes)) for call in calls] == [("polyp", 1), ("polyp", 0)]


def test_a_box_without_a_noun_is_a_target_of_its_own() -> None:
    made = plan("segment this", box=box(10, 10, 30, 30))
    assert [target.label for target in made.targets] == ["marked region"]
    assert [(call.concept, len(call.boxes)) for call in made.calls] == [(None, 1)]


def test_no_noun_and_no_box_is_unclear() -> None:
    assert plan("please help").decision == "unclear"


def test_every_target_gets_a_call_before_any_gets_two() -> None:
    made = plan("LV, RV, myocardium and prostate", capabilities=capabilities(concepts=None))
    assert [call.target for call in made.calls] == ["t1", "t2", "t3", "t4"]


def test_more_than_four_things_are_not_dropped_in_silence() -> None:
    made = plan("LV, RV, myocardium, prostate and liver")
    assert len(made.targets) == 4
    assert made.note == "only the first 4 of 5 things were looked for"


@pytest.mark.parametrize(
    "text",
    [
        "../../etc/passwd",
        "{0.__class__} %s",
        "x" * 2000,
        "\u202e\u0000polyp\n\n",
        "пухлина",
        "💀" * 50,
        "and and and, , ,",
        "no no no not",
        "left",
        "m1",
    ],
)
def test_no_text_breaks_the_plan(text: str) -> None:
    for call in plan(text).calls:
        assert call.concept is None or len(call.concept) <= 100
        assert call.concept is None or set(call.concept) <= set(
            "abcdefghijklmnopqrstuvwxyz0123456789 -"
        )


def candidate(name: str, *, joint: float, quality: float | None, round_: int = 1) -> Candidate:
    return Candidate(
        id=name,
        target="t1",
        round=round_,
        call=0,
        concept="polyp",
        mask=to_mask(MIDDLE, joint=joint),
        quality=quality,
    )


def round_view(
    *candidates: Candidate, incumbents: tuple[str, ...] = (), number: int = 1, **changes: object
) -> RoundView:
    values: dict[str, object] = {
        "question": question("polyp"),
        "plan": plan_for(target()),
        "number": number,
        "calls": (),
        "candidates": candidates,
        "masks": {candidate.id: MIDDLE for candidate in candidates},
        "incumbents": {"t1": incumbents} if incumbents else {},
        "history": (),
        "seed": 0,
    }
    return RoundView(**(values | changes))  # type: ignore[arg-type]


def inspect(seen: RoundView) -> list[tuple[str, str, str]]:
    told = asyncio.run(RulesPlanner().inspect(seen, timeout_s=1.0))
    return [
        (verdict.candidate, verdict.verdict, verdict.better_than_incumbent)
        for verdict in told.inspection.verdicts
    ]


@pytest.mark.parametrize(
    ("joint", "quality", "verdict"),
    [(0.9, 0.9, "accept"), (0.6, 0.5, "partial"), (0.6, 0.3, "reject"), (0.4, 0.9, "reject")],
    ids=["good", "middling", "poor", "below the model's own threshold"],
)
def test_the_rules_judge_by_score_and_quality(joint: float, quality: float, verdict: str) -> None:
    assert inspect(round_view(candidate("m1", joint=joint, quality=quality))) == [
        ("m1", verdict, "same")
    ]


@pytest.mark.parametrize(
    ("quality", "better"), [(0.8, "yes"), (0.72, "same"), (0.6, "no")], ids=["more", "even", "less"]
)
def test_a_later_set_is_better_only_by_a_margin(quality: float, better: str) -> None:
    old = candidate("m1", joint=0.9, quality=0.7)
    new = candidate("m2", joint=0.9, quality=quality, round_=2)
    assert inspect(round_view(old, new, incumbents=("m1",), number=2))[0][2] == better


def issue_of(seen: RoundView) -> Issue:
    told = asyncio.run(RulesPlanner().inspect(seen, timeout_s=1.0))
    return told.inspection.verdicts[0].issue


@pytest.mark.parametrize(
    ("changes", "wanted_box", "issue"),
    [
        ({"selection": {"side": "right"}}, None, Issue.WRONG_SIDE),
        ({"area_share": (0.5, 1.0)}, None, Issue.TOO_SMALL),
        ({"area_share": (0.0, 0.01)}, None, Issue.TOO_LARGE),
        ({}, box(50, 50, 60, 60), Issue.WRONG_STRUCTURE),
    ],
    ids=["side", "small", "large", "outside the caller's box"],
)
def test_the_rules_name_what_speaks_against_a_mask(
    changes: dict[str, Any], wanted_box: Box | None, issue: Issue
) -> None:
    one = candidate("m1", joint=0.9, quality=0.9).model_copy(
        update={"mask": to_mask(square(10, 10, 28, 28))}
    )
    seen = round_view(
        one, plan=plan_for(target(**changes)), question=question("polyp", box=wanted_box)
    )
    assert issue_of(seen) is issue


def test_the_rules_comparison_is_decided_by_quality() -> None:
    seen = round_view(
        candidate("m1", joint=0.9, quality=0.5), candidate("m2", joint=0.9, quality=0.9)
    )
    planner = RulesPlanner()
    forth, _ = asyncio.run(planner.compare(seen, ("m1",), ("m2",), timeout_s=1.0))
    back, _ = asyncio.run(planner.compare(seen, ("m2",), ("m1",), timeout_s=1.0))
    assert (forth, back) == ("second", "first")

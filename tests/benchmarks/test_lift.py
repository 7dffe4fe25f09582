"""The oracle of the agent's benchmark: right when it should be, wrong as often as told."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.bootstrap.parts import open_services
from api.bootstrap.setup import Setup
from api.settings import Settings
from benchmarks.agent_lift import Line, summarise, table
from benchmarks.evaluation.records import Case
from benchmarks.lift.arms import Outcome, Question, ask_direct, ask_oracle
from benchmarks.lift.oracle import Errors, Oracle
from segmenter.formats.raster.image import decode_mask_png
from tests.paths import SAMPLES

# It equals floats, and stands where one is asked for.
near: Any = pytest.approx

TRUTH = np.zeros((100, 200), dtype=bool)
TRUTH[20:60, 40:120] = True
EMPTY = np.zeros_like(TRUTH)


def oracle(box: float = 0.0, judge: float = 0.0, truth: np.ndarray = TRUTH, **options: Any) -> Any:
    made = Oracle(Errors(box, judge, **options))
    made.begin("case", "mass", truth)
    return made


def test_without_errors_the_box_is_tight():
    (call,) = oracle().plan()["calls"]
    # 40 to 120 of 200 columns, 20 to 60 of 100 rows, in thousandths, x first.
    assert call["bbox_2d"] == pytest.approx([200, 200, 600, 600])
    assert oracle(boxes=False).plan()["calls"][0]["bbox_2d"] is None


def test_sides_are_off_by_the_stated_share_at_most():
    made = oracle(box=0.25)
    found = np.array([made.plan()["calls"][0]["bbox_2d"] for _ in range(300)])
    off = np.abs(found - [200, 200, 600, 600])
    assert off.max() <= 100 + 1e-9
    assert off.max() > 95
    assert 45 < off.mean() < 55


def test_without_errors_masks_are_judged_by_the_truth():
    made = oracle()
    half = TRUTH.copy()
    half[:, 80:] = False
    made.panels = {"M0": half, "M1": TRUTH, "M2": np.roll(TRUTH, 90, axis=1)}
    told = made.inspect()
    assert [one["verdict"] for one in told["masks"]] == ["partial", "accept", "reject"]
    assert [one["issue"] for one in told["masks"]] == ["too_small", "none", "wrong_structure"]
    assert [one["better_than_incumbent"] for one in told["masks"]] == ["same", "yes", "no"]
    assert (told["next"], told["complete"]) == ("stop", [1])
    made.comparison = (half, TRUTH)
    assert made.compare()["better"] == "B"


def test_what_is_not_there_is_said_to_be_absent():
    made = oracle(truth=EMPTY)
    assert made.plan()["decision"] == "absent"
    made.panels = {"M1": TRUTH}
    assert made.inspect()["masks"][0]["verdict"] == "reject"
    assert made.inspect()["next"] == "absent"


def test_judgements_are_wrong_as_often_as_told():
    made = oracle(judge=0.3)
    made.panels = {"M1": TRUTH}
    words = [made.inspect()["masks"][0]["verdict"] for _ in range(2000)]
    assert 0.27 < np.mean([word != "accept" for word in words]) < 0.33


def test_the_order_of_the_panels_changes_no_judgement():
    # They are shuffled by run, so that two runs of one question would err about different masks.
    panels = {f"M{number}": TRUTH for number in range(1, 12)}
    told = []
    for shown in (panels, dict(reversed(panels.items()))):
        made = oracle(judge=0.5)
        made.panels = shown
        told.append({one["id"]: one["verdict"] for one in made.inspect()["masks"]})
    assert told[0] == told[1]
    assert len(set(told[0].values())) > 1


@pytest.fixture(scope="module")
def tumour() -> Case:
    return Case(
        dataset="busi",
        image_id="sample",
        concept="breast tumor",
        phrase="breast tumor",
        group="g",
        image=SAMPLES / "busi_tumor.jpg",
        mask=SAMPLES / "busi_tumor_mask.png",
    )


def test_both_wires_lead_to_the_same_masks(tumour: Case):
    truth = decode_mask_png(Path(tumour.mask or "").read_bytes())

    async def within() -> list[Outcome]:
        async with open_services(Setup(Settings())) as services:
            image = await services.images.put(tumour.image.read_bytes())
            questions = [Question(tumour, image, truth)]
            found = await ask_direct(services, questions)
            for wire in ("openai", "gemini"):
                found += await ask_oracle(services, questions, Errors(0.1, 0.0), wire=wire)
            return found

    direct, openai, gemini = asyncio.run(within())
    assert openai.dice == gemini.dice
    assert openai.dice is not None
    assert direct.dice is not None
    assert openai.dice >= direct.dice - 0.02
    assert openai.calls >= 2
    assert not openai.unearned


def test_a_line_tells_dice_where_it_is_and_specificity_where_it_is_not(tumour: Case):
    question = Question(tumour, None, TRUTH)  # type: ignore[arg-type]
    outcomes = [Outcome(0.8, drew=True, seconds=1.0, calls=2), Outcome(0.6, drew=True, seconds=3.0)]
    outcomes += [Outcome(None, drew=False, seconds=2.0), Outcome(None, drew=True, seconds=2.0)]
    [line] = summarise("arm", [question] * 4, outcomes)
    assert line == Line("arm", "busi", 4, near(0.7), 0.5, 0.5, 0.0, 2.0, 0, 0)
    assert "| arm | 0.700 (0.50) | 0.700 | 0.5 | 2.00 |" in table([line])

"""Answers on real pictures, with the bundled model, against the masks that readers drew."""

import asyncio
import re

import numpy as np
import pytest
from scipy import ndimage

from agent.answers.answer import answer_questions
from agent.answers.findings import Findings
from agent.language.lexicon import load_lexicon
from agent.schemas.intent import Intent, Question, Thing, Which
from agent.schemas.runs import AgentRequest, RunRecord
from agent.service import AgentContext, AgentService
from api.bootstrap.parts import open_services
from api.bootstrap.setup import Setup
from api.settings import Settings
from segmenter.contract import BinaryMask
from segmenter.formats.raster.image import decode_mask_png
from tests.paths import SHARED

DATA = SHARED / "data"
EYE, BREAST, CHEST = "drishti_gs/drishtiGS_003", "busi/malignant_090", "cxr_lungs/v7_1676457"
INFECTED, CELLS = "covid_cxr/cov_0b3549cb74", "dsb2018/dsb_0121d6759c5adb29"
REQUESTS = {
    EYE: "segment the optic disc and the optic cup",
    BREAST: "outline the breast tumor",
    CHEST: "lungs",
    INFECTED: "lungs and lung infection",
    CELLS: "nuclei",
}


@pytest.fixture(scope="module")
def records() -> dict[str, RunRecord]:
    """The runs of all pictures."""
    if not DATA.exists():
        pytest.skip(f"no pictures in {DATA}")
    return asyncio.run(run_all())


async def run_all() -> dict[str, RunRecord]:
    async with open_services(Setup(Settings())) as services:
        context = AgentContext(
            segmenter=services.segmenter,
            images=services.images,
            records=services.records,
            planners={},
        )
        runs = {}
        for name, words in REQUESTS.items():
            folder, image_id = name.split("/")
            content = (DATA / folder / "images" / f"{image_id}.jpg").read_bytes()
            image = await services.images.put(content)
            asked = AgentRequest(request=words, image=image)
            runs[name] = await AgentService(context).run(asked)
        return runs


def answer(run: RunRecord, topic: str, *things: Thing, words: str = "") -> str:
    question = Question.model_validate({"topic": topic, "things": things, "words": words})
    found = Findings(
        image=run.image,
        lexicon=load_lexicon(),
        targets=run.targets,
        rounds=run.rounds,
        requests=(run.request,),
    )
    return answer_questions(Intent(questions=(question,)), found)


def truth(name: str, concept: str = "") -> BinaryMask:
    folder, image_id = name.split("/")
    file = f"{image_id}__{concept.replace(' ', '_')}.png" if concept else f"{image_id}.png"
    return decode_mask_png((DATA / folder / "masks" / file).read_bytes())


def number(pattern: str, text: str) -> float:
    found = re.search(pattern.replace("#", r"(-?\d+(?:\.\d+)?)"), text)
    assert found is not None, text
    return float(found[1])


def height(mask: BinaryMask) -> int:
    return int(np.ptp(np.flatnonzero(mask.any(axis=1)))) + 1


def test_the_cup_to_disc_ratio_is_near_the_readers(records: dict[str, RunRecord]) -> None:
    said = answer(records[EYE], "ratio")
    told = number("vertical cup to disc ratio #, from the heights of the two masks", said)
    drawn = height(truth(EYE, "optic cup")) / height(truth(EYE, "optic disc"))
    assert told == pytest.approx(drawn, abs=0.15)


def test_the_diameter_of_a_tumor_is_near_the_readers(records: dict[str, RunRecord]) -> None:
    said = answer(records[BREAST], "diameter")
    corners = np.argwhere(truth(BREAST))
    edge = corners[:: max(1, len(corners) // 2000)]
    drawn = max(np.hypot(*(edge - point).T).max() for point in edge)
    assert number("longest diameter # px", said) == pytest.approx(drawn, rel=0.2)
    assert said.endswith("The pixel spacing of this picture is not known.")


def test_the_lungs_are_compared_by_the_patients_sides(records: dict[str, RunRecord]) -> None:
    left, right = (
        Thing(words="lung", terms=("lungs",), which=Which.model_validate({"side": side}))
        for side in ("left", "right")
    )
    said = answer(records[CHEST], "compare", left, right)
    drawn = truth(CHEST)
    middle = drawn.shape[1] // 2
    # The patient's left is the image's right.
    on_right, on_left = drawn[:, middle:].sum(), drawn[:, :middle].sum()
    assert number(r"left .*?on the image's right\) area # px", said) == pytest.approx(
        on_right, rel=0.2
    )
    assert number(r"right .*?on the image's left\) area # px", said) == pytest.approx(
        on_left, rel=0.2
    )


def test_the_infected_share_of_the_lungs_is_a_share_of_the_lungs(
    records: dict[str, RunRecord],
) -> None:
    said = answer(records[INFECTED], "share", Thing(words="lungs", terms=("lungs",)))
    lungs, infection = truth(INFECTED, "lungs"), truth(INFECTED, "lung infection")
    drawn = 100 * (lungs & infection).sum() / lungs.sum()
    assert number(r"lung infection \(.*?\): # % of lungs", said) == pytest.approx(drawn, abs=15)


def test_nuclei_are_counted_as_the_readers_did(records: dict[str, RunRecord]) -> None:
    said = answer(records[CELLS], "count")
    drawn = ndimage.label(truth(CELLS), structure=np.ones((3, 3)))[1]
    assert number("nuclei: # counted", said) == pytest.approx(drawn, rel=0.25)

"""Requests as people typed them, on real pictures with the bundled model and no MLLM.

The rows are the kinds of `cases/requests.md` in the shared folder: what was typed, turn by turn,
and what is to come of it. Pictures of research sets are not ours to ship, so this skips without.
"""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.bootstrap.parts import open_parts
from api.bootstrap.setup import Setup
from api.http.app import create_app
from api.settings import Settings
from segmenter.contract import BinaryMask, Rle
from segmenter.masks import rle
from segmenter.masks.geometry import mask_iou
from tests.api.conftest import BASE_URL
from tests.paths import SHARED

DATA = SHARED / "data"
Run = dict[str, Any]
# What shall come out as asked: the share of the rows below.
SHARE = 0.95

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"no pictures: {DATA} is absent")


@dataclass(frozen=True)
class Typed:
    """A conversation, and what its runs shall show.

    Attributes:
        picture: set and name in the shared data.
        turns: requests in their order; one with a box is a pair.
        shows: told from the answers, in their order.
    """

    picture: str
    turns: tuple[str | tuple[str, list[float]], ...]
    shows: Callable[[list[Run]], bool] = field(compare=False)

    @property
    def id(self) -> str:
        words = [turn if isinstance(turn, str) else turn[0] for turn in self.turns]
        return f"{self.picture.split('/')[0]}: {' ; '.join(words)}"


def masks(run: Run, label: str = "") -> list[BinaryMask]:
    """Return the masks a run shows of the targets whose label holds a word."""
    return [
        rle.decode(Rle(size=mask["rle"]["size"], counts=mask["rle"]["counts"]))
        for target in run["targets"]
        if label in target["label"]
        for mask in target["masks"]
    ]


def shown(run: Run) -> set[str]:
    return {target["label"] for target in run["targets"] if target["masks"]}


def ids(run: Run) -> set[str]:
    return {mask["id"] for target in run["targets"] for mask in target["masks"]}


def area(run: Run, label: str = "") -> int:
    return sum(int(mask.sum()) for mask in masks(run, label))


def middle(mask: BinaryMask) -> tuple[float, float]:
    """Return where a mask is: across and down, as shares of the picture."""
    down, across = np.nonzero(mask)
    return float(across.mean()) / mask.shape[1], float(down.mean()) / mask.shape[0]


def said(run: Run) -> str:
    """Return all that a run tells a person, in lower case."""
    note = (run["plan"] or {}).get("note") or ""
    reasons = [target["reason"] for target in run["targets"]]
    return " ".join([run["message"], run["answer"], note, *reasons]).lower()


def tells(run: Run, *words: str) -> bool:
    return all(word in said(run) for word in words)


def misses(run: Run, word: str) -> bool:
    """Tell whether a part of the request is named as not understood."""
    return any(word in part.lower() for part in run["not_understood"])


def same(first: Run, second: Run) -> bool:
    """Tell whether two runs show the same masks."""
    return ids(first) == ids(second) and area(first) == area(second) > 0


def looked_for_nothing(run: Run) -> bool:
    return not run["rounds"] and not run["targets"]


def cannot_look(run: Run) -> bool:
    return not masks(run) and tells(run, "cannot look for") and run["status"] == "uncertain"


def unsure(run: Run) -> bool:
    return run["status"] == "uncertain" and bool(run["needs_review"])


POLYP, POLYPS = "kvasir_seg/cju0ue769mxii08019zqgdbxn", "kvasir_seg/cju7eea9b2m0z0801ynqv1fqu"
EYE, EYE_5 = "drishti_gs/drishtiGS_003", "drishti_gs/drishtiGS_005"
HEART, HEART_43 = "acdc/patient001_f01_s03", "acdc/patient043_f07_s08"
CELLS = "dsb2018/dsb_0121d6759c5adb29"
BREAST, BREAST_90 = "busi/benign_014", "busi/malignant_090"
CHEST, CHEST_7 = "cxr_lungs/v7_1676212", "cxr_lungs/v7_1676457"
COVID, NORMAL = "covid_cxr/cov_0b3549cb74", "covid_qu_ex_mini/normal_1"
BRAIN, BRAIN_CS = "lgg_mri/TCGA_DU_8167_19970402_017", "lgg_mri/TCGA_CS_5395_19981004_004"
SKIN, PROSTATE = "isic2018/ISIC_0000025", "prostate_mini/bidmc_test_00_00"

ROWS: list[Typed] = [
    Typed(
        HEART,
        ("LV, RV and myocardium", "only the LV"),
        lambda runs: len(shown(runs[0])) == 3 and shown(runs[1]) == {"left ventricle"},
    ),
    Typed(EYE, ("cup and disc", "just the cup"), lambda runs: shown(runs[1]) == {"optic cup"}),
    Typed(
        EYE,
        ("cup and disc", "keep the cup, drop the disc"),
        lambda runs: shown(runs[1]) == {"optic cup"},
    ),
    Typed(
        EYE,
        ("cup", "remove the disc"),
        lambda runs: same(*runs) and tells(runs[1], "nothing to remove"),
    ),
    Typed(
        EYE_5,
        ("disc excluding the cup",),
        lambda runs: (
            (shown(runs[0]) == {"optic disc"} and not masks(runs[0])[0][_centre(masks(runs[0])[0])])
            or misses(runs[0], "excluding")
        ),
    ),
    Typed(
        EYE,
        ("segment the cup and the disc and give me the ratio",),
        lambda runs: (
            shown(runs[0]) == {"optic cup", "optic disc"} and tells(runs[0], "vertical", "area")
        ),
    ),
    Typed(EYE, ("what is the CDR?",), lambda runs: tells(runs[0], "vertical cup to disc ratio")),
    Typed(
        BREAST,
        ("outline the tumour", "is it on the left?"),
        lambda runs: same(*runs) and _names_side(runs[1]),
    ),
    Typed(
        BREAST,
        ("outline the tumour", "measure the diameter"),
        lambda runs: same(*runs) and tells(runs[1], "longest diameter", "short axis", "px"),
    ),
    *(
        Typed(
            BREAST,
            ("outline the tumour", words),
            lambda runs: (
                "m1" not in ids(runs[1]) and "m1" not in {t["label"] for t in runs[1]["targets"]}
            ),
        )
        for words in ("m1 is wrong", "mask m1 is wrong", "reject m1", "mask 1 is wrong")
    ),
    Typed(
        BREAST,
        ("57 yo f, palpable lump R breast. Outline the lesion.",),
        lambda runs: len(runs[0]["targets"]) == 1 and bool(masks(runs[0])),
    ),
    *(
        Typed(
            BREAST,
            ("outline the tumour", words),
            lambda runs: same(*runs) and tells(runs[1], "diagnos"),
        )
        for words in ("is it malignant?", "what's the BI-RADS?")
    ),
    Typed(
        BREAST_90,
        ("outline the tumour", "use a box 91,61,257,180"),
        lambda runs: (
            len(runs[1]["targets"]) == 1
            and any(call["boxes"] for done in runs[1]["rounds"] for call in done["calls"])
        ),
    ),
    Typed(
        POLYPS,
        ("polyps", "second largest"),
        lambda runs: (
            (len(masks(runs[1])) == 1 and area(runs[1]) < max(_areas(runs[0])))
            or tells(runs[1], "only one")
            or tells(runs[1], "only 1")
        ),
    ),
    Typed(
        POLYPS,
        ("the polyp at the bottom",),
        lambda runs: all(middle(mask)[1] >= 0.5 for mask in masks(runs[0])) and bool(said(runs[0])),
    ),
    Typed(
        POLYP,
        ("polyp", "how big is it in mm?"),
        lambda runs: same(*runs) and tells(runs[1], "px", "spacing", "not known"),
    ),
    Typed(
        POLYP,
        ("polyp", "expand the outline by 5 pixels"),
        lambda runs: area(runs[1]) > area(runs[0]) and tells(runs[1], "5 px"),
    ),
    Typed(POLYP, ("polyp", "shrink it"), lambda runs: 0 < area(runs[1]) < area(runs[0])),
    Typed(
        POLYP,
        ("polyp", "smooth the edges"),
        lambda runs: 0.8 < area(runs[1]) / area(runs[0]) < 1.2 and tells(runs[1], "smooth"),
    ),
    Typed(
        POLYP,
        ("polyp", "please remove everything", "undo"),
        lambda runs: not masks(runs[1]) and same(runs[0], runs[2]),
    ),
    Typed(
        POLYP,
        ("outline polyp; then tell me its size",),
        lambda runs: shown(runs[0]) == {"polyp"} and "px" in runs[0]["answer"],
    ),
    *(
        Typed(POLYP, (words,), lambda runs: shown(runs[0]) == {"polyp"})
        for words in (
            "pollyp pls",
            "segmnt teh polp",
            "Bitte den Polypen umranden",
            "¿Hay un pólipo? Delinéalo",
            "请分割息肉",
        )
    ),
    *(
        Typed(POLYP, (words,), lambda runs: looked_for_nothing(runs[0]) and len(said(runs[0])) > 20)
        for words in (
            "what's the weather today?",
            "write me a python script",
            "hi",
            "help",
            "what can you segment?",
        )
    ),
    Typed(
        POLYP,
        ("polyp", "remove the polyp"),
        lambda runs: not masks(runs[1]) and tells(runs[1], "removed"),
    ),
    Typed(
        CELLS,
        ("segment every nucleus separately",),
        lambda runs: len(masks(runs[0])) > 5,
    ),
    Typed(CELLS, ("count the nuclei",), lambda runs: any(map(str.isdigit, runs[0]["answer"]))),
    Typed(
        CELLS,
        ("segment every nucleus separately", "only the nuclei in the top half"),
        lambda runs: (
            0 < len(masks(runs[1])) < len(masks(runs[0]))
            and all(middle(mask)[1] <= 0.5 for mask in masks(runs[1]))
        ),
    ),
    Typed(
        CELLS,
        ("the three largest nuclei",),
        lambda runs: len(masks(runs[0])) == 3,
    ),
    Typed(
        CELLS,
        ("segment every nucleus separately", "remove the ones touching the border"),
        lambda runs: (
            0 < len(masks(runs[1])) < len(masks(runs[0]))
            and not any(_on_border(mask) for mask in masks(runs[1]))
        ),
    ),
    Typed(
        SKIN,
        ("skin lesion", "what is the area in px?"),
        lambda runs: same(*runs) and f"{area(runs[1])} px" in runs[1]["answer"],
    ),
    Typed(
        SKIN,
        ("skin lesion", "ABCD rule: asymmetry?"),
        lambda runs: (
            same(*runs) and (misses(runs[1], "asymmetry") or tells(runs[1], "asymmetry", "cannot"))
        ),
    ),
    Typed(
        BRAIN,
        ("outline the tumour", "is it crossing the midline?"),
        lambda runs: same(*runs) and tells(runs[1], "middle"),
    ),
    Typed(
        BRAIN,
        ("outline the tumour", "left one only"),
        lambda runs: (
            tells(runs[1], "left")
            and ("patient" in said(runs[1]) or "image's" in said(runs[1]))
            and all(middle(mask)[0] >= 0.5 for mask in masks(runs[1]))
        ),
    ),
    Typed(
        BRAIN_CS,
        ("outline the tumour", "I am sure there is one in the left frontal lobe, look again"),
        lambda runs: bool(runs[1]["rounds"]) and misses(runs[1], "frontal lobe"),
    ),
    Typed(
        BRAIN,
        ("outline the tumour", "tighter"),
        lambda runs: 0 < area(runs[1]) < area(runs[0]),
    ),
    Typed(BRAIN, ("outline the tumour", "bigger"), lambda runs: area(runs[1]) > area(runs[0])),
    Typed(HEART, ("ventricle",), lambda runs: _of_heart(runs[0])),
    Typed(
        HEART,
        ("both ventricles",),
        lambda runs: shown(runs[0]) == {"left ventricle", "right ventricle"},
    ),
    Typed(
        HEART,
        ("the bigger ventricle",),
        lambda runs: _of_heart(runs[0]) and len(masks(runs[0])) == 1,
    ),
    *(
        Typed(HEART, (words,), lambda runs: shown(runs[0]) == {"left ventricle"})
        for words in ("left ventrical cavity", "left vetricle")
    ),
    Typed(
        HEART_43,
        ("LV cavity, myocardium and RV cavity",),
        lambda runs: (
            not _overlap(runs[0], "left ventricle", "right ventricle")
            or (
                _statuses(runs[0], "ventricle") == {"uncertain"}
                and runs[0]["needs_review"]
                and tells(runs[0], "same pixels")
            )
        ),
    ),
    *(
        Typed(CHEST, (words,), lambda runs: cannot_look(runs[0]))
        for words in ("nodule", "mass", "tumor")
    ),
    Typed(EYE, ("is there a tumour?",), lambda runs: cannot_look(runs[0])),
    Typed(CHEST, ("lungs but not the heart",), lambda runs: shown(runs[0]) == {"lungs"}),
    Typed(
        CHEST,
        ("both lungs", "compare left and right lung"),
        lambda runs: (
            area(runs[0]) == area(runs[1]) and tells(runs[1], "left", "right", "px", "larger", "%")
        ),
    ),
    Typed(
        CHEST_7,
        ("lungs", "only the left", "add the right lung again"),
        lambda runs: (
            {middle(mask)[0] > 0.5 for mask in masks(runs[1])} == {True}
            and area(runs[2]) > 1.5 * area(runs[1])
        ),
    ),
    Typed(
        COVID,
        ("ground glass opacities in the left lung",),
        lambda runs: all(middle(mask)[0] > 0.5 for mask in masks(runs[0])),
    ),
    Typed(
        COVID,
        ("lung infection and lungs", "how much of the lung is affected in %?"),
        lambda runs: "%" in runs[1]["answer"] and tells(runs[1], "estimate"),
    ),
    Typed(
        NORMAL,
        ("is there pneumonia on this chest film?",),
        lambda runs: runs[0]["status"] != "found" and bool(runs[0]["needs_review"]),
    ),
    Typed(
        PROSTATE,
        (("outline the gallstone", [168, 155, 210, 203]),),
        lambda runs: unsure(runs[0]) and tells(runs[0], "box"),
    ),
    *(
        Typed(
            POLYP,
            ("polyp", words),
            lambda runs: same(*runs) and tells(runs[1], "polyp") and len(runs[1]["answer"]) > 40,
        )
        for words in ("why?", "are you sure?", "explain")
    ),
    *(
        Typed(POLYP, ("polyp", words), lambda runs: not masks(runs[1]))
        for words in ("delete all", "clear")
    ),
    Typed(
        EYE,
        ("cup and disc", "swap cup and disc"),
        lambda runs: area(runs[1], "cup") == area(runs[0], "disc") or misses(runs[1], "swap"),
    ),
    Typed(POLYP, ("polyp", "try again"), lambda runs: bool(runs[1]["rounds"])),
    Typed(
        BREAST_90,
        (("outline the tumour", [91, 61, 257, 180]), "the box was too large"),
        lambda runs: 0 < area(runs[1]) <= area(runs[0]) or bool(runs[1]["not_understood"]),
    ),
]


def _centre(mask: BinaryMask) -> tuple[int, int]:
    down, across = np.nonzero(mask)
    return int((down.min() + down.max()) / 2), int((across.min() + across.max()) / 2)


def _areas(run: Run) -> list[int]:
    return [int(mask.sum()) for mask in masks(run)]


def _names_side(run: Run) -> bool:
    return any(word in run["answer"] for word in ("image's left", "image's right"))


def _on_border(mask: BinaryMask) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _of_heart(run: Run) -> bool:
    concepts = {mask["concept"] for target in run["targets"] for mask in target["masks"]}
    return bool(concepts) and concepts <= {"left ventricle", "right ventricle"}


def _statuses(run: Run, label: str) -> set[str]:
    return {target["status"] for target in run["targets"] if label in target["label"]}


def _overlap(run: Run, first: str, second: str) -> bool:
    one, other = masks(run, first), masks(run, second)
    return bool(one and other) and mask_iou(one[0], other[0]) > 0.5


@pytest.fixture(scope="module")
def service() -> Iterator[TestClient]:
    settings = Settings()
    app = create_app(settings, partial(open_parts, Setup(settings)))
    with TestClient(app, base_url=BASE_URL) as opened:
        yield opened


def converse(service: TestClient, row: Typed) -> list[Run]:
    runs: list[Run] = []
    for turn in row.turns:
        words, box = (turn, None) if isinstance(turn, str) else turn
        body: dict[str, Any] = {"request": words, "box": box}
        if runs:
            body["thread_id"] = runs[0]["thread_id"]
        else:
            body["image"] = base64.b64encode(picture(row.picture).read_bytes()).decode()
        answer = service.post("/agent/segment", json=body)
        assert answer.status_code == 200, (row.id, answer.text)
        runs.append(answer.json())
    return runs


def picture(name: str) -> Path:
    folder, image = name.split("/")
    return DATA / folder / "images" / f"{image}.jpg"


def test_requests_come_out_as_they_were_typed(service: TestClient) -> None:
    wrong = []
    for row in ROWS:
        runs = converse(service, row)
        if not row.shows(runs):
            wrong.append(f"{row.id}\n    {said(runs[-1])}; {runs[-1]['not_understood']}")
    share = 1 - len(wrong) / len(ROWS)
    report = "\n".join([f"{share:.1%} of {len(ROWS)} as asked; the rest:", *wrong])
    assert share >= SHARE, report

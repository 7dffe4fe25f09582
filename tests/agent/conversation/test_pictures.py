"""Requests as people typed them, as intents made by hand, on real pictures and the real weights.

The pictures lie beside the repository (`MEDSAM3_SHARED`); without them these tests are skipped.
"""

import asyncio

import numpy as np
import pytest
from PIL import Image

from agent.schemas.intent import Intent, Thing
from agent.schemas.rounds import Status
from segmenter.backends.compact.backend import CompactBackend
from segmenter.backends.postprocess import select
from segmenter.contract import Capabilities, RgbImage, SegmentRequest, SegmentResult
from segmenter.masks.geometry import mask_box
from tests.agent.conversation.by_hand import ByHand, covered, do, find, shown, thing
from tests.agent.doubles import image_ref
from tests.paths import SHARED

DATA = SHARED / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the test pictures are not in {DATA}")

lv, rv = thing("lv", "left ventricle"), thing("rv", "right ventricle")
disc, cup = thing("disc", "optic disc"), thing("cup", "optic cup")
VENTRICLE = ("left ventricle", "right ventricle", "brain ventricles")
TUMOUR = ("breast tumor", "polyp", "skin lesion", "brain tumor", "lung nodule")


class DirectModel:
    """The bundled model on one picture, asked without a queue."""

    def __init__(self, backend: CompactBackend, pixels: RgbImage) -> None:
        self._backend = backend
        self._embedding = backend.embed(pixels)
        self.requests: list[SegmentRequest] = []

    async def segment(self, request: SegmentRequest, *, timeout_s: float) -> SegmentResult:
        self.requests.append(request)
        can = self._backend.capabilities
        predictions = await asyncio.to_thread(
            self._backend.predict, self._embedding, request.prompts, threshold=request.threshold
        )
        results = [
            select(
                one,
                threshold=request.threshold or can.threshold_of(one.concept),
                nms_iou=0.5,
                max_masks=20,
            )
            for one in predictions
        ]
        return SegmentResult(
            image=request.image,
            results=tuple(results),
            model=can.model,
            embedding_cached=False,
            encode_s=0.0,
            predict_s=0.0,
        )

    async def capabilities(self, *, timeout_s: float) -> Capabilities:
        return self._backend.capabilities


@pytest.fixture(scope="module")
def backend() -> CompactBackend:
    return CompactBackend()


def open_picture(backend: CompactBackend, name: str) -> ByHand:
    (path,) = (DATA / name).parent.joinpath("images").glob(f"{(DATA / name).name}.*")
    pixels = np.asarray(Image.open(path).convert("RGB"))
    image = image_ref(name, width=pixels.shape[1], height=pixels.shape[0])
    return ByHand(DirectModel(backend, pixels), pixels=pixels, image=image)


def calls(talk: ByHand) -> int:
    assert isinstance(talk.segmenter, DirectModel)
    return len(talk.segmenter.requests)


def middle(talk: ByHand, mask: np.ndarray) -> float:
    """Where a mask's middle lies between the picture's left (0) and right (1) edge."""
    box = mask_box(mask)
    assert box is not None
    return (box.x0 + box.x1) / 2 / talk.thread.image.width


def test_only_the_left_ventricle(backend: CompactBackend) -> None:
    talk = open_picture(backend, "acdc/patient001_f01_s03")
    talk.say(find(lv, rv, thing("myocardium")))
    assert list(shown(talk.say(do("keep", lv)))) == ["left ventricle"]


@pytest.mark.parametrize("which", [{}, {"several": True}, {"rank": "largest", "limit": 1}])
def test_a_ventricle_of_a_heart_is_the_hearts(
    backend: CompactBackend, which: dict[str, object]
) -> None:
    talk = open_picture(backend, "acdc/patient001_f01_s03")
    areas = shown(talk.say(find(lv, rv)))
    asked = open_picture(backend, "acdc/patient001_f01_s03").say(
        find(thing("ventricle", *VENTRICLE, **which))
    )
    if which.get("rank"):
        larger = max(areas, key=lambda label: areas[label])
        assert shown(asked) == {larger: areas[larger]}
    elif which:
        assert shown(asked) == areas
    else:
        (ones,) = shown(asked).values()
        assert ones in list(areas.values())


def test_two_ventricles_on_the_same_pixels_are_doubted(backend: CompactBackend) -> None:
    run = open_picture(backend, "acdc/patient043_f07_s08").say(find(lv, thing("myocardium"), rv))
    by_label = {one.target.label: one.status for one in run.targets}
    assert by_label["left ventricle"] is by_label["right ventricle"] is Status.UNCERTAIN
    assert "cover the same pixels" in run.message


def test_cup_and_disc_in_turn(backend: CompactBackend) -> None:
    talk = open_picture(backend, "drishti_gs/drishtiGS_003")
    both = shown(talk.say(find(cup, disc)))
    assert shown(talk.say(do("keep", cup))) == {"optic cup": both["optic cup"]}
    run = talk.say(do("drop", disc))
    assert shown(run) == {"optic cup": both["optic cup"]}
    assert "Nothing to remove: no disc is outlined." in run.message
    assert calls(talk) == 1


def test_a_disc_without_its_cup(backend: CompactBackend) -> None:
    talk = open_picture(backend, "drishti_gs/drishtiGS_005")
    talk.say(find(disc, cup))
    before = covered(talk.say(find(disc)), "optic disc")
    hole = covered(talk.say(find(cup)), "optic cup")
    fresh = open_picture(backend, "drishti_gs/drishtiGS_005")
    run = fresh.say(do("subtract", disc, minus=(cup,), find=(disc,)))
    assert list(shown(run)) == ["optic disc"]
    assert np.array_equal(covered(run, "optic disc"), before & ~hole)


@pytest.mark.parametrize(("act", "grows"), [("tighter", False), ("bigger", True)])
def test_a_tumour_gets_tighter_or_bigger(backend: CompactBackend, act: str, grows: bool) -> None:
    talk = open_picture(backend, "lgg_mri/TCGA_DU_8167_19970402_017")
    before = shown(talk.say(find(thing("brain tumor"))))["brain tumor"]
    after = shown(talk.say(do("bigger" if grows else "tighter")))["brain tumor"]
    assert (sum(after) > sum(before)) == grows
    assert calls(talk) == 1


def test_a_second_look_is_made_with_a_lower_threshold_and_says_so(
    backend: CompactBackend,
) -> None:
    talk = open_picture(backend, "lgg_mri/TCGA_CS_5395_19981004_004")
    talk.say(find(thing("brain tumor")))
    assert isinstance(talk.segmenter, DirectModel)
    lowest = min(one.threshold or 1.0 for one in talk.segmenter.requests)
    made = calls(talk)
    run = talk.say(do("retry"))
    assert "Looked again for brain tumor, with a lower threshold." in run.message
    assert (talk.segmenter.requests[made].threshold or 1.0) < lowest
    assert run.status is not Status.FOUND


def test_one_lung_and_the_other_again(backend: CompactBackend) -> None:
    talk = open_picture(backend, "cxr_lungs/v7_1676457")
    both = covered(talk.say(find(thing("lung", "lungs"))), "lungs")
    one = talk.say(do("keep", which={"side": "left"}))
    assert middle(talk, covered(one, "lungs")) > 0.5
    assert "on the image's right (the patient's left)" in one.message
    again = thing("lung", "lungs", side="right")
    back = covered(talk.say(do("add", again, find=(again,))), "lungs")
    assert (back & both).sum() / both.sum() > 0.95
    assert calls(talk) == 1


def test_an_opacity_is_on_the_side_asked_for_or_nowhere(backend: CompactBackend) -> None:
    talk = open_picture(backend, "covid_cxr/cov_0b3549cb74")
    left = thing("ground glass opacity", "lung infection", side="left")
    run = talk.say(find(left))
    assert run.status is Status.UNCERTAIN
    mask = covered(run, "lung infection")
    assert not mask.any() or middle(talk, mask) >= 0.5


@pytest.mark.parametrize(
    ("picture", "asked"),
    [
        ("cxr_lungs/v7_1676212", thing("tumor", *TUMOUR)),
        ("cxr_lungs/v7_1676212", thing("nodule", "lung nodule")),
        ("drishti_gs/drishtiGS_003", thing("tumor", *TUMOUR)),
        ("drishti_gs/drishtiGS_003", thing("polyp")),
    ],
    ids=["tumour on a chest X-ray", "nodule", "tumour on a fundus", "polyp on a fundus"],
)
def test_what_the_model_does_not_know_there_is_never_said_to_be_absent(
    backend: CompactBackend, picture: str, asked: Thing
) -> None:
    run = open_picture(backend, picture).say(find(asked))
    assert run.status is Status.UNCERTAIN
    assert "cannot look for" in run.message


@pytest.mark.parametrize("name", ["normal_083"])
def test_a_normal_breast_shows_no_tumour(backend: CompactBackend, name: str) -> None:
    run = open_picture(backend, f"busi/{name}").say(find(thing("breast tumor")))
    assert run.status is Status.NOT_FOUND


def test_pneumonia_on_a_normal_film_is_at_most_uncertain(backend: CompactBackend) -> None:
    (name,) = [path.stem for path in (DATA / "covid_qu_ex_mini/images").glob("normal_1.*")]
    run = open_picture(backend, f"covid_qu_ex_mini/{name}").say(
        find(thing("pneumonia", "lung infection"))
    )
    assert run.status is Status.UNCERTAIN


def test_a_box_around_a_word_of_no_picture_is_uncertain(backend: CompactBackend) -> None:
    talk = open_picture(backend, "prostate_mini/bidmc_test_00_00")
    box = {"x0": 168, "y0": 155, "x1": 210, "y1": 203}
    run = talk.say(do("box", find=(thing("gallstone"),), box=box))
    assert run.status is Status.UNCERTAIN
    assert run.targets[0].masks
    assert "cannot tell whether that is gallstone" in run.message


def test_every_nucleus_gets_its_own_mask(backend: CompactBackend) -> None:
    talk = open_picture(backend, "dsb2018/dsb_0121d6759c5adb29")
    nuclei = thing("nucleus", "nuclei", several=True)
    union = covered(talk.say(find(nuclei)), "nuclei")
    run = talk.say(do("split", nuclei))
    (areas,) = shown(run).values()
    assert len(areas) > 10
    assert sum(areas) <= union.sum()
    three = talk.say(do("keep", which={"rank": "largest", "limit": 3}))
    assert sorted(shown(three)["nuclei"]) == sorted(areas)[-3:]


@pytest.mark.parametrize(
    "which", [{"place": "top"}, {"rank": "largest", "limit": 3}, {"border": "clear"}]
)
def test_some_nuclei_are_found_at_once(backend: CompactBackend, which: dict[str, object]) -> None:
    talk = open_picture(backend, "dsb2018/dsb_0121d6759c5adb29")
    run = talk.say(find(thing("nucleus", "nuclei", **which)))
    boxes = [mask.candidate.mask.box for one in run.targets for mask in one.masks]
    height, width = talk.thread.image.height, talk.thread.image.width
    assert boxes
    if "place" in which:
        assert all((box.y0 + box.y1) / 2 < height / 2 for box in boxes)
    elif "rank" in which:
        assert len(boxes) == 3
    else:
        assert all(box.x0 > 0 and box.y0 > 0 for box in boxes)
        assert all(box.x1 < width and box.y1 < height for box in boxes)


def test_the_second_largest_polyp_or_only_one(backend: CompactBackend) -> None:
    talk = open_picture(backend, "kvasir_seg/cju7eea9b2m0z0801ynqv1fqu")
    before = sorted(shown(talk.say(find(thing("polyp", several=True))))["polyp"])
    run = talk.say(do("keep", which={"rank": "largest", "nth": 2, "limit": 1}))
    assert len(shown(run)["polyp"]) == 1
    assert "only one was found" in run.message or shown(run)["polyp"][0] < max(before)


def test_everything_goes_and_a_question_draws_nothing(backend: CompactBackend) -> None:
    talk = open_picture(backend, "kvasir_seg/cju0ue769mxii08019zqgdbxn")
    talk.say(find(thing("polyp")))
    grown = talk.say(do("grow", amount=5, unit="px"))
    assert "grown by 5 px" in grown.message
    assert shown(talk.say(do("clear"))) == {}
    assert talk.say(Intent(talk="off_topic")).targets == ()
    assert calls(talk) == 1

"""Conversations of several turns, on real pictures with the bundled model and no MLLM.

Each turn says what a run must show, so that nothing is done without a word or said without a deed.
Pictures of research sets are not ours to ship, so this skips without.
"""

from collections.abc import Iterator
from functools import partial

import pytest
from fastapi.testclient import TestClient

from api.bootstrap.parts import open_parts
from api.bootstrap.setup import Setup
from api.http.app import create_app
from api.settings import Settings
from tests.api.conftest import BASE_URL
from tests.api.test_requests_as_typed import (
    DATA,
    Run,
    Typed,
    area,
    converse,
    ids,
    masks,
    said,
    same,
    shown,
    tells,
    unsure,
)

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"no pictures: {DATA} is absent")


@pytest.fixture(scope="module")
def service() -> Iterator[TestClient]:
    settings = Settings()
    app = create_app(settings, partial(open_parts, Setup(settings)))
    with TestClient(app, base_url=BASE_URL) as opened:
        yield opened


def talk(service: TestClient, picture: str, *turns: str) -> list[Run]:
    return converse(service, Typed(picture, turns, lambda _: True))


def test_an_undo_takes_back_a_change_and_no_question(service: TestClient) -> None:
    disc, grown, asked, undone, again, redone = talk(
        service,
        "drishti_gs/drishtiGS_005",
        "disc",
        "grow it by 20 %",
        "what changed?",
        "undo",
        "what changed?",
        "redo",
    )
    assert area(grown) > area(disc)
    assert f"{area(disc)} px before" in asked["answer"]
    assert same(undone, disc)
    assert f"{area(disc)} px now, {area(grown)} px before" in again["answer"]
    assert same(redone, grown)


def test_the_side_is_that_of_the_picture_that_the_find_tells(service: TestClient) -> None:
    _, side, left, undone, right, _ = talk(
        service,
        "lgg_mri/TCGA_DU_8167_19970402_017",
        "outline the tumour",
        "is it on the left?",
        "left one only",
        "undo",
        "right one only",
        "thanks",
    )
    assert side["answer"].startswith("No, tumor")
    assert "the patient's right (the image's left)" in side["answer"]
    assert not masks(left)
    assert tells(left, "the image's right (the patient's left)")
    assert masks(undone)
    assert area(right) == area(undone)


def test_a_side_in_the_first_request_is_that_of_what_was_found(service: TestClient) -> None:
    (run,) = talk(service, "lgg_mri/TCGA_DU_8167_19970402_017", "the right tumour")
    assert masks(run)
    assert tells(run, "the image's left (the patient's right)", "the patient's right, on")


def test_two_on_the_same_pixels_are_doubted_while_both_are_there(service: TestClient) -> None:
    both, one, undone, redone, areas, _ = talk(
        service,
        "acdc/patient043_f07_s08",
        "LV cavity, myocardium and RV cavity",
        "remove the right ventricle",
        "undo",
        "redo",
        "area of both?",
        "thanks",
    )
    assert both["needs_review"]
    assert "same pixels" in said(both)
    for run in (one, redone):
        assert "same pixels" not in said(run)
        assert not run["needs_review"]
    assert "same pixels" in said(undone)
    for label in shown(redone):
        assert f"{area(redone, label)} px" in areas["answer"]


def test_what_was_not_understood_makes_a_removal_uncertain_too(service: TestClient) -> None:
    _, accepted, removed, undone, gone, empty = talk(
        service,
        "kvasir_seg/cju13hp5rnbjx0835bf0jowgx",
        "polyp",
        "looks good thanks",
        "remove the polyp and blorgify",
        "undo",
        "outline the polyp and remove it",
        "how big is it?",
    )
    assert unsure(removed)
    assert tells(removed, "blorgify", "removed polyp")
    assert same(undone, accepted)
    assert not masks(gone)
    assert gone["status"] == "found"
    assert not gone["needs_review"]
    assert tells(empty, "not outlined here")


def test_a_question_tells_of_the_masks_that_it_means(service: TestClient) -> None:
    each, touching, clear, smallest, wrong, undone = talk(
        service,
        "dsb2018/dsb_1c2f9e121fc207ef",
        "segment every nucleus separately",
        "how many touch the border?",
        "remove the ones touching the border",
        "which is the smallest?",
        "m1 is wrong",
        "undo",
    )
    gone = len(masks(each)) - len(masks(clear))
    assert f"touching the border: {gone} counted" in touching["answer"]
    least = min(int(mask.sum()) for mask in masks(clear))
    assert f"area {least} px" in smallest["answer"]
    assert not ids(wrong) & ids(clear)
    assert area(wrong) < area(clear) / 2
    assert tells(wrong, "mask m1 is shown as")
    assert same(undone, clear)


def test_a_word_with_several_meanings_is_doubted_as_the_one_found(service: TestClient) -> None:
    lesion, *_ = talk(service, "busi/benign_014", "outline the lesion")
    assert lesion["status"] == "found"


def test_what_is_not_on_the_side_asked_for_is_left_alone_and_said(service: TestClient) -> None:
    _, right, wrong, grown = talk(
        service,
        "cxr_lungs/v7_1676289",
        "lungs",
        "only the right lung",
        "the left lung is wrong",
        "grow the left lung by 2 px",
    )
    for run in (wrong, grown):
        assert same(run, right)
        assert tells(run, "nothing to", "the image's right (the patient's left)")


def test_an_unknown_mask_is_named_with_those_there_are(service: TestClient) -> None:
    with pytest.raises(AssertionError, match=r"m99.*shown now: m1"):
        talk(service, "kvasir_seg/cju13hp5rnbjx0835bf0jowgx", "polyp", "m99 is wrong")


def test_the_last_one_is_the_mask_with_the_last_id(service: TestClient) -> None:
    three, size, two = talk(
        service,
        "dsb2018/dsb_0121d6759c5adb29",
        "the three largest nuclei",
        "how big is the last one?",
        "remove the last one",
    )
    last = max(ids(three), key=lambda name: int(name[1:]))
    assert f"({last})" in size["answer"]
    assert ids(two) == ids(three) - {last}

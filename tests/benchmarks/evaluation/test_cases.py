"""Cases from manifests and from a person's own folders, and the annotations behind them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from api.cli.output import UsageFault
from benchmarks.evaluation.cases import (
    first_images,
    foreign_cases,
    read_cases,
    set_names,
    with_phrases,
)
from benchmarks.evaluation.own import own_cases
from benchmarks.evaluation.truth import read_mask, read_truth
from segmenter.errors import InputError
from segmenter.training.concepts import CONCEPTS, MODALITIES
from segmenter.training.dataset import read_rows
from tests.benchmarks.evaluation.folders import HEIGHT, WIDTH, SetFolder, drawn, save_grey
from tests.paths import SHARED
from tests.segmenter.formats.build import save

BOX = (10, 5, 20, 15)


def data_folder(root: Path) -> Path:
    one = SetFolder(root, "busi").add("a", [BOX], [BOX], group="p1")
    one.add("b", [BOX], [], split="train").add("c", [], [], group="p1")
    one.add("a", [BOX], [BOX], concept="dark region", spacing_row="0.5", spacing_col="0.25")
    return one.write()


def test_only_the_rows_of_the_split_are_read(tmp_path):
    cases = read_cases(data_folder(tmp_path), ["busi"], "test")
    assert [(case.image_id, case.concept, case.group) for case in cases] == [
        ("a", "bright region", "p1"),
        ("c", "bright region", "p1"),
        ("a", "dark region", "a"),
    ]
    assert [case.spacing for case in cases] == [None, None, (0.5, 0.25)]


def test_a_set_that_is_not_there_is_named(tmp_path):
    root = data_folder(tmp_path)
    assert set_names(root, None) == ["busi"]
    with pytest.raises(UsageFault, match=r"no set kvasir_seg .* there are busi"):
        set_names(root, ["busi", "kvasir_seg"])
    with pytest.raises(UsageFault, match=r"expected <set>/manifest.csv"):
        set_names(tmp_path / "elsewhere", None)


def test_a_row_without_files_is_refused_not_skipped(tmp_path):
    one = SetFolder(tmp_path, "busi").add("a", [BOX], [BOX], split="holdout")
    one.rows[0].update(image="", mask="")
    with pytest.raises(UsageFault, match="lists no files for split holdout"):
        read_cases(one.write(), ["busi"], "holdout")


def test_a_manifest_without_a_column_is_refused(tmp_path):
    (tmp_path / "busi").mkdir()
    (tmp_path / "busi" / "manifest.csv").write_text("id,image,mask,concept\n")
    with pytest.raises(UsageFault, match="no column split, group"):
        read_cases(tmp_path, ["busi"], "test")


@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf", "wide"])
def test_a_spacing_that_is_no_size_is_refused(tmp_path, size):
    one = SetFolder(tmp_path, "x").add("a", [], [], spacing_row=size, spacing_col="1")
    with pytest.raises(UsageFault, match="spacing"):
        read_cases(one.write(), ["x"], "test")


def test_the_limit_counts_images_not_rows(tmp_path):
    cases = read_cases(data_folder(tmp_path), ["busi"], "test")
    assert [case.image_id for case in first_images(cases, 1)] == ["a", "a"]
    assert first_images(cases, None) == cases


def test_a_prompt_study_asks_every_case_with_every_phrase(tmp_path):
    cases = first_images(read_cases(data_folder(tmp_path), ["busi"], "test"), 1)
    asked = with_phrases(cases, ["cell", "nuclei"], {})
    assert [(case.concept, case.phrase) for case in asked] == [
        ("bright region", "cell"),
        ("bright region", "nuclei"),
        ("dark region", "cell"),
        ("dark region", "nuclei"),
    ]
    renamed = with_phrases(cases, [], {"dark region": "shadow"})
    assert [case.phrase for case in renamed] == ["bright region", "shadow"]


def test_foreign_questions_are_about_other_modalities_only(tmp_path):
    cases = read_cases(data_folder(tmp_path), ["busi"], "test")
    strange = foreign_cases(cases, 2)
    assert len(strange) == 4
    ruled_out = {one.name for one in CONCEPTS if MODALITIES["busi"] not in one.modalities}
    assert {case.concept for case in strange} <= ruled_out
    assert {case.mask for case in strange} == {None}
    unknown = SetFolder(tmp_path, "unheard_of").add("a", [BOX], [BOX]).write()
    assert foreign_cases(read_cases(unknown, ["unheard_of"], "test"), 2) == []


def test_masks_of_a_persons_own_are_matched_by_name(tmp_path):
    images, masks = tmp_path / "images", tmp_path / "masks"
    for name in ("a", "b", "c"):
        save_grey(images / f"{name}.png", drawn([]))
    save_grey(masks / "a.png", drawn([BOX]))
    save_grey(masks / "b_mask.png", drawn([BOX]))
    save_grey(masks / "c__polyp.png", drawn([BOX]))
    cases = own_cases(images, masks, "polyp", missing_is_absent=False)
    assert [(case.image_id, case.mask.name) for case in cases] == [
        ("a", "a.png"),
        ("b", "b_mask.png"),
        ("c", "c__polyp.png"),
    ]
    assert {(case.concept, case.phrase) for case in cases} == {("polyp", "polyp")}


def test_images_without_mask_are_named_unless_they_lack_the_target(tmp_path):
    images, masks = tmp_path / "images", tmp_path / "masks"
    for number in range(7):
        save_grey(images / f"i{number}.png", drawn([]))
    save_grey(masks / "i0.png", drawn([BOX]))
    with pytest.raises(UsageFault, match="for i1, i2, i3, i4, i5 and 1 more; --missing-is-absent"):
        own_cases(images, masks, "polyp", missing_is_absent=False)
    cases = own_cases(images, masks, "polyp", missing_is_absent=True)
    assert [case.mask is None for case in cases] == [False, *[True] * 6]


def test_two_masks_for_one_image_are_refused(tmp_path):
    save_grey(tmp_path / "images" / "a.png", drawn([]))
    save_grey(tmp_path / "masks" / "a.png", drawn([]))
    save_grey(tmp_path / "masks" / "a_mask.png", drawn([]))
    with pytest.raises(UsageFault, match=r"several masks .* for a"):
        own_cases(tmp_path / "images", tmp_path / "masks", "polyp", missing_is_absent=False)


def test_images_and_masks_may_lie_in_one_folder(tmp_path):
    save_grey(tmp_path / "images" / "a.png", drawn([]))
    masks = tmp_path / "masks"
    save_grey(masks / "a_mask.png", drawn([BOX]))
    save_grey(masks / "ab.png", drawn([BOX]))
    (case,) = own_cases(tmp_path / "images", masks, "polyp", missing_is_absent=False)
    assert case.mask == masks / "a_mask.png"


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("png", np.array([[0, 1], [2, 255]], dtype=np.uint8)),
        ("png", np.array([[0, 1], [300, 65535]], dtype=np.uint16)),
        ("tiff", np.array([[0, 7], [9, 8]], dtype=np.uint16)),
        ("png", np.array([[False, True], [True, True]])),
        ("bmp", np.dstack([np.array([[0, 9], [0, 0]]), *[np.array([[0, 0], [3, 1]])] * 2])),
    ],
    ids=["8 bit", "16 bit", "16 bit, dark labels alike", "1 bit", "colour"],
)
def test_whatever_is_not_black_is_the_target(name, stored):
    picture = stored.astype(np.uint8) if stored.ndim == 3 else stored
    mask = read_mask(save(Image.fromarray(picture), name))
    np.testing.assert_array_equal(mask, [[False, True], [True, True]])


def test_the_ringing_of_a_jpeg_is_no_target():
    mask = drawn([(8, 8, 24, 24)])
    content = save(Image.fromarray(mask.astype(np.uint8) * np.uint8(255)), "jpeg", quality=60)
    np.testing.assert_array_equal(read_mask(content), mask)


def test_the_truth_of_an_image_without_annotation_is_empty(tmp_path):
    (case, *_) = foreign_cases(read_cases(data_folder(tmp_path), ["busi"], "test"), 1)
    truth = read_truth(case, (HEIGHT, WIDTH))
    assert truth.target.shape == (HEIGHT, WIDTH)
    assert not truth.target.any()
    assert truth.labels is None


def test_a_mask_of_another_size_than_its_image_is_refused(tmp_path):
    case = read_cases(data_folder(tmp_path), ["busi"], "test")[0]
    assert read_truth(case, (HEIGHT, WIDTH)).target.sum() == 100
    with pytest.raises(InputError, match="the mask has 40 x 30 pixels, the image 41 x 30"):
        read_truth(case, (HEIGHT, WIDTH + 1))


def shared() -> Path:
    if not (SHARED / "data" / "busi" / "manifest.csv").exists():
        pytest.skip("../shared/data/busi/manifest.csv is missing")
    return SHARED / "data"


def test_the_shared_test_split_is_read_as_training_reads_it():
    root = shared()
    rows = read_rows(root, "test")
    cases = read_cases(root, sorted({row.dataset for row in rows}), "test")
    assert [(one.dataset, one.image_id, one.concept, one.image, one.mask) for one in cases] == [
        (row.dataset, row.id, row.concept, row.image, row.mask) for row in rows
    ]


def test_nuclei_of_the_shared_data_have_labels_where_the_mask_is():
    case = next(iter(read_cases(shared(), ["dsb2018"], "test")))
    with Image.open(case.image) as image:
        truth = read_truth(case, (image.height, image.width))
    assert truth.labels is not None
    np.testing.assert_array_equal(truth.labels > 0, truth.target)


def test_the_validation_split_is_what_training_cuts_off():
    kept = read_cases(shared(), ["busi"], "validation")
    train = read_cases(shared(), ["busi"], "train")
    assert 0 < len(kept) < 0.15 * len(train)
    assert {case.group for case in kept}.isdisjoint(
        {case.group for case in train if case not in kept}
    )

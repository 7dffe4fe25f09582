import numpy as np
import pytest

from segmenter.training.dataset import cut_validation, load, read_picture, read_rows, read_target


def test_only_the_rows_of_the_split_are_read(drawings):
    assert {row.split for row in read_rows(drawings, "train")} == {"train"}
    assert len(read_rows(drawings, "train")) == 32
    assert len(read_rows(drawings, "test", ["busi"])) == 4


def test_no_group_is_on_both_sides_of_the_cut(drawings):
    rows = read_rows(drawings, "train")
    training, validation = cut_validation(rows, 0.25, seed=1)
    assert {row.group for row in training}.isdisjoint({row.group for row in validation})
    assert sorted([*training, *validation]) == sorted(rows)


def test_the_cut_takes_about_its_share_of_every_set(drawings):
    _, validation = cut_validation(read_rows(drawings, "train"), 0.25, seed=1)
    assert [row.dataset for row in validation].count("busi") == 4
    assert [row.dataset for row in validation].count("kvasir_seg") == 4


def test_the_cut_depends_on_the_seed_and_nothing_else(drawings):
    rows = read_rows(drawings, "train")
    first = {row.group for row in cut_validation(rows, 0.25, seed=1)[1]}
    assert first == {row.group for row in cut_validation(rows[::-1], 0.25, seed=1)[1]}
    assert first != {row.group for row in cut_validation(rows, 0.25, seed=2)[1]}


def test_a_sample_holds_pixels_mask_and_boxes(drawings):
    rows = read_rows(drawings, "train", ["busi"])
    samples, _ = load(rows[:2])
    empty, full = samples
    assert empty.mask.max() == 0
    assert empty.boxes.shape == (0, 4)
    np.testing.assert_array_equal(full.rgb, read_picture(rows[1]))
    np.testing.assert_array_equal(full.mask == 255, read_target(rows[1]))
    x0, y0, x1, y1 = full.boxes[0].astype(int)
    assert full.mask[y0:y1, x0:x1].sum() == full.mask.sum()


def test_the_digest_changes_with_the_data(drawings):
    rows = read_rows(drawings, "train", ["busi"])
    assert load(rows[:3])[1] == load(rows[:3])[1]
    assert load(rows[:3])[1] != load(rows[:2])[1]


def test_a_question_without_annotation_has_an_empty_target_and_teaches_nothing(drawings):
    row = read_rows(drawings, "train", ["busi"])[1]._replace(mask=None)
    assert read_target(row).shape == (48, 56)
    assert not read_target(row).any()
    with pytest.raises(ValueError, match="busi_1"):
        load([row])

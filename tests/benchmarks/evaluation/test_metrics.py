from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.evaluation.metrics import Figures, overlap, score_answer
from benchmarks.evaluation.records import Score
from segmenter.masks.geometry import unite
from tests.paths import SAMPLES

# It equals floats, and stands where one is asked for.
near: Any = pytest.approx

EMPTY = np.zeros((4, 6), dtype=np.bool_)


def block(rows, columns):
    mask = EMPTY.copy()
    mask[slice(*rows), slice(*columns)] = True
    return mask


FOUND = block((0, 2), (0, 2))
TARGET = block((0, 2), (1, 4))


def test_overlap_is_two_of_eight_pixels():
    assert overlap(FOUND, TARGET) == pytest.approx((2 * 2 / (4 + 6), 2 / 8))


def test_masks_are_united_and_none_gives_no_pixel():
    assert unite([FOUND, TARGET], (4, 6)).sum() == 8
    assert not unite([], (4, 6)).any()


def test_uniting_leaves_the_masks_as_they_are():
    before = FOUND.copy()
    unite([FOUND, TARGET], (4, 6))
    assert np.array_equal(FOUND, before)


def test_all_figures_of_an_answer_with_instance_labels():
    labels = TARGET.astype(np.uint16) * 9
    # All pixels are outline. To the target: 1, 1, 0, 0. To the answer: 0, 0, 1, 1, 2, 2.
    assert score_answer([FOUND], TARGET, labels=labels) == Figures(
        dice=near(0.4),
        iou=near(0.25),
        hd95=near(2.0),
        surface_dice=1.0,
        unit="px",
        aji=near(0.25),
        pq=0.0,
    )


def test_a_known_spacing_gives_millimetres():
    figures = score_answer([FOUND], TARGET, spacing=(1.0, 1.5))
    # To the target 1.5, 1.5, 0, 0; to the answer 0, 0, 1.5, 1.5, 3, 3: two of ten are too far.
    assert (figures.unit, figures.hd95) == ("mm", pytest.approx(3.0))
    assert figures.surface_dice == pytest.approx(8 / 10)


def test_several_masks_are_scored_as_their_union_and_as_objects_of_their_own():
    labels = np.zeros((4, 6), dtype=np.uint16)
    labels[0:2, 0:2], labels[0:2, 2:4] = 1, 2
    masks = [block((0, 2), (2, 4)), block((0, 2), (0, 2))]
    apart = score_answer(masks, labels > 0, labels=labels)
    assert (apart.dice, apart.aji, apart.pq) == (1.0, 1.0, 1.0)
    merged = score_answer([labels > 0], labels > 0, labels=labels)
    # One object of 8 pixels for two of 4: IoU of one half each, no match.
    assert (merged.dice, merged.aji, merged.pq) == (1.0, 8 / 16, 0.0)


@pytest.mark.parametrize("masks", [[], [EMPTY]], ids=["no mask", "mask without a pixel"])
def test_a_missed_target_scores_0_and_has_no_distance(masks):
    figures = score_answer(masks, TARGET, labels=TARGET.astype(np.uint16))
    assert figures == Figures(
        dice=0.0, iou=0.0, hd95=None, surface_dice=0.0, unit="px", aji=0.0, pq=0.0
    )


@pytest.mark.parametrize("masks", [[], [FOUND]], ids=["no mask", "false alarm"])
def test_without_a_target_nothing_is_defined(masks):
    figures = score_answer(masks, EMPTY, labels=EMPTY.astype(np.uint16))
    assert figures == Figures(None, None, None, None, "px", None, None)


def test_without_labels_objects_are_not_scored():
    figures = score_answer([TARGET], TARGET)
    assert (figures.dice, figures.hd95, figures.aji, figures.pq) == (1.0, 0.0, None, None)


@pytest.mark.parametrize(
    ("masks", "labels"),
    [([FOUND[:1]], None), ([FOUND], np.ones((4, 1), dtype=np.uint16))],
    ids=["mask", "labels"],
)
def test_another_shape_is_refused_and_never_stretched(masks, labels):
    with pytest.raises(ValueError, match="is not the target's"):
        score_answer(masks, TARGET, labels=labels)


def test_the_figures_are_fields_of_a_score():
    figures = score_answer([FOUND], TARGET)
    score = Score(
        dataset="d", image_id="i", concept="c", phrase="c", group="g", mode="T",
        has_target=True, found=True, status="found", **figures._asdict(),
    )  # fmt: skip
    assert score.dice == figures.dice


def test_a_tumor_moved_down_by_a_pixel_loses_its_overhang_and_keeps_its_outline():
    with Image.open(SAMPLES / "busi_tumor_mask.png") as picture:
        target = np.asarray(picture.convert("L")) > 0
    moved = np.roll(target, 1, axis=0)
    assert not target[-1].any()
    figures = score_answer([moved], target)
    overhang = int((moved & ~target).sum())
    assert figures.dice == pytest.approx(1 - overhang / int(target.sum()))
    assert figures.hd95 == 1.0
    assert figures.surface_dice == 1.0

import math
from typing import Any

import pytest

from benchmarks.evaluation.records import Score
from benchmarks.evaluation.summary import (
    Bin,
    dice_correlation,
    expected_calibration_error,
    reliability,
    summarise,
)

# It equals floats, and stands where one is asked for.
near: Any = pytest.approx


def hit(name, dice=0.8, **fields):
    values = {
        "dataset": "busi", "image_id": name, "concept": "tumor", "phrase": "tumor", "group": name,
        "mode": "T", "has_target": True, "found": True, "status": "found",
        "dice": dice, "iou": 0.5, "hd95": 4.0, "surface_dice": 0.6, "seconds": 1.0,
    }  # fmt: skip
    return Score(**(values | fields))


def miss(name, **fields):
    missed = {"found": False, "status": "not_found", "iou": 0.0, "hd95": None, "surface_dice": 0.0}
    return hit(name, **({"dice": 0.0} | missed | fields))


def absent(name, *, found=False, **fields):
    nothing = {"dice": None, "iou": None, "hd95": None, "surface_dice": None}
    status = "found" if found else "not_found"
    return hit(name, **({"has_target": False, "found": found, "status": status} | nothing | fields))


def failed(name, **fields):
    return absent(name, **({"status": "failed", "has_target": True, "error": "broken"} | fields))


def only(scores):
    (row,) = summarise(scores)
    return row


def test_a_missing_mask_counts_0_except_in_the_distance():
    row = only([hit("a", 0.8), hit("b", 0.4, hd95=8.0), miss("c")])
    assert row.n == 3
    assert row.dice == pytest.approx(1.2 / 3)
    assert row.iou == pytest.approx(1.0 / 3)
    assert row.hd95 == pytest.approx(6.0)
    assert row.surface_dice == pytest.approx(1.2 / 3)
    assert row.sensitivity == pytest.approx(2 / 3)


def test_an_unknown_concept_without_figures_counts_as_missed():
    unknown = miss("b", status="unknown", dice=None, iou=None, surface_dice=None)
    row = only([hit("a", 0.8), unknown])
    assert (row.n, row.dice, row.iou, row.surface_dice) == pytest.approx((2, 0.4, 0.25, 0.3))
    assert row.failures == 0


def test_images_without_the_target_give_the_specificity_and_nothing_else():
    absences = [absent("b"), absent("c"), absent("d"), absent("e", found=True)]
    row = only([hit("a"), *absences])
    assert (row.n, row.dice, row.sensitivity) == (1, 0.8, 1.0)
    assert (row.n_absent, row.specificity) == (4, 0.75)


def test_failed_answers_count_as_failures_alone():
    row = only([hit("a", seconds=1.0), failed("b", seconds=99.0), failed("c", has_target=False)])
    assert (row.failures, row.n, row.n_absent, row.dice, row.seconds) == (2, 1, 0, 0.8, 1.0)
    assert row.sensitivity == 1.0


def test_a_row_of_failures_has_no_figures():
    row = only([failed("a")])
    assert (row.n, row.n_absent, row.failures) == (0, 0, 1)
    assert {row.dice, row.iou, row.hd95, row.surface_dice, row.sensitivity, row.seconds} == {None}
    assert {row.specificity, row.dice_low, row.specificity_high} == {None}


def test_an_uncertain_answer_with_masks_counts_as_found():
    uncertain = {"status": "uncertain"}
    row = only(
        [hit("a", **uncertain), miss("b", **uncertain), absent("c", found=True, **uncertain)]
    )
    assert (row.uncertain, row.sensitivity, row.specificity) == (3, 0.5, 0.0)


def test_objects_are_averaged_where_there_are_labels():
    row = only([hit("a", aji=0.2, pq=0.4), hit("b", aji=0.4, pq=0.0), hit("c")])
    assert (row.aji, row.pq) == pytest.approx((0.3, 0.2))
    assert only([hit("a")]).aji is None


def test_the_time_is_the_median():
    row = only([hit("a", seconds=1.0), hit("b", seconds=50.0), absent("c", seconds=2.0)])
    assert row.seconds == 2.0


def test_intervals_are_drawn_over_groups():
    same_patient = [hit("a", 0.0, group="p"), hit("b", 1.0, group="p")]
    assert (only(same_patient).dice_low, only(same_patient).dice_high) == (None, None)
    two = only([hit("a", 0.0), hit("b", 1.0), absent("c"), absent("d", found=True)])
    assert (two.dice_low, two.dice_high) == (0.0, 1.0)
    assert (two.specificity_low, two.specificity_high) == (0.0, 1.0)


def test_rows_are_told_apart_and_sorted():
    scores = [
        hit("a", mode="box"),
        absent("a", foreign=True, concept="polyp", phrase="polyp"),
        absent("b", foreign=True, concept="polyp", phrase="polyp"),
        absent("a", foreign=True, concept="lungs", phrase="lungs"),
        hit("a", phrase="lump"),
        hit("a"),
        hit("a", mode="T+I"),
        hit("a", dataset="acdc"),
    ]
    rows = summarise(scores)
    assert [(row.set, row.foreign, row.concept, row.phrase, row.mode) for row in rows] == [
        ("acdc", False, "tumor", "tumor", "T"),
        ("busi", False, "tumor", "lump", "T"),
        ("busi", False, "tumor", "tumor", "T"),
        ("busi", False, "tumor", "tumor", "T+I"),
        ("busi", False, "tumor", "tumor", "box"),
        ("busi", True, "lungs", "lungs", "T"),
        ("busi", True, "polyp", "polyp", "T"),
    ]
    assert [row.n_absent for row in rows] == [0, 0, 0, 0, 0, 1, 2]
    assert summarise(reversed(scores)) == rows


def test_the_unit_is_that_of_the_measured_distances():
    assert only([hit("a", unit="mm"), absent("b"), failed("c")]).unit == "mm"


def test_pixels_and_millimetres_are_never_averaged():
    row = only([hit("a", unit="mm"), hit("b", unit="px")])
    assert (row.hd95, row.surface_dice, row.dice) == (None, None, pytest.approx(0.8))


def test_no_scores_give_no_rows():
    assert summarise([]) == []


CALIBRATED = [
    hit("a", presence=0.9),
    absent("b", presence=0.9),
    absent("c", presence=0.1),
    hit("d", presence=1.0),
]


def test_presence_is_set_beside_the_share_of_targets():
    low, high = reliability(CALIBRATED)
    assert low == Bin(0.1, 0.2, 1, 0.1, 0.0)
    assert high == Bin(0.9, 1.0, 3, near(2.8 / 3), near(2 / 3))


def test_the_calibration_error_weighs_gaps_by_answers():
    assert expected_calibration_error(CALIBRATED) == pytest.approx((0.1 + (2.8 - 2.0)) / 4)


def test_failed_and_unknown_answers_say_nothing_of_calibration():
    scores = [failed("a"), miss("b", status="unknown")]
    assert reliability(scores) == []
    assert expected_calibration_error(scores) is None


def test_expected_and_true_dice_are_correlated_where_both_are_known():
    pairs = [(0.1, 0.2), (0.2, 0.4), (0.3, 0.6), (0.9, 0.5), (0.7, None), (None, 0.1)]
    scores = [hit(str(n), dice, expected_dice=guess) for n, (guess, dice) in enumerate(pairs)]
    correlation = dice_correlation(scores)
    assert correlation.n == 4
    assert correlation.pearson == pytest.approx(0.0925 / math.sqrt(0.3875 * 0.0875))
    assert correlation.spearman == pytest.approx(0.8)


@pytest.mark.parametrize(
    "guesses", [[0.1, 0.9], [0.5, 0.5, 0.5, 0.5]], ids=["two points", "one value"]
)
def test_too_little_to_correlate_gives_none(guesses):
    scores = [hit(str(n), n / 10, expected_dice=guess) for n, guess in enumerate(guesses)]
    assert dice_correlation(scores) == (len(guesses), None, None)

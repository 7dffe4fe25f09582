import pytest

from segmenter.training.compact.calibration.thresholds import (
    Answer,
    choose_cut,
    choose_threshold,
    lowest_cut,
)


def test_the_threshold_keeps_good_masks_and_refuses_bad_ones():
    good = [Answer("a", True, 0.9, joint) for joint in (0.5, 0.6, 0.7)]
    bad = [Answer("a", False, 0.0, joint) for joint in (0.05, 0.2, 0.3)]
    choice = choose_threshold([*good, *bad])
    assert 0.3 < choice.threshold <= 0.5
    assert choice.dice == pytest.approx(0.9)
    assert choice.specificity == 1


def test_a_large_set_does_not_decide_the_threshold_alone():
    large = [Answer("large", True, 0.9, 0.9)] * 1000
    small = [Answer("small", True, 0.9, 0.2), Answer("small", False, 0.0, 0.1)]
    assert 0.1 < choose_threshold([*large, *small]).threshold <= 0.2


def test_a_couple_of_absences_does_not_weigh_as_much_as_a_dozen():
    present = [Answer("many", True, 0.9, 0.5)] * 20
    dozen = [Answer("many", False, 0.0, 0.2)] * 12
    couple = [Answer("few", False, 0.0, 0.7)] * 2
    assert choose_threshold([*present, *dozen, *couple]).specificity == 1


@pytest.mark.parametrize(
    ("absent", "others", "share", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4], [0.5], 1.0, 0.45),
        ([0.1, 0.2, 0.3, 0.4], [0.5], 0.75, 0.35),
        ([0.1, 0.2, 0.3, 0.4], [0.32], 0.75, 0.31),
        ([0.1, 0.2, 0.3, 0.4], [0.5], 0.74, 0.35),
        ([0.4], [], 1.0, 0.7),
        ([0.0, 0.0, 0.0, 0.2], [0.6], 0.75, 0.1),
    ],
    ids=["all", "three of four", "a present row is nearer", "rounds up", "none above", "ties"],
)
def test_the_cut_lies_midway_above_what_it_has_to_refuse(absent, others, share, expected):
    assert lowest_cut(absent, [*absent, *others], share) == pytest.approx(expected)


def joints(present, absent, foreign=()):
    return [
        *(Answer("a", True, 0.9, score) for score in present),
        *(Answer("a", False, 0.0, score) for score in absent),
        *(Answer("a", False, 0.0, score, foreign=True) for score in foreign),
    ]


def test_annotated_absences_decide_where_there_are_enough():
    # 88 % of 10 is 9: midway between 0.5 and 0.6. Drawn to 0.8 by 10 rows of 20: 0.675.
    absent = [0.1] * 8 + [0.5, 0.9]
    rows = joints([0.6] * 8, absent, foreign=[0.99] * 50)
    assert choose_cut(rows, 0.8) == pytest.approx((0.55 + 0.8) / 2)


def test_a_cut_is_not_drawn_below_what_it_has_to_refuse():
    rows = joints([0.6] * 8, [0.1] * 8 + [0.5, 0.9])
    assert choose_cut(rows, 0.2) == pytest.approx(0.55)


def test_few_annotated_absences_leave_the_cut_to_foreign_questions():
    # 97 % of 50 is 49: midway between 0.1 and 0.3. 50 easy rows count as 10, like the common.
    rows = joints([0.9] * 20, [0.8] * 7, foreign=[0.1] * 49 + [0.3])
    assert choose_cut(rows, 0.4) == pytest.approx((0.2 + 0.4) / 2)


def test_a_concept_nobody_asked_for_in_vain_has_no_cut():
    assert choose_cut(joints([0.9] * 20, []), 0.4) is None

import numpy as np
import pytest

from segmenter.training.calibrate import Answer, Seen, choose_threshold, fit, fit_all


def test_a_fair_logit_stays_as_it_is():
    logits = np.linspace(-4, 4, 4000)
    present = np.random.default_rng(0).random(4000) < 1 / (1 + np.exp(-logits))
    curve = fit(logits, present)
    assert curve.slope == pytest.approx(1, abs=0.1)
    assert curve.offset == pytest.approx(0, abs=0.15)


def test_a_shifted_logit_is_shifted_back():
    logits = np.linspace(-4, 4, 4000)
    present = np.random.default_rng(0).random(4000) < 1 / (1 + np.exp(-logits))
    assert fit(logits + 3, present).offset == pytest.approx(-3, abs=0.4)


def test_sides_that_do_not_overlap_give_a_finite_curve():
    logits = np.concatenate([np.full(50, 8.0), np.full(50, -8.0)])
    curve = fit(logits, logits > 0)
    assert 0.5 < curve.slope < 5


def test_a_concept_with_few_rows_gets_the_common_curve():
    rng = np.random.default_rng(1)
    many = [Seen("polyp", float(rng.normal(2 * side, 2)), side > 0, False) for side in (-1, 1) * 40]
    few = [Seen("prostate", 5.0, True, False), Seen("prostate", -1.0, False, True)]
    curves = fit_all([*many, *few], ["polyp", "prostate", "nuclei"])
    assert curves["prostate"] == curves["nuclei"] != curves["polyp"]


def test_easy_absences_do_not_hide_hard_ones():
    rng = np.random.default_rng(1)
    rows = [Seen("breast tumor", float(value), True, False) for value in rng.normal(3, 1, 40)]
    rows += [Seen("breast tumor", float(value), False, False) for value in rng.normal(2, 1, 12)]
    easy = [Seen("breast tumor", -9.0, False, True)] * 200
    names = ["breast tumor"]
    assert fit_all([*rows, *easy], names) == fit_all(rows, names)


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

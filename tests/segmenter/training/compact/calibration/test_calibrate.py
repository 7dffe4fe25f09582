import numpy as np
import pytest

from segmenter.training.compact.calibration.calibrate import (
    PLAIN,
    Raw,
    calibration_error,
    crossfit_presences,
    fit,
    fit_all,
    fit_scores,
    presences,
    second_half,
)


def coins(logits, seed=0):
    """Whether each is there, with the probability that its logit says."""
    return (np.random.default_rng(seed).random(len(logits)) < 1 / (1 + np.exp(-logits))) * 1.0


def asked(concept, group, logit, present, foreign=False):
    return Raw("set", concept, group, "T", foreign, present, 0.0, logit, None)


def drawn(group, score, dice):
    return Raw("set", "polyp", group, "T", False, True, dice, 0.0, score)


def test_a_fair_logit_stays_as_it_is():
    logits = np.linspace(-4, 4, 4000)
    curve = fit(logits, coins(logits))
    assert curve.slope == pytest.approx(1, abs=0.1)
    assert curve.offset == pytest.approx(0, abs=0.15)


def test_a_shifted_logit_is_shifted_back():
    logits = np.linspace(-4, 4, 4000)
    assert fit(logits + 3, coins(logits)).offset == pytest.approx(-3, abs=0.4)


def test_rare_presence_stays_rare():
    # A tenth of the rows is present whatever the logit: weighing both sides alike would say half.
    logits = np.tile(np.linspace(-1, 1, 10), 40)
    present = np.repeat(np.arange(40) % 10 == 0, 10) * 1.0
    curve = fit(logits, present)
    assert 1 / (1 + np.exp(-curve.offset)) == pytest.approx(0.1, abs=0.02)


def test_sides_that_do_not_overlap_give_a_finite_curve():
    logits = np.concatenate([np.full(50, 8.0), np.full(50, -8.0)])
    assert 0.5 < fit(logits, (logits > 0).astype(np.float64)).slope < 5


def test_without_evidence_the_curve_is_where_it_is_drawn_to():
    found = fit(np.array([0.0]), np.array([0.5]), towards=PLAIN, pull=10.0)
    assert found == pytest.approx(PLAIN)


def test_a_concept_bends_the_common_curve_by_the_weight_of_its_rows():
    logits = np.linspace(-4, 4, 400)
    rows = [
        asked("polyp", f"p{number}", float(logit), bool(there))
        for number, (logit, there) in enumerate(zip(logits, coins(logits), strict=True))
    ]
    few = [asked("prostate", "q", 3.0, False, True)] * 3
    many = [asked("nuclei", "n", 3.0, False, True)] * 300
    curves = fit_all([*rows, *few, *many], ["polyp", "prostate", "nuclei", "lungs"])
    told = {
        name: presences([asked(name, "", 3.0, False)], curves)[0]
        for name in ("polyp", "prostate", "nuclei", "lungs")
    }
    assert told["polyp"] > told["lungs"] > told["prostate"] > told["nuclei"]
    assert told["nuclei"] < 0.1


def test_crossfitting_measures_on_groups_that_were_not_fitted():
    # Both halves hold the same logits but opposite truths, so each half's curve is wrong there.
    groups = [f"g{number}" for number in range(400)]
    rows = [asked("polyp", group, 2.0, second_half(group)) for group in groups]
    told = crossfit_presences(rows)
    present = np.array([row.has_target for row in rows])
    assert told[present].max() < 0.2
    assert told[~present].min() > 0.8


def test_the_calibration_error_weighs_bins_by_their_rows():
    told = np.array([0.95, 0.95, 0.15, 1.0])
    true = np.array([1.0, 0.0, 0.0, 1.0])
    # Top bin: |2.9 - 2.0|; second bin: 0.15; over four rows.
    assert calibration_error(told, true) == pytest.approx((0.9 + 0.15) / 4)


def test_a_score_that_promises_too_much_is_lowered():
    rng = np.random.default_rng(2)
    rows = [drawn(f"g{n}", 0.9, float(rng.uniform(0.5, 0.7))) for n in range(200)]
    curve = fit_scores(rows)
    told = 1 / (1 + np.exp(-(curve.slope * np.log(9.0) + curve.offset)))
    assert told == pytest.approx(0.6, abs=0.05)


def test_an_honest_score_is_left_alone():
    scores = np.linspace(0.05, 0.95, 200)
    assert fit_scores([drawn(f"g{n}", float(s), float(s)) for n, s in enumerate(scores)]) == PLAIN
    assert fit_scores([]) == PLAIN

import pytest

from segmenter.backends.compact.metadata import expected_dice
from segmenter.training.compact.calibration.calibrate import PLAIN, Curve, Raw
from segmenter.training.compact.calibration.fit import Tuning, joint_scores, tune
from segmenter.training.compact.calibration.thresholds import Choice
from segmenter.training.compact.history import presence_report, score_report


def raw(logit, has_target, *, dice=0.0, score=0.5, foreign=False, kind="T", group="g"):
    return Raw("busi", "breast tumor", group, kind, foreign, has_target, dice, logit, score)


def rows():
    present = [raw(4.0, True, dice=0.8, score=0.8, group=f"p{n}") for n in range(20)]
    absent = [raw(-4.0, False, score=0.6, group=f"a{n}") for n in range(12)]
    foreign = [raw(-8.0, False, score=0.3, foreign=True, group=f"f{n}") for n in range(20)]
    boxed = [raw(6.0, True, dice=0.9, score=0.9, kind="T+I", group=f"p{n}") for n in range(20)]
    return [*present, *absent, *foreign, *boxed]


def test_what_is_easily_told_apart_is_told_apart():
    tuning, choice = tune(rows())
    assert isinstance(choice, Choice)
    assert choice.dice == pytest.approx(0.8)
    assert choice.specificity == 1
    joints = joint_scores([raw(4.0, True, score=0.8), raw(-4.0, False)], *tuning[:2])
    cut = tuning.cuts["breast tumor"]
    assert joints[1] < cut < joints[0]


def test_the_joint_score_is_the_product_and_0_without_a_mask():
    curves = {"breast tumor": Curve(1.0, 0.0)}
    found = joint_scores([raw(0.0, True, score=0.8), raw(9.0, True, score=None)], curves, PLAIN)
    assert found.tolist() == pytest.approx([0.4, 0.0])


def test_training_and_backend_map_a_score_alike():
    score = Curve(0.8, 0.3)
    curves = {"breast tumor": Curve(1.0, 60.0)}
    found = joint_scores([raw(0.0, True, score=0.7)], curves, score)
    assert found[0] == pytest.approx(expected_dice(0.7, *score))


def test_a_plain_map_leaves_the_score_as_it_is():
    assert [expected_dice(score, *PLAIN) for score in (0.0, 0.3, 1.0)] == [0.0, 0.3, 1.0]
    # logit 0.8 = ln 4; halved it is ln 2, whose sigmoid is 2/3.
    assert expected_dice(0.8, 0.5, 0.0) == pytest.approx(2 / 3)


def test_the_report_tells_foreign_questions_apart():
    texts = [raw(0.0, True), raw(0.0, False), raw(0.0, False, foreign=True, group="h")]
    tuning = Tuning({"breast tumor": Curve(1.0, 0.0)}, PLAIN, {}, 0.3)
    report = presence_report(texts, tuning)
    # Presence 0.5 for each: one of two annotated is there, one of all three.
    assert report["fitted_ece_annotated"] == 0
    assert report["fitted_ece"] == pytest.approx(0.5 - 1 / 3, abs=1e-4)


def test_the_report_correlates_scores_with_dice():
    scored = [
        raw(1.0, True, dice=dice, score=score)
        for score, dice in ((0.2, 0.1), (0.4, 0.2), (0.8, 0.9))
    ]
    line = score_report(scored, Tuning({}, PLAIN, {}, 0.3))["T"]
    assert line["spearman"] == 1
    assert line["mean_score"] == pytest.approx(1.4 / 3, abs=1e-4)
    # Bins 0.2, 0.4 and 0.8: gaps 0.1, 0.2 and 0.1.
    assert line["ece"] == pytest.approx(0.4 / 3, abs=1e-4)

import numpy as np
import pytest

from benchmarks.evaluation.intervals import bootstrap_interval


@pytest.mark.parametrize("groups", [[], ["a"], ["a", "a", "a"]], ids=["none", "one", "one of 3"])
def test_fewer_than_two_groups_give_no_interval(groups):
    assert bootstrap_interval([0.5] * len(groups), groups) is None


def test_equal_values_give_an_interval_of_no_width():
    assert bootstrap_interval([0.5] * 6, list("abcabc")) == (0.5, 0.5)


def test_single_images_give_the_interval_of_the_normal_approximation():
    values = [0.0, 1.0] * 200
    interval = bootstrap_interval(values, [str(number) for number in range(400)])
    # Standard error 0.5 / sqrt(400).
    assert interval == pytest.approx((0.5 - 1.96 * 0.025, 0.5 + 1.96 * 0.025), abs=0.006)


def test_whole_groups_are_drawn():
    values = [0.0] * 200 + [1.0] * 200
    # Both groups are drawn in half of all cases, one of them alone in a quarter each.
    assert bootstrap_interval(values, ["a"] * 200 + ["b"] * 200) == (0.0, 1.0)


def test_every_image_weighs_the_same_in_groups_of_unlike_size():
    values = [0.0] * 600 + [1.0] * 200
    groups = [f"large {number // 3}" for number in range(600)]
    groups += [f"small {number}" for number in range(200)]
    # Of a ratio: residuals of 0.75 per group, 2 images per group in the mean, 400 groups.
    half = 1.96 * 0.75 / 2 / np.sqrt(400)
    interval = bootstrap_interval(values, groups)
    assert interval == pytest.approx((0.25 - half, 0.25 + half), abs=0.005)


def test_the_interval_does_not_depend_on_the_run_or_on_the_order():
    values = list(np.random.default_rng(3).random(30))
    groups = [f"patient {number % 7}" for number in range(30)]
    first = bootstrap_interval(values, groups)
    assert bootstrap_interval(values, groups) == first
    assert bootstrap_interval(values[::-1], groups[::-1]) == pytest.approx(first, abs=1e-12)


def test_values_without_a_group_are_refused():
    with pytest.raises(ValueError, match="2 values and 1 groups"):
        bootstrap_interval([0.1, 0.2], ["a"])

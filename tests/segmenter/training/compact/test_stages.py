import pytest

from segmenter.training.compact.stages import Stretch, extend, join, read_history, stages_left

BOXED, PLAIN = {"sampling": {"boxed": 0.36}}, {"sampling": {"boxed": 0.25}}


def stretch(steps, settings=PLAIN, stage=1, sha="d", minutes=None):
    return Stretch(stage, settings, sha, steps, steps / 10 if minutes is None else minutes)


@pytest.mark.parametrize(
    ("past", "now", "expected"),
    [
        ([], stretch(5), [stretch(5)]),
        ([stretch(5)], stretch(8), [stretch(8)]),
        ([stretch(5, BOXED)], stretch(8), [stretch(5, BOXED), stretch(3)]),
        ([stretch(5, sha="e")], stretch(8), [stretch(5, sha="e"), stretch(3)]),
        ([stretch(5)], stretch(5, BOXED), [stretch(5)]),
        ([stretch(5)], stretch(2, stage=2), [stretch(5), stretch(2, stage=2)]),
    ],
    ids=["start", "same", "settings", "data", "no step", "new stage"],
)
def test_a_stretch_ends_where_settings_data_or_stage_change(past, now, expected):
    found = extend(past, now)
    assert [each._replace(minutes=0) for each in found] == [
        each._replace(minutes=0) for each in expected
    ]
    assert sum(each.minutes for each in found) == pytest.approx(
        sum(each.minutes for each in expected)
    )


def test_a_history_survives_the_checkpoint():
    history = (stretch(5, BOXED), stretch(3))
    assert read_history({"stages": [each._asdict() for each in history]}) == history


def test_runs_of_one_stage_each_are_joined():
    first, second = [stretch(5)], [stretch(7)]
    assert [(each.stage, each.steps) for each in join([first, second])] == [(1, 5), (2, 7)]


def test_a_stage_named_by_two_runs_counts_once():
    first = [stretch(5, BOXED), stretch(3)]
    second = [*first, stretch(7, stage=2)]
    assert join([first, second]) == join([second]) == tuple(second)


@pytest.mark.parametrize(
    ("stage", "done", "begun", "left"),
    [
        (None, [False, False], [False, False], [1, 2]),
        (None, [False, False], [True, False], [1, 2]),
        (None, [True, False], [True, False], [2]),
        (None, [True, True], [True, True], []),
        (None, [False, False], [True, True], [2]),
        (2, [False, False], [False, False], [2]),
        (1, [True, False], [True, False], []),
    ],
    ids=["all", "broken", "half", "over", "a longer first stage is too late", "second", "done"],
)
def test_finished_stages_are_skipped(stage, done, begun, left):
    assert stages_left(stage, done, begun) == left

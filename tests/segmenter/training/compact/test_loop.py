import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from segmenter.training.compact import losses  # noqa: E402 - after the check for torch
from segmenter.training.compact.command import main  # noqa: E402
from segmenter.training.compact.loop import Budget, batches, learning_rate, train, train_step  # noqa: E402
from segmenter.training.compact.settings import CONFIG, load_settings  # noqa: E402
from segmenter.training.compact.stages import read_history  # noqa: E402
from segmenter.training.compact.state import CHECKPOINT, new_state, read_checkpoint  # noqa: E402
from segmenter.training.compact.views import Views  # noqa: E402
from segmenter.training.dataset import load, read_rows  # noqa: E402
from tests.segmenter.training.drawings import SIDE, tiny_settings  # noqa: E402


def run(drawings, steps):
    settings = tiny_settings(steps=steps)
    samples, _ = load(read_rows(drawings, "train"))
    views = Views(samples, settings.sampling, side=SIDE, seed=7, count=steps * 8)
    state = new_state(settings)
    found = [
        float(train_step(state, batch, settings, 4e-3).total.detach())
        for batch in batches(views, settings, 0)
    ]
    return state, found


def test_training_lowers_the_loss(drawings):
    _, found = run(drawings, 60)
    assert np.mean(found[-10:]) < 0.75 * np.mean(found[:10])


def test_the_same_seed_gives_the_same_weights(drawings):
    first, second = run(drawings, 4), run(drawings, 4)
    assert first[1] == second[1]
    for one, other in zip(first[0].model.parameters(), second[0].model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_averaged_weights_follow_the_trained_ones(drawings):
    state, _ = run(drawings, 4)
    start = new_state(tiny_settings())
    moved = [
        (average - first).norm() > 0
        for average, first in zip(state.average.parameters(), start.model.parameters(), strict=True)
    ]
    # The video layers start at zero and may lie idle for concepts not yet drawn.
    assert np.mean(moved) > 0.9


def test_a_run_goes_on_from_its_checkpoint(drawings, tmp_path):
    settings = tiny_settings()
    train(drawings, tmp_path, settings, budget=Budget(2, math.inf), resume=False)
    state = train(drawings, tmp_path, settings, budget=Budget(4, math.inf), resume=True)
    assert state.step == 4
    assert [(each.steps, each.settings) for each in history(tmp_path)] == [
        (4, settings.model_dump())
    ]
    lines = (tmp_path / "losses.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "1", "2", "3", "4"]
    assert (tmp_path / "validation.csv").exists()


def test_a_run_is_not_overwritten_by_a_fresh_start(drawings, tmp_path):
    settings = tiny_settings()
    train(drawings, tmp_path, settings, budget=Budget(1, math.inf), resume=False)
    with pytest.raises(ValueError, match="--resume"):
        train(drawings, tmp_path, settings, budget=Budget(1, math.inf), resume=False)


def test_changed_settings_and_a_new_stage_stay_in_the_checkpoint(drawings, tmp_path):
    first, other = tiny_settings(), tiny_settings(learning_rate=1e-3)
    train(drawings, tmp_path / "a", first, budget=Budget(1, math.inf), resume=False)
    train(drawings, tmp_path / "a", other, budget=Budget(3, math.inf), resume=True)
    start = tmp_path / "a" / CHECKPOINT
    train(drawings, tmp_path / "b", first, budget=Budget(2, 900), resume=False, start=start)
    assert [(each.stage, each.steps, each.settings) for each in history(tmp_path / "b")] == [
        (1, 1, first.model_dump()),
        (1, 2, other.model_dump()),
        (2, 2, first.model_dump()),
    ]


def history(run):
    return read_history(read_checkpoint(run / CHECKPOINT))


def test_a_checkpoint_of_other_data_is_not_gone_on_from(drawings, tmp_path):
    settings = tiny_settings()
    train(drawings, tmp_path / "run", settings, budget=Budget(1, math.inf), resume=False)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "busi").symlink_to(drawings / "busi")
    with pytest.raises(ValueError, match="not those the checkpoint was trained on"):
        train(tmp_path / "data", tmp_path / "run", settings, budget=Budget(2, 60), resume=True)


@pytest.mark.parametrize(
    ("step", "elapsed_s", "expected"),
    [(0, 0, 0), (50, 0, 0.5), (50, 75, 0.75), (10, 200, 1)],
    ids=["start", "by steps", "by the clock", "late"],
)
def test_the_schedule_follows_whichever_ends_first(step, elapsed_s, expected):
    assert Budget(100, 100).progress(step, elapsed_s) == expected


def test_the_rate_warms_up_and_falls():
    rates = [learning_rate(progress, 1.0, 0.1) for progress in np.linspace(0, 1, 101)]
    assert rates[10] == pytest.approx(1.0)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)


def test_the_settings_in_the_package_are_complete():
    settings = load_settings(CONFIG)
    assert settings.model.side % 32 == 0
    assert settings.model.widths[-1] % settings.model.heads == 0


def test_the_command_asks_for_a_folder(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--out", "somewhere"])
    assert "--data" in capsys.readouterr().err


def test_a_perfect_mask_costs_nearly_nothing():
    target = torch.zeros(2, 1, 8, 8)
    target[0, :, 2:6, 2:6] = 1
    sure = (target * 2 - 1) * 30
    found = losses.compute(
        sure,
        torch.tensor([[30.0], [-30.0]]),
        target,
        torch.ones(2),
        weights=tiny_settings().loss,
    )
    assert float(found.total) < 1e-3


def test_a_view_nobody_can_judge_costs_no_presence():
    target = torch.zeros(1, 1, 8, 8)
    found = losses.compute(
        target - 9, torch.tensor([[9.0]]), target, torch.zeros(1), weights=tiny_settings().loss
    )
    assert float(found.presence) == 0

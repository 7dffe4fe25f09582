import argparse
import math

import pytest

torch = pytest.importorskip("torch", reason="training needs the extra 'train'")

from segmenter.training.compact import command as compact  # noqa: E402 - after the check for torch
from segmenter.training.compact.stages import CONFIGS  # noqa: E402


def asked(out, **options):
    chosen = {"data": out, "out": out, "minutes": math.inf, "steps": 4, "resume": False}
    return argparse.Namespace(**chosen | {"stage": None} | options)


def write_stage(out, number, step):
    folder = out / f"stage-{number}"
    folder.mkdir()
    torch.save({"step": step, "elapsed_s": 60.0}, folder / "checkpoint.pt")


def test_a_finished_run_has_nothing_left_to_do(tmp_path, capsys):
    for number in range(1, len(CONFIGS) + 1):
        write_stage(tmp_path, number, 4)
    compact.run_stages(asked(tmp_path, resume=True))
    assert capsys.readouterr().out == ""


def test_the_second_stage_needs_the_first(tmp_path):
    with pytest.raises(ValueError, match="stage 2 starts from"):
        compact.run_stages(asked(tmp_path, stage=2))


def test_without_resume_a_begun_run_is_not_touched(tmp_path, capsys):
    write_stage(tmp_path, 1, 2)
    with pytest.raises(ValueError, match="--resume"):
        compact.run_stages(asked(tmp_path))

"""``medsam3 segment`` on sequences, in this process, with the double for the model."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api import cli_predict, cli_volume
from api.cli_output import UsageFault
from api.cli_volume import files_of, progress_line
from api.errors import InvalidFields
from api.settings import Settings
from api.wiring import Setup
from segmenter.backends.contract import Backend
from segmenter.errors import InputError
from tests.doubles import BRIGHT, ThresholdBackend

nibabel = pytest.importorskip("nibabel")


def load(settings: Settings) -> Backend[Any]:
    return ThresholdBackend()


def run(*argv: str | Path) -> int:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    for module in (cli_predict, cli_volume):
        module.add_commands(commands)
    arguments = parser.parse_args([str(part) for part in argv])
    code: int = arguments.run(arguments, Setup(Settings(), load))
    return code


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """5 slices of 24 x 30 x 5 voxels of 1 x 2 x 4 mm, a bright block of 6 x 8 on three of them."""
    voxels = np.zeros((24, 30, 5), dtype=np.int16)
    voxels[4:10, 10:18, 1:4] = 1000
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1.0, 2.0, 4.0, 1.0])), path)
    return path


def test_a_volume_is_segmented_and_written(
    volume: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("segment", volume, "--prompt", BRIGHT, "--out", out) == 0
    printed, told = capsys.readouterr()
    assert "bright region: 1 found" in printed
    # 3 slices of 48 voxels of 8 cubic millimetres.
    assert "frames 1 to 3: 144 voxels (1.15 ml)" in printed
    assert "not a medical device" in printed
    assert "5/5 frames" in told
    labels = nibabel.load(out / "labels.nii.gz")
    assert labels.shape == (24, 30, 5)
    assert np.asarray(labels.dataobj).sum() == 144
    assert np.asarray(labels.dataobj)[4:10, 10:18, 1:4].all()
    frames = json.loads((out / "frames.json").read_text(encoding="utf-8"))
    assert [len(frame["objects"]) for frame in frames["frames"]] == [0, 1, 1, 1, 0]
    assert json.loads((out / "result.json").read_text(encoding="utf-8"))["status"] == "done"
    assert (out / "overview.png").read_bytes().startswith(b"\x89PNG")


def test_the_result_alone_is_on_stdout_as_json(
    volume: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("segment", volume, "--prompt", BRIGHT, "--first", "2", "--last", "2", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["progress"] == {"frames_done": 1, "frames_total": 1}
    assert answer["objects"][0]["voxels"] == 48


def test_a_folder_stands_for_its_files(tmp_path: Path) -> None:
    for name in ("b.dcm", "a.dcm", ".hidden"):
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in files_of([tmp_path])] == ["a.dcm", "b.dcm"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageFault, match="no file"):
        files_of([tmp_path / "empty"])
    with pytest.raises(UsageFault, match="there is no"):
        files_of([tmp_path / "missing"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--concept", BRIGHT, "--prompt", BRIGHT], "--concept", id="both"),
        pytest.param(
            ["--frame", "0", "--box", "1,2,3,4", "--box", "1,2,3,4"], "one --box", id="two boxes"
        ),
        pytest.param(["other.png", "--concept", BRIGHT], "--prompt", id="several files"),
    ],
)
def test_options_that_do_not_go_together_are_told(
    volume: Path, options: list[str], message: str
) -> None:
    with pytest.raises(UsageFault, match=message):
        run("segment", volume, *options)


def test_fields_are_checked_as_in_the_http_interface(volume: Path) -> None:
    with pytest.raises(InvalidFields):
        run("segment", volume, "--prompt", BRIGHT, "--window", "40")
    with pytest.raises(InputError):
        run("segment", volume, "--prompt", BRIGHT, "--last", "77")


def test_the_bar_fills() -> None:
    assert progress_line(0, 4) == f"[{'.' * 30}] 0/4 frames"
    assert progress_line(2, 4) == f"[{'#' * 15}{'.' * 15}] 2/4 frames"
    assert progress_line(4, 4) == f"[{'#' * 30}] 4/4 frames"

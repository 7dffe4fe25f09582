"""``medsam3 segment`` on sequences, in this process, with the double for the model."""

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from api.cli.main import main
from api.cli.output import UsageFault, progress_line
from api.cli.volume.command import files_of
from api.settings import Settings
from segmenter.backends.contract import Backend
from tests.doubles import BRIGHT, ThresholdBackend
from tests.segmenter.formats.build import picture, save
from tests.segmenter.formats.dicom.series.build import one_slice, stack


def load(settings: Settings) -> Backend[Any]:
    return ThresholdBackend()


def run(*argv: str | Path) -> int:
    return main([str(part) for part in argv], {}, load)


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
    labels: Any = nibabel.load(out / "labels.nii.gz")
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
    (tmp_path / "below").mkdir()
    for name in ("d.dcm", "c.dcm", ".hidden"):
        (tmp_path / "below" / name).write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index").write_bytes(b"x")
    names = ["a.dcm", "b.dcm", "c.dcm", "d.dcm"]
    assert [path.name for path in files_of([tmp_path])] == names
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageFault, match="no file"):
        files_of([tmp_path / "empty"])
    with pytest.raises(UsageFault, match="there is no"):
        files_of([tmp_path / "missing"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--concept", BRIGHT, "--prompt", BRIGHT], "a sequence takes one --concept"),
        (["--frame", "0", "--box", "1,2,3,4", "--box", "1,2,3,4"], "one --box"),
        (["--prompt", BRIGHT, "--window", "40"], "window: must be two numbers"),
        (["--prompt", BRIGHT, "--last", "77"], "the last one is 4"),
        ([], "a prompt or a box is needed"),
    ],
    ids=["two concepts", "two boxes", "half a window", "beyond the end", "nothing asked"],
)
def test_what_does_not_go_together_is_told(
    volume: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("segment", volume, *options) == 2
    assert message in capsys.readouterr().err


def test_a_volume_is_known_by_its_content(volume: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = volume.rename(volume.with_name("scan.png"))
    assert run("segment", named, "--concept", BRIGHT) == 0
    assert "frames 1 to 3: 144 voxels" in capsys.readouterr().out


def test_the_bar_fills() -> None:
    assert progress_line(0, 4) == f"[{'.' * 30}] 0/4 frames"
    assert progress_line(2, 4) == f"[{'#' * 15}{'.' * 15}] 2/4 frames"
    assert progress_line(4, 4) == f"[{'#' * 30}] 4/4 frames"


def a_folder(folder: Path) -> Path:
    """A series in a folder below, a scout of another series, and what lies beside them."""
    series = folder / "study" / "series"
    series.mkdir(parents=True)
    (folder / "study" / "notes.txt").write_text("seen", encoding="utf-8")
    (series / "empty").write_bytes(b"")
    for k, content in enumerate(stack([0, 3, 6])):
        (series / f"IM{k}.dcm").write_bytes(content)
    return folder


def test_a_folder_of_folders_is_read_and_its_strays_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("segment", a_folder(tmp_path / "in"), "--prompt", BRIGHT, "--out", out) == 0
    printed = capsys.readouterr().out
    assert "skipped file 1 (notes.txt): text" in printed
    assert "skipped file 5 (empty): empty file" in printed
    frames = json.loads((out / "frames.json").read_text(encoding="utf-8"))["frames"]
    assert [frame["source"]["file"] for frame in frames] == [2, 3, 4]
    assert [frame["source"]["position_mm"][2] for frame in frames] == [0, 3, 6]


def test_one_of_several_series_is_chosen_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = a_folder(tmp_path)
    (folder / "scout").write_bytes(one_slice(9, SeriesInstanceUID="1.2.3.7", SeriesNumber="1"))
    assert run("segment", folder, "--prompt", BRIGHT) == 2
    assert "choose one with series=1 to 2" in capsys.readouterr().err
    assert run("segment", folder, "--prompt", BRIGHT, "--series", "2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["sequence"]["frames"] == 3


@pytest.mark.parametrize(
    ("option", "value"),
    [("--window", "40,400"), ("--preset", "lung"), ("--series", "2"), ("--volume", "2")],
)
def test_an_option_of_volumes_is_refused_for_one_image(
    option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(save(Image.fromarray(picture()), "png"))
    assert run("segment", path, "--concept", BRIGHT, option, value) == 2
    assert f"{option} is of volumes and clips, and this is one image" in capsys.readouterr().err

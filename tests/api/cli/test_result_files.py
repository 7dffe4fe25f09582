"""The files of a result: those of the result before go, those of others stay."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.cli.main import main
from api.cli.result_files import names_in
from api.settings import Settings
from segmenter.backends.contract import Backend
from tests.doubles import BRIGHT, DARK, NOTHING, ThresholdBackend

OURS = ["measures.csv", "overlay.png", "result.json"]


def segment(image: Path, out: Path, *concepts: str) -> int:
    def load(settings: Settings) -> Backend[Any]:
        return ThresholdBackend()

    asked = [word for concept in concepts for word in ("--concept", concept)]
    return main(["segment", str(image), *asked, "--out", str(out)], {}, load)


@pytest.fixture
def image(tmp_path: Path, png: bytes) -> Path:
    path = tmp_path / "scan.png"
    path.write_bytes(png)
    return path


def test_masks_of_the_result_before_are_removed(image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert segment(image, out, BRIGHT, DARK) == 0
    assert (out / "m2.png").exists()
    assert segment(image, out, BRIGHT) == 0
    assert sorted(path.name for path in out.iterdir()) == ["m1.png", *OURS]
    assert segment(image, out, NOTHING) == 0
    assert sorted(path.name for path in out.iterdir()) == OURS


def test_files_of_others_stay(image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert segment(image, out, BRIGHT, DARK) == 0
    for name in ("m3.png", "m10.png", "mine.png", "labels.nii.gz", "notes.json"):
        (out / name).write_bytes(b"mine")
    assert segment(image, out, NOTHING) == 0
    kept = {path.name for path in out.iterdir()}
    assert kept == {
        *("m3.png", "m10.png", "mine.png", "labels.nii.gz", "notes.json"),
        *OURS,
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no JSON",
        b"[1, 2]",
        json.dumps({"masks": [{"id": "m1"}]}).encode(),
        json.dumps({"targets": [{"masks": [{"id": "m1"}]}]}).encode(),
    ],
    ids=["empty", "text", "list", "another program's", "half of one"],
)
def test_a_result_that_is_not_ours_names_no_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "result.json").write_bytes(content)
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize("hostile", ["../secret", "m1/../../x", "/etc/passwd", "m01", "M1", "m1\n"])
def test_a_result_never_names_a_file_elsewhere(tmp_path: Path, hostile: str) -> None:
    result = {"provenance": {}, "image": {}, "targets": [{"masks": [{"id": hostile}]}]}
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert names_in(tmp_path) == set()


def test_files_of_a_volume_make_room_for_those_of_a_picture(image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "result.json").write_text(json.dumps({"provenance": None, "sequence": {}}))
    for name in ("frames.json", "labels.nii.gz", "overview.png"):
        (out / name).write_bytes(b"of before")
    assert segment(image, out, BRIGHT) == 0
    assert sorted(path.name for path in out.iterdir()) == ["m1.png", *OURS]

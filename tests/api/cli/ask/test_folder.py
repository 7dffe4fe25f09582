"""``medsam3 ask FOLDER``, through `main`, with the double for the model."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.cli.main import main
from api.settings import Settings
from segmenter.backends.contract import Backend
from segmenter.formats.raster.image import encode_png
from tests.doubles import ThresholdBackend

# The double knows no anatomy, but a box shows it what is meant.
REQUEST = "outline the lesion"
BOX = ("--box", "0,0,60,30")


class Models:
    """Loads the double and keeps it."""

    def __init__(self, weights_id: str = "threshold-1") -> None:
        self.loaded: list[ThresholdBackend] = []
        self._weights_id = weights_id

    def load(self, settings: Settings) -> Backend[Any]:
        self.loaded.append(ThresholdBackend(weights_id=self._weights_id))
        return self.loaded[-1]

    @property
    def embeds(self) -> int:
        return sum(model.embeds for model in self.loaded)


def picture(shade: int = 220) -> bytes:
    pixels = np.zeros((30, 60, 3), dtype=np.uint8)
    pixels[10:18, 5:13] = shade
    return encode_png(pixels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures of today"
    (folder / "deeper").mkdir(parents=True)
    (folder / "a.png").write_bytes(picture())
    (folder / "deeper" / "b.png").write_bytes(picture(230))
    return folder


def ask(folder: Path, out: Path, *more: str, models: Models | None = None) -> int:
    argv = ["ask", str(folder), more[0] if more else REQUEST, *BOX, "--out", str(out), *more[1:]]
    return main(argv, {}, (models or Models()).load)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def files(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_every_picture_is_asked_about_with_one_model(folder: Path, tmp_path: Path) -> None:
    out, models = tmp_path / "out", Models()
    assert ask(folder, out, models=models) == 0
    assert len(models.loaded) == 1
    assert models.embeds == 2
    found = rows(out)
    assert [row["file"] for row in found] == ["a.png", "deeper/b.png"]
    assert {row["area_px"] for row in found} == {"64"}
    for name in ("a.png", "deeper/b.png"):
        place = out / "pictures" / name
        assert json.loads((place / "result.json").read_text())["request"] == REQUEST
        assert (place / "overlay.png").read_bytes().startswith(b"\x89PNG")
        assert (place / "m1.png").exists()


def test_a_second_run_does_only_the_rest(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert ask(folder, out) == 0
    before = rows(out)
    (folder / "c.png").write_bytes(picture(240))
    again = Models()
    assert ask(folder, out, models=again) == 0
    assert again.embeds == 1
    assert "2 of them were done before" in capsys.readouterr().out
    assert [row for row in rows(out) if row["file"] != "c.png"] == before


@pytest.mark.parametrize(
    "change", ["picture", "request", "option", "weights", "lost mask", "broken off"]
)
def test_what_a_result_depends_on_makes_it_anew(folder: Path, tmp_path: Path, change: str) -> None:
    out = tmp_path / "out"
    assert ask(folder, out) == 0
    again = Models("threshold-2" if change == "weights" else "threshold-1")
    more: tuple[str, ...] = ()
    anew = 2
    if change == "picture":
        (folder / "a.png").write_bytes(picture(250))
        anew = 1
    if change == "request":
        more = ("please outline the lesion",)
    if change == "option":
        more = (REQUEST, "--max-rounds", "1")
    if change == "lost mask":
        (out / "pictures" / "a.png" / "m1.png").unlink()
        anew = 1
    if change == "broken off":
        (out / "pictures" / "a.png" / "done.json").unlink()
        anew = 1
    assert ask(folder, out, *more, models=again) == 0
    assert again.embeds == anew


def test_a_bad_file_is_named_and_the_others_go_on(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (folder / "cut.png").write_bytes(picture()[:60])
    (folder / "words.png").write_text("no picture at all")
    (folder / "gone.jpg").symlink_to("nowhere")
    assert ask(folder, out) == 1
    printed, told = capsys.readouterr()
    assert "3 of 5 pictures failed" in printed
    assert "cut.png: " in told
    bad = {row["file"]: row["message"] for row in rows(out) if row["status"] == "error"}
    assert bad.keys() == {"cut.png", "words.png", "gone.jpg"}
    assert all(bad.values())
    assert [row["file"] for row in rows(out) if row["status"] != "error"] == [
        "a.png",
        "deeper/b.png",
    ]


def test_a_picture_that_turned_bad_keeps_no_result_of_before(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert ask(folder, out) == 0
    (folder / "a.png").write_bytes(b"damaged")
    assert ask(folder, out) == 1
    assert not (out / "pictures" / "a.png").exists()


def test_what_is_no_picture_is_skipped_and_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / ".hidden.png").write_bytes(picture())
    (folder / ".cache").mkdir()
    (folder / "notes.txt").write_text("seen on Monday, nothing new")
    (folder / "report.pdf").write_bytes(b"%PDF-1.7 ...")
    (folder / "DICOMDIR").write_bytes(b"an index")
    (folder / "round").symlink_to(folder)
    os.mkfifo(folder / "pipe.png")
    assert ask(folder, tmp_path / "out") == 0
    told = capsys.readouterr().err
    for name in (
        ".hidden.png",
        ".cache",
        "notes.txt",
        "report.pdf",
        "DICOMDIR",
        "round",
        "pipe.png",
    ):
        assert f"skipped {name}: " in told
    assert len(rows(tmp_path / "out")) == 2


def test_names_are_kept_apart_whatever_they_are(folder: Path, tmp_path: Path) -> None:
    names = ["a.jpg", "ä ö.png", "line\nbreak.png", "=1+1.png", "\x1b[31m.png", "-x.png", "m1.png"]
    for name in names:
        (folder / name).write_bytes(picture(200 + len(name)))
    (folder / "link.png").symlink_to("a.png")
    undecodable = os.fsdecode(b"raw\xff.png")
    (folder / undecodable).write_bytes(picture())
    out = tmp_path / "out"
    assert ask(folder, out) == 0
    shown = [row["file"] for row in rows(out)]
    assert len(set(shown)) == len(names) + 4
    assert {"./=1+1.png", "./-x.png", "line\\nbreak.png", "\\x1b[31m.png", "ä ö.png"} <= set(shown)
    assert "raw\\xff.png" in shown
    for name in [*names, "a.png", "link.png", undecodable]:
        assert (out / "pictures" / name / "result.json").exists()


def test_results_of_pictures_that_are_gone_are_removed_and_nothing_else(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    other.mkdir()
    (other / "x.png").write_bytes(picture(190))
    assert ask(other, out) == 0
    assert ask(folder, out) == 0
    (out / "pictures" / "a.png" / "mine.txt").write_text("a note")
    (folder / "a.png").unlink()
    (folder / "deeper" / "b.png").unlink()
    (folder / "c.png").write_bytes(picture(240))
    assert ask(folder, out) == 0
    assert "removed the result of a.png" in capsys.readouterr().err
    left = files(out)
    assert "pictures/a.png/mine.txt" in left
    assert "pictures/x.png/result.json" in left
    assert [name for name in left if name.startswith(("pictures/a.png", "pictures/deeper"))] == [
        "pictures/a.png/mine.txt"
    ]


def test_results_inside_the_folder_are_no_pictures_of_it(folder: Path) -> None:
    out = folder / "results"
    assert ask(folder, out) == 0
    assert ask(folder, out) == 0
    assert [row["file"] for row in rows(out)] == ["a.png", "deeper/b.png"]


@pytest.mark.parametrize("where", ["itself", "around"])
def test_results_are_not_mixed_with_the_pictures(
    folder: Path, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    around = folder.rename(folder.with_name("pictures"))
    assert ask(around, around if where == "itself" else around.parent) == 2
    assert "name another folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["ask", "FOLDER", REQUEST], "--out DIR"),
        (["ask", "FOLDER", REQUEST, "--keep", "--out", "OUT"], "--keep"),
        (["ask", "EMPTY", REQUEST, "--out", "OUT"], "there is no picture"),
        (["ask", "FOLDER", REQUEST, "--out", "OUT", "--planner", "gemini"], "planner"),
    ],
)
def test_what_a_folder_cannot_have_is_one_line(
    folder: Path, tmp_path: Path, argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    names = {"FOLDER": str(folder), "OUT": str(tmp_path / "out"), "EMPTY": str(tmp_path / "empty")}
    assert main([names.get(each, each) for each in argv], {}, Models().load) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_json_says_what_came_of_each(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "cut.png").write_bytes(picture()[:60])
    assert ask(folder, tmp_path / "out", REQUEST, "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert [each["file"] for each in answer["pictures"]] == ["a.png", "cut.png", "deeper/b.png"]
    assert answer["failed"] == 1
    assert answer["table"] == str(tmp_path / "out" / "results.csv")


def test_a_picture_over_the_limit_is_not_read(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    large = picture() + b"\0" * 5000
    (folder / "large.png").write_bytes(large)
    environ = {"MEDSAM3_MAX_UPLOAD_BYTES": "4000"}
    assert main(["ask", str(folder), REQUEST, *BOX, "--out", str(out)], environ, Models().load) == 1
    bad = [row for row in rows(out) if row["status"] == "error"]
    assert [(row["file"], row["message"]) for row in bad] == [
        ("large.png", f"{len(large)} bytes, over the limit of 4000")
    ]

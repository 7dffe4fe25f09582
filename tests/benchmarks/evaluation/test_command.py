"""``medsam3 evaluate`` through `main`: with the bundled model on shipped and shared images."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from api.cli.main import main
from api.cli.output import UsageFault
from api.settings import Settings
from benchmarks.evaluation.cli import split_phrases
from benchmarks.evaluation.provenance import git_commit
from benchmarks.evaluation.records import Score
from segmenter.backends.compact.backend import WEIGHTS
from segmenter.backends.compact.metadata import METADATA
from segmenter.backends.contract import Backend
from tests.benchmarks.evaluation.folders import SetFolder, drawn, save_grey
from tests.doubles import ThresholdBackend
from tests.paths import ROOT, SAMPLES, SHARED

DATA = SHARED / "data"
SEEN, TRUE = (10, 5, 20, 15), (10, 5, 20, 10)


def load_double(settings: Settings) -> Backend[Any]:
    return ThresholdBackend()


def bundled(*argv: str | Path) -> int:
    return main(["evaluate", *map(str, argv)], {})


def doubled(*argv: str | Path) -> int:
    return main(["evaluate", *map(str, argv)], {}, load_double)


def summary(out: Path) -> dict[str, Any]:
    return json.loads((out / "summary.json").read_text())


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    one = SetFolder(tmp_path / "data", "busi").add("half", [SEEN], [TRUE]).add("none", [], [])
    return one.add("other", [SEEN], [SEEN], split="train").write()


@pytest.fixture
def samples(tmp_path: Path) -> tuple[Path, Path]:
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    masks.mkdir()
    for name in ("busi_tumor", "busi_normal"):
        shutil.copy(SAMPLES / f"{name}.jpg", images)
        shutil.copy(SAMPLES / f"{name}_mask.png", masks)
    return images, masks


def test_a_summary_has_the_figures_a_hand_computes(boxes, tmp_path, capsys):
    out = tmp_path / "out"
    assert doubled("--data", boxes, "--mode", "all", "--out", out, "--no-pictures") == 0
    rows = {row["mode"]: row for row in summary(out)["rows"]}
    # Of 100 bright pixels 50 are true: 2 * 50 / 150.
    assert rows["T"]["dice"] == pytest.approx(2 / 3)
    assert rows["T"]["iou"] == pytest.approx(1 / 2)
    assert (rows["T"]["n"], rows["T"]["n_absent"], rows["T"]["specificity"]) == (1, 1, 1.0)
    assert (rows["T+I"]["dice"], rows["T+I"]["n_absent"]) == (1.0, 0)
    assert sorted(rows) == ["T", "T+I", "T+I moved", "box"]
    shown, told = capsys.readouterr()
    assert "0.667" in shown
    assert "2 of 2 images" in told


def test_every_score_is_a_line_of_the_csv(boxes, tmp_path):
    out = tmp_path / "out"
    doubled("--data", boxes, "--mode", "T", "T+I", "--out", out, "--no-pictures")
    with (out / "scores.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == list(Score.model_fields)
    assert [(row["image_id"], row["mode"]) for row in rows] == [
        ("half", "T"),
        ("half", "T+I"),
        ("none", "T"),
    ]
    assert rows[2]["dice"] == ""


def test_provenance_says_what_decides_the_figures(boxes, tmp_path):
    out = tmp_path / "out"
    doubled("--data", boxes, "--out", out, "--threshold", "0.25", "--limit", "1")
    found = summary(out)["provenance"]
    assert (found["weights_id"], found["threshold"], found["limit"]) == ("threshold-1", 0.25, 1)
    assert (found["split"], found["modes"], found["planner"]) == ("test", ["T"], None)
    assert list(found["data_sha256"]) == ["busi"]
    assert (found["answers"], found["failures"]) == (1, 0)
    text = (out / "summary.json").read_text()
    assert str(tmp_path) not in text
    assert "NaN" not in text


def test_a_second_run_goes_on_and_another_question_is_refused(boxes, tmp_path, capsys):
    out = tmp_path / "out"
    base = ("--data", boxes, "--out", out, "--no-pictures")
    assert doubled(*base) == 0
    before = (out / "scores.jsonl").read_bytes()
    assert doubled(*base) == 0
    assert (out / "scores.jsonl").read_bytes() == before
    assert doubled(*base, "--threshold", "0.3") == 2
    assert "--restart" in capsys.readouterr().err
    assert doubled(*base, "--threshold", "0.3", "--restart") == 0
    assert summary(out)["provenance"]["threshold"] == 0.3


def test_a_failed_image_is_told_and_the_exit_code_is_one(boxes, tmp_path, capsys):
    (boxes / "busi" / "images" / "none.png").write_bytes(b"GIF89a")
    assert doubled("--data", boxes, "--out", tmp_path / "out", "--no-pictures") == 1
    assert "failed: busi none, bright region, T: BrokenImage" in capsys.readouterr().err
    row = summary(tmp_path / "out")["rows"][0]
    assert (row["n"], row["n_absent"], row["failures"]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sets", "nowhere"], "no set nowhere"),
        (["--split", "holdout"], "no image of split holdout"),
        (["--box-jitter", "0.5"], "--box-jitter"),
        (["--threshold", "2"], "--threshold"),
        (["--limit", "0"], "--limit"),
        (["--request", "Segment it."], "--request must hold {phrase}"),
        (["--phrase", "polyp"], "--phrase CONCEPT=PHRASE"),
        (["--mode", "agent", "--planner", "gemini"], "planner 'gemini' has no model or key"),
    ],
    ids=["set", "split", "jitter", "threshold", "limit", "request", "phrase", "planner"],
)
def test_what_cannot_be_asked_is_bad_input(boxes, tmp_path, capsys, words, said):
    assert doubled("--data", boxes, "--out", tmp_path / "out", *words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "scores.jsonl").exists()


def test_a_phrase_may_hold_for_one_concept_or_for_a_study():
    assert split_phrases(["polyp", "a=b c"]) == (["polyp"], {"a": "b c"})
    for pair in (["=b"], ["a="], ["a=b", "a=c"]):
        with pytest.raises(UsageFault):
            split_phrases(pair)


def test_other_words_keep_their_concept(boxes, tmp_path):
    out = tmp_path / "out"
    base = ("--data", boxes, "--out", out, "--no-pictures")
    assert doubled(*base, "--phrases", "bright region", "glow") == 0
    rows = {row["phrase"]: row for row in summary(out)["rows"]}
    assert {row["concept"] for row in rows.values()} == {"bright region"}
    assert (rows["glow"]["dice"], rows["glow"]["sensitivity"]) == (0.0, 0.0)
    assert rows["bright region"]["dice"] == pytest.approx(2 / 3)
    assert doubled(*base, "--restart", "--phrase", "bright region=dark region") == 0
    (row,) = summary(out)["rows"]
    assert (row["concept"], row["phrase"]) == ("bright region", "dark region")


def test_the_bundled_model_on_a_persons_own_folders(samples, tmp_path):
    images, masks = samples
    out = tmp_path / "out"
    words = ("--images", images, "--masks", masks, "--phrase", "breast tumor")
    assert bundled(*words, "--mode", "all", "agent", "--out", out) == 0
    rows = {row["mode"]: row for row in summary(out)["rows"]}
    assert (rows["T"]["n"], rows["T"]["n_absent"]) == (1, 1)
    assert rows["T"]["dice"] > 0.5
    assert rows["T+I"]["dice"] > 0.8
    assert rows["agent"]["dice"] > 0.5
    assert (out / "report.md").read_text().startswith("# Evaluation")
    pictures = list((out / "pictures").glob("*.png"))
    assert pictures
    assert all(f"pictures/{path.name}" in (out / "report.md").read_text() for path in pictures)


def test_an_image_without_mask_is_refused_or_absent(samples, tmp_path, capsys):
    images, masks = samples
    (masks / "busi_normal_mask.png").unlink()
    words = ("--images", images, "--masks", masks, "--phrase", "breast tumor", "--no-pictures")
    out = tmp_path / "out"
    assert bundled(*words, "--out", out) == 2
    assert "for busi_normal; --missing-is-absent" in capsys.readouterr().err
    assert bundled(*words, "--out", out, "--missing-is-absent") == 0
    (row,) = summary(out)["rows"]
    assert (row["n"], row["n_absent"], row["foreign"]) == (1, 1, False)


def test_the_bundled_model_on_the_shared_data(tmp_path):
    if not (DATA / "dsb2018" / "manifest.csv").exists():
        pytest.skip("../shared/data/dsb2018/manifest.csv is missing")
    out = tmp_path / "out"
    words = ("--data", DATA, "--sets", "dsb2018", "--limit", "3", "--foreign", "2")
    assert bundled(*words, "--mode", "T", "T+I", "--out", out, "--no-pictures") == 0
    rows = summary(out)["rows"]
    own = {row["mode"]: row for row in rows if not row["foreign"]}
    assert (own["T"]["n"], own["T+I"]["n"]) == (3, 3)
    assert own["T"]["dice"] > 0.5
    assert 0.1 < own["T"]["pq"] < 1.0
    assert sum(row["n_absent"] for row in rows if row["foreign"]) == 6
    assert "Table 2" in (out / "report.md").read_text()


def test_other_weights_can_be_measured_before_they_are_shipped(samples, tmp_path, capsys):
    images, masks = samples
    words = ("--images", images, "--masks", masks, "--phrase", "breast tumor", "--no-pictures")
    folder = shutil.copytree(WEIGHTS, tmp_path / "weights")
    facts = json.loads((folder / METADATA).read_text())
    (folder / METADATA).write_text(json.dumps({**facts, "weights_id": "candidate"}))
    assert bundled(*words, "--out", tmp_path / "out", "--weights", folder) == 0
    assert summary(tmp_path / "out")["provenance"]["weights_id"] == "candidate"
    assert bundled(*words, "--out", tmp_path / "out", "--weights", tmp_path / "none") == 1
    assert "no usable weights in" in capsys.readouterr().err


def test_masks_of_one_grey_level_are_targets_too(tmp_path):
    save_grey(tmp_path / "images" / "a.png", drawn([SEEN]))
    save_grey(tmp_path / "masks" / "a.png", drawn([SEEN]))
    out = tmp_path / "out"
    words = ("--images", tmp_path / "images", "--masks", tmp_path / "masks")
    assert doubled(*words, "--phrase", "bright region", "--out", out, "--no-pictures") == 0
    assert summary(out)["rows"][0]["dice"] == 1.0


def test_a_missing_package_is_named_with_what_installs_it(tmp_path):
    script = (
        "import sys; sys.modules['tqdm'] = None\n"
        "from api.cli.main import main\n"
        "sys.exit(main(['evaluate', '--data', 'x', '--out', 'x'], {}))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "error: evaluating needs the package tqdm: pip install 'medsam3-agent[evaluate]'\n"
    )


def test_a_commit_is_told_inside_of_the_repository_only(tmp_path):
    assert git_commit(tmp_path) is None
    found = git_commit(ROOT)
    if found is None:
        pytest.skip("the sources are in no git repository, or git is missing")
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", found)

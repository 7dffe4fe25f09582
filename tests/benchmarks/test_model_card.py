import json
from pathlib import Path

import pytest

from benchmarks.evaluation.records import Score, SummaryRow
from benchmarks.model_card import main
from benchmarks.targets import goal, reached, tells_absence, verdicts


def row(dice: float, mode: str = "T", **changes: object) -> SummaryRow:
    fields = dict.fromkeys(SummaryRow.model_fields) | {
        "set": "busi",
        "concept": "breast tumor",
        "phrase": "breast tumor",
        "mode": mode,
        "foreign": False,
        "n": 40,
        "dice": dice,
        "dice_low": dice - 0.05,
        "dice_high": dice + 0.05,
        "unit": "px",
        "n_absent": 20,
        "sensitivity": 0.9,
        "specificity": 0.85,
        "uncertain": 0,
        "failures": 0,
    }
    return SummaryRow.model_validate(fields | changes)


def test_a_target_is_reached_at_its_figure_and_missed_below() -> None:
    assert reached(row(0.70)) is True
    assert reached(row(0.699)) is False
    assert reached(row(0.1, concept="spleen", phrase="spleen")) is None
    assert goal(row(0.7, phrase="mass")) is None
    assert tells_absence(row(0.7)) is True
    assert tells_absence(row(0.7, specificity=0.84)) is False


def test_the_moved_box_may_lose_six_hundredths() -> None:
    found = {one.name: one for one in verdicts([row(0.9, "T+I"), row(0.83, "T+I moved")])}
    lost = found["busi, breast tumor: mean Dice lost when the box is moved"]
    assert (lost.measured, lost.reached) == ("0.070 (n = 40)", False)
    assert found["drive, retinal vessels, T: mean Dice"].reached is None


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    for name in ("test/pictures", "validation", "absence", "run", "weights"):
        (tmp_path / name).mkdir(parents=True)
    rows = [row(0.75).model_dump(), row(0.9, "T+I").model_dump()]
    (tmp_path / "test/summary.json").write_text(json.dumps({"rows": rows, "provenance": {}}))
    for name in ("busi__breast-tumor__T.png", "dsb2018__nuclei__T.png"):
        (tmp_path / "test/pictures" / name).write_bytes(name.encode())
    score = Score(
        dataset="busi",
        image_id="a",
        concept="breast tumor",
        phrase="breast tumor",
        group="a",
        mode="T",
        has_target=True,
        found=True,
        status="found",
        dice=0.5,
        presence=0.75,
        expected_dice=0.5,
    )
    (tmp_path / "validation/scores.jsonl").write_text(score.model_dump_json() + "\n")
    kinds = ({"score": 0.625}, {"score": 0.25, "image_id": "b", "has_target": False})
    asked = [score.model_copy(update=kind).model_dump_json() for kind in kinds]
    (tmp_path / "absence/scores.jsonl").write_text("\n".join(asked) + "\n")
    (tmp_path / "run/losses.csv").write_text("step,total\n25,1.0\n")
    (tmp_path / "run/validation.csv").write_text("step,prompt,dice\n25,T,0.5\n")
    (tmp_path / "latency").write_text("one, 2 threads\nbytes to masks, T   61.5   70.0\n")
    weights = tmp_path / "weights"
    (weights / "metadata.json").write_text('{"weights_id": "w-7", "concepts": [{"name": "polyp"}]}')
    (weights / "training.json").write_text('{"data_sha256": "abc", "parameters": 1234}')
    (weights / "encoder.onnx").write_bytes(bytes(1_500_000))
    (weights / "decoder.onnx").write_bytes(bytes(700_000))
    (tmp_path / "datasets.csv").write_text(
        "dataset,modality,train,test,licence_as_far_as_known\nbusi,ultrasound,3,2,CC BY 4.0\n"
    )
    places = {"evaluation": "test", "validation": "validation", "absence": "absence"}
    places |= {"run": "run", "latency": "latency", "out": "weights", "datasets": "datasets.csv"}
    return [word for key, at in places.items() for word in (f"--{key}", str(tmp_path / at))]


def test_the_card_says_what_the_files_say(arguments: list[str], tmp_path: Path) -> None:
    assert main(arguments) == 0
    text = (tmp_path / "weights/MODEL_CARD.md").read_text()
    assert "# Model card: w-7" in text
    assert "1,234 parameters (2.2 MB" in text
    assert "T: mean Dice | ≥ 0.70 | 0.750 [0.700, 0.800] (n = 40) | reached |" in text
    assert "| ≤ 60 ms | 61.5 ms | **not reached** |" in text
    assert "| ≤ 0.05 | 0.250 (n = 1) | **not reached** |" in text
    assert "| busi | breast tumor | 1 | 1 | 0.625 | 1.000 | 1.000 | within the target |" in text
    assert "| busi | ultrasound | 3 | 2 | CC BY 4.0 |" in text
    assert (tmp_path / "weights/training.png").exists()


@pytest.mark.parametrize(
    "name", ["latency", "test/pictures/dsb2018__nuclei__T.png", "run/losses.csv"]
)
def test_a_missing_file_is_named(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / name).unlink()
    assert main(arguments) == 1
    assert Path(name).name in capsys.readouterr().err
    assert not (tmp_path / "weights/MODEL_CARD.md").exists()

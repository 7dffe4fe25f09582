from pathlib import Path

from benchmarks.evaluation.plots import box_plot, curve_plot, reliability_plot, score_plot
from benchmarks.evaluation.records import Mode, Score
from benchmarks.evaluation.summary import Bin
from segmenter.formats.decode import decode


def score(number: int, dice: float, mode: Mode = "T") -> Score:
    return Score(
        dataset="busi",
        image_id=f"image_{number}",
        concept="breast tumor",
        phrase="breast tumor",
        group=f"patient_{number}",
        mode=mode,
        has_target=True,
        found=True,
        status="found",
        dice=dice,
        expected_dice=dice / 2,
    )


SCORES = [score(number, 0.1 * number, mode) for number in range(9) for mode in ("T", "T+I")]


def test_a_box_plot_is_the_same_twice_and_shows_its_scores(tmp_path: Path) -> None:
    first = box_plot(tmp_path / "a.png", SCORES).read_bytes()
    assert first == box_plot(tmp_path / "b.png", SCORES).read_bytes()
    assert first != box_plot(tmp_path / "c.png", SCORES[:6]).read_bytes()
    assert decode(first).pixels.shape[1] == 900


def test_a_box_plot_without_scores_is_empty_but_drawn(tmp_path: Path) -> None:
    assert decode(box_plot(tmp_path / "a.png", []).read_bytes()).format == "png"


def test_a_reliability_plot_moves_with_its_bins(tmp_path: Path) -> None:
    bins = [Bin(0.0, 0.1, 4, 0.05, 0.25), Bin(0.9, 1.0, 6, 0.95, 1.0)]
    first = reliability_plot(tmp_path / "a.png", bins, 0.11).read_bytes()
    assert first == reliability_plot(tmp_path / "b.png", bins, 0.11).read_bytes()
    assert first != reliability_plot(tmp_path / "c.png", bins[1:], 0.11).read_bytes()


def test_a_score_plot_is_drawn_with_and_without_pairs(tmp_path: Path) -> None:
    some = score_plot(tmp_path / "a.png", SCORES).read_bytes()
    none = score_plot(tmp_path / "b.png", []).read_bytes()
    assert some != none


def test_a_curve_goes_on_through_all_stages(tmp_path: Path) -> None:
    folders = []
    for name in ("stage-1", "stage-2"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "losses.csv").write_text("step,total\n25,1.0\n50,0.5\n")
        (folder / "validation.csv").write_text(
            "step,dataset,concept,prompt,dice\n50,busi,breast tumor,T,0.5\n"
            "50,drive,retinal vessels,T,nan\n50,busi,breast tumor,T+I,0.8\n"
        )
        folders.append(folder)
    one = curve_plot(tmp_path / "a.png", folders[:1]).read_bytes()
    two = curve_plot(tmp_path / "b.png", folders).read_bytes()
    assert one != two
    assert two == curve_plot(tmp_path / "c.png", folders).read_bytes()

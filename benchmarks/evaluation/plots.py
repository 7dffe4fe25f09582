"""Plots of evaluations and trainings. Sole owner of matplotlib.

Drawn without a window system; the same input gives the same bytes, as no date is written.
"""

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.evaluation.records import MODES, Mode, Score
from benchmarks.evaluation.summary import Bin, dice_correlation

DPI = 100
COLOURS: dict[Mode, str] = {
    "T": "#1f77b4",
    "T+I": "#d62728",
    "T+I moved": "#ff9896",
    "box": "#2ca02c",
    "agent": "#9467bd",
}
SMOOTHED_ROWS = 15


def box_plot(out: Path, scores: Sequence[Score]) -> Path:
    """Plot Dice per set and concept, one box per mode, outliers as points.

    Boxes span the quartiles, whiskers 1.5 times that range; n is of one mode, a span
    where modes differ.

    Args:
        out: PNG to write.
        scores: those without Dice, foreign or with another phrase than the concept are left out.
    """
    groups: dict[tuple[str, str], dict[Mode, list[float]]] = defaultdict(lambda: defaultdict(list))
    for score in scores:
        if score.dice is not None and not score.foreign and score.phrase == score.concept:
            groups[score.dataset, score.concept][score.mode].append(score.dice)
    names = sorted(groups, reverse=True)
    modes = [mode for mode in MODES if any(mode in part for part in groups.values())]
    figure, axes = _canvas(9.0, 1.6 + 0.22 * max(1, len(names)) * (len(modes) + 1))
    for index, name in enumerate(names):
        for place, mode in enumerate(modes):
            if groups[name][mode]:
                offset = 0.8 * ((len(modes) - 1) / 2 - place) / max(1, len(modes))
                _box(axes, groups[name][mode], index + offset, mode, 0.7 / len(modes))
    labels = [_label(name, groups[name], modes) for name in names]
    axes.set_yticks(range(len(names)), labels)
    axes.set(xlabel="Dice", xlim=(-0.02, 1.02), ylim=(-0.6, max(1, len(names)) - 0.4))
    for mode in modes:
        axes.plot([], [], color=COLOURS[mode], linewidth=5, label=mode)
    axes.grid(axis="x", alpha=0.3)
    if modes:
        figure.legend(loc="outside upper right", ncols=len(modes), frameon=False)
    return _written(figure, out)


def _label(name: tuple[str, str], found: dict[Mode, list[float]], modes: Sequence[Mode]) -> str:
    counts = sorted({len(found[mode]) for mode in modes if found[mode]})
    span = "-".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    return f"{name[0]}\n{name[1]} (n = {span})"


def _box(axes: Axes, values: Sequence[float], place: float, mode: Mode, width: float) -> None:
    colour = COLOURS[mode]
    axes.boxplot(
        [values],
        positions=[place],
        widths=width,
        orientation="horizontal",
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": colour, "alpha": 0.6, "edgecolor": colour},
        medianprops={"color": "black"},
        whiskerprops={"color": colour},
        capprops={"color": colour},
        flierprops={"marker": ".", "markersize": 4, "markeredgecolor": colour},
    )


def reliability_plot(out: Path, bins: Sequence[Bin], ece: float) -> Path:
    """Plot how often the target is there beside how surely it was said.

    Args:
        out: PNG to write.
        bins: those that hold an answer.
        ece: expected calibration error, [0, 1].
    """
    figure, axes = _canvas(6.0, 5.5)
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--", label="calibrated")
    places = [part.presence for part in bins]
    axes.plot(places, [part.share for part in bins], marker="o", label="answers")
    for part in bins:
        axes.annotate(
            f"n={part.n}",
            (part.presence, part.share),
            xytext=(7, -9),
            textcoords="offset points",
            fontsize=8,
        )
    axes.set(xlabel="mean presence", ylabel="share with target", xlim=(-0.03, 1.12))
    axes.set_ylim(-0.06, 1.03)
    total = sum(part.n for part in bins)
    axes.set_title(f"Presence: expected calibration error {ece:.3f}, n = {total}")
    axes.legend(loc="upper left")
    return _written(figure, out)


def score_plot(out: Path, scores: Sequence[Score]) -> Path:
    """Plot expected beside true Dice, with their correlation in the title.

    Args:
        out: PNG to write.
        scores: those without either figure are left out.
    """
    pairs = [
        (score.expected_dice, score.dice)
        for score in scores
        if score.expected_dice is not None and score.dice is not None
    ]
    figure, axes = _canvas(6.0, 5.5)
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--")
    axes.scatter([expected for expected, _ in pairs], [dice for _, dice in pairs], s=8, alpha=0.4)
    axes.set(xlabel="expected Dice", ylabel="Dice", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    found = dice_correlation(scores)
    if found.pearson is None or found.spearman is None:
        axes.set_title(f"Expected and true Dice: n = {len(pairs)}, no correlation defined")
    else:
        figures = f"Pearson {found.pearson:.3f}, Spearman {found.spearman:.3f}, n = {found.n}"
        axes.set_title(f"Expected and true Dice: {figures}", fontsize=10)
    return _written(figure, out)


def curve_plot(out: Path, run_folders: Sequence[Path]) -> Path:
    """Plot the loss and the validation Dice of a training, its stages one after the other.

    The loss is a running mean over `SMOOTHED_ROWS` log lines; Dice is the mean over sets and
    concepts, each counting alike, whatever its number of images.

    Args:
        out: PNG to write.
        run_folders: of the stages, in their order; each holds losses.csv and validation.csv.

    Raises:
        OSError: a file is missing.
    """
    figure, axes = _canvas(9.0, 4.5)
    right = axes.twinx()
    start = 0.0
    for index, folder in enumerate(run_folders):
        steps, losses = _losses(folder / "losses.csv")
        label = "loss (left)" if index == 0 else None
        axes.plot([start + step for step in steps], losses, color="grey", label=label)
        _plot_validation(right, folder / "validation.csv", start, labelled=index == 0)
        start += max(steps, default=0.0)
        if index < len(run_folders) - 1:
            axes.axvline(start, color="black", linestyle=":")
    axes.set(xlabel="steps (dotted: next stage)", ylabel="training loss")
    right.set(ylabel="mean validation Dice", ylim=(0, 1))
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return _written(figure, out)


def _plot_validation(axes: Axes, path: Path, start: float, *, labelled: bool) -> None:
    found: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows(path):
        if row["dice"] != "nan":
            found[row["prompt"]][float(row["step"])].append(float(row["dice"]))
    for mode in MODES:
        if mode not in found:
            continue
        steps = sorted(found[mode])
        means = [sum(found[mode][step]) / len(found[mode][step]) for step in steps]
        label = f"validation Dice, {mode} (right)" if labelled else None
        places = [start + step for step in steps]
        axes.plot(places, means, marker="o", markersize=3, color=COLOURS[mode], label=label)


def _losses(path: Path) -> tuple[list[float], list[float]]:
    rows = _rows(path)
    values = [float(row["total"]) for row in rows]
    parts = [values[max(0, end - SMOOTHED_ROWS) : end] for end in range(1, len(values) + 1)]
    return [float(row["step"]) for row in rows], [sum(part) / len(part) for part in parts]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def _canvas(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _written(figure: Figure, out: Path) -> Path:
    figure.savefig(out, format="png", metadata={"Software": None})
    return out

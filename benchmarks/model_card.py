"""Writes the model card of the bundled weights from files alone.

python -m benchmarks.model_card --evaluation DIR --validation DIR --absence DIR
    --run RUN [RUN ...] --latency FILE --out segmenter/weights/compact
    [--datasets ../shared/data/datasets.csv]
"""

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.card import sections
from benchmarks.card.sources import CardError, Sources, read_sources
from benchmarks.evaluation.plots import curve_plot, reliability_plot
from benchmarks.evaluation.summary import expected_calibration_error, reliability
from benchmarks.targets import SENSITIVITY

# Only these sets' images may be published; see their licences.
FAILURES = ("busi__breast-tumor__T.png", "dsb2018__nuclei__T.png")
ALARMS = "busi__breast-tumor__T__false-alarms.png"
CURVES, RELIABILITY = "training.png", "reliability.png"
COMMANDS = """\
medsam3 evaluate --data DATA --split test --mode all agent --foreign 2 --out EVALUATION
medsam3 evaluate --data DATA --split validation --mode T --foreign 2 --out VALIDATION
medsam3 evaluate --data DATA --split test --mode T --threshold 0 --out ABSENCE
python -m benchmarks.latency --image FILE --concept CONCEPT --data DATA > LATENCY
python -m benchmarks.model_card --evaluation EVALUATION --validation VALIDATION \\
    --absence ABSENCE --run RUN ... --latency LATENCY --out segmenter/weights/compact"""


def card(sources: Sources, pictures: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the card.

    Args:
        sources: what it says.
        pictures: file names of failures, beside the card.
    """
    yield from sections.opening(sources)
    yield from ("", "## How it works", "", _text("how_it_works.md"))
    yield from ("", "## Targets", "", *sections.targets_table(sources))
    yield from (
        "",
        "## Figures on the test split",
        "",
        "Mean Dice [95 % interval, by patient] (n).",
    )
    yield "A missing mask counts 0. Specificity: share without the concept that got no mask."
    yield from ("", *sections.figures_table(sources.rows), "", sections.foreign(sources.rows))
    yield from ("", "Outlines, instances, and seconds of an answer:")
    yield from ("", *sections.outlines_table(sources.rows), "", "## Absence at other thresholds")
    yield ""
    yield f"The most specific threshold that finds {SENSITIVITY:.0%} of the targets by words."
    yield "It is picked on these very images, so it flatters, and is not the one that ships."
    yield from ("", *sections.absence(sources))
    yield from ("", "## Calibration on the validation images", "", *sections.calibration(sources))
    yield from ("", f"![reliability]({RELIABILITY})", "", "## Latency", "", "```")
    yield from (sources.latency_text.rstrip(), "```", "", "## Known failures", "")
    yield from (*sections.weaknesses(sources.rows), _text("limits.md"), "")
    yield from (f"![worst, median and best answers]({name})" for name in pictures)
    yield from ("", sections.BUSI_SOURCE, "", "## Data and licences", "")
    yield from (*sections.licences(sources), "", "## Training", "")
    yield f"Data sha256: `{sources.training.data_sha256}`. `training.json`, as exported:"
    yield from ("", "```json", sources.training_text.rstrip(), "```", "")
    yield from (f"![training curves]({CURVES})", "", "## Commands", "", "```", COMMANDS, "```")


def _text(name: str) -> str:
    """Return what people wrote for the card; it holds no measured figure."""
    return (Path(__file__).parent / "card" / name).read_text(encoding="utf-8").rstrip()


def write_card(sources: Sources, evaluation: Path, runs: Sequence[Path], out: Path) -> Path:
    """Write the card and its pictures.

    Raises:
        CardError: a picture of the evaluation or a file of a run is missing.
    """
    error = expected_calibration_error(sources.validation)
    if error is None:
        raise CardError("the validation scores hold no answer to calibrate on")
    try:
        pictures = _copy_pictures(evaluation / "pictures", out)
        curve_plot(out / CURVES, runs)
    except OSError as missing:
        raise CardError(f"the card cannot be written: {missing}") from missing
    reliability_plot(out / RELIABILITY, reliability(sources.validation), error)
    path = out / "MODEL_CARD.md"
    path.write_text("\n".join(card(sources, pictures)) + "\n", encoding="utf-8")
    return path


def _copy_pictures(folder: Path, out: Path) -> list[str]:
    # Without a false alarm there is no sheet of them.
    names = [*FAILURES, *([ALARMS] if (folder / ALARMS).exists() else [])]
    for name in names:
        shutil.copyfile(folder / name, out / name)
    return names


def main(argv: Sequence[str] | None = None) -> int:
    """Write the card and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model_card")
    for name in ("--evaluation", "--validation", "--absence", "--latency", "--out"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--run", type=Path, nargs="+", required=True, help="stages, in order")
    parser.add_argument("--datasets", type=Path, default=Path("../shared/data/datasets.csv"))
    asked = parser.parse_args(argv)
    try:
        sources = read_sources(
            asked.evaluation,
            asked.validation,
            asked.absence,
            asked.latency,
            weights=asked.out,
            datasets=asked.datasets,
        )
        print(write_card(sources, asked.evaluation, asked.run, asked.out))
    except CardError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

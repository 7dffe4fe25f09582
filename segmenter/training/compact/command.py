"""Commands of the bundled model: train its stages, write what is shipped.

``python -m segmenter.training.compact.command stages|train|export``; ``medsam3 train compact`` runs
``stages`` and ``medsam3 train export`` runs ``export``.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from segmenter.training.compact.loop import Budget, train
from segmenter.training.compact.options import add_export_options, add_stages_options
from segmenter.training.compact.release import release
from segmenter.training.compact.settings import CONFIG, load_settings
from segmenter.training.compact.stages import CONFIGS, stage_folder, stages_left
from segmenter.training.compact.state import CHECKPOINT, read_checkpoint


def main(argv: Sequence[str] | None = None) -> int:
    """Run the training command and return the exit status."""
    asked = _parser().parse_args(argv)
    if asked.command == "stages":
        run_stages(asked)
    elif asked.command == "export":
        run_export(asked)
    else:
        settings = load_settings(asked.config)
        budget = Budget(asked.steps or settings.optimizer.steps, asked.minutes * 60)
        train(
            asked.data,
            asked.out,
            settings,
            budget=budget,
            resume=asked.resume,
            start=asked.start,
        )
    return 0


def run_stages(asked: argparse.Namespace) -> None:
    """Train the stages that are left, each from the averaged weights of the one before.

    Args:
        asked: the options of `add_stages_options`.

    Raises:
        ValueError: the stage before the one asked for has no checkpoint, or see `train`.
    """
    budgets = [
        Budget(asked.steps or load_settings(config).optimizer.steps, asked.minutes * 60)
        for config in CONFIGS
    ]
    numbers = range(1, len(CONFIGS) + 1)
    paths = [stage_folder(asked.out, number) / CHECKPOINT for number in numbers]
    begun = [asked.resume and path.exists() for path in paths]
    done = [
        there and _spent(path, budget)
        for there, path, budget in zip(begun, paths, budgets, strict=True)
    ]
    for number in stages_left(asked.stage, done, begun):
        start = paths[number - 2] if number > 1 else None
        if start is not None and not start.exists():
            raise ValueError(f"stage {number} starts from {str(start)!r}, which is not there")
        print(f"stage {number} of {len(CONFIGS)}", flush=True)
        train(
            asked.data,
            paths[number - 1].parent,
            load_settings(CONFIGS[number - 1]),
            budget=budgets[number - 1],
            resume=begun[number - 1],
            start=start,
        )


def _spent(checkpoint: Path, budget: Budget) -> bool:
    parts = read_checkpoint(checkpoint)
    return budget.progress(parts["step"], parts["elapsed_s"]) >= 1


def run_export(asked: argparse.Namespace) -> None:
    """Make the shipped folder of a run and print what was chosen.

    Args:
        asked: the options of `add_export_options`; a run with stages stands for all of them.
    """
    settings = None if asked.config is None else load_settings(asked.config)
    runs = [_last_stage(run) for run in asked.runs]
    choice = release(
        asked.data, runs, asked.out, settings, weights_id=asked.weights_id, note=asked.note
    )
    print(
        f"threshold {choice.threshold}, on validation: Dice {choice.dice:.3f}, "
        f"specificity {choice.specificity:.3f}"
    )


def _last_stage(run: Path) -> Path:
    """Return the last begun stage, whose checkpoint tells of the earlier ones; or the run."""
    numbers = range(len(CONFIGS), 0, -1)
    folders = (stage_folder(run, number) for number in numbers)
    return next((each for each in folders if (each / CHECKPOINT).exists()), run)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m segmenter.training.compact.command",
        description="The same as medsam3 train, and single stages with settings of your own.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add_stages_options(
        commands.add_parser("stages", help="train all stages (medsam3 train compact)")
    )
    training = commands.add_parser("train", help="train one stage, or go on training")
    training.add_argument("--data", type=Path, required=True, help="folder of the image data")
    training.add_argument("--config", type=Path, default=CONFIG, help="settings, TOML")
    training.add_argument("--out", type=Path, required=True, help="folder of the run")
    training.add_argument("--minutes", type=float, default=math.inf, help="end after so long")
    training.add_argument("--steps", type=int, help="end after so many steps")
    training.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    training.add_argument("--start", type=Path, help="checkpoint to take the weights from")
    add_export_options(
        commands.add_parser("export", help="make the shipped folder (medsam3 train export)")
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Command of the bundled model: ``python -m segmenter.training.compact train`` and ``export``."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from segmenter.backends.compact import WEIGHTS
from segmenter.training.loop import Budget, train
from segmenter.training.release import release
from segmenter.training.settings import CONFIG, load_settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the training command and return the exit status."""
    asked = _parser().parse_args(argv)
    settings = load_settings(asked.config)
    if asked.command == "train":
        budget = Budget(asked.steps or settings.optimizer.steps, asked.minutes * 60)
        train(asked.data, asked.out, settings, budget=budget, resume=asked.resume)
        return 0
    choice = release(asked.data, asked.run, asked.out, settings, weights_id=asked.weights_id)
    print(
        f"threshold {choice.threshold}, on validation: Dice {choice.dice:.3f}, "
        f"specificity {choice.specificity:.3f}"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m segmenter.training.compact")
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train, or go on training")
    training.add_argument("--out", type=Path, required=True, help="folder of the run")
    training.add_argument("--minutes", type=float, default=math.inf, help="end after so long")
    training.add_argument("--steps", type=int, help="end after so many steps")
    training.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    exporting = commands.add_parser("export", help="make the shipped folder from a run")
    exporting.add_argument("--run", type=Path, required=True, help="folder of the run")
    exporting.add_argument("--out", type=Path, default=WEIGHTS, help="folder to write")
    exporting.add_argument("--weights-id", required=True, help="name of these weights")
    for command in (training, exporting):
        command.add_argument("--data", type=Path, required=True, help="folder of the image data")
        command.add_argument("--config", type=Path, default=CONFIG, help="settings, TOML")
    return parser


if __name__ == "__main__":
    sys.exit(main())

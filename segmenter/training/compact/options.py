"""Options of the training commands, for ``medsam3 train`` and ``python -m``; no torch here."""

import argparse
import math
from pathlib import Path

from segmenter.backends.compact.backend import WEIGHTS
from segmenter.training.compact.stages import CONFIGS


def add_stages_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of training in stages."""
    parser.add_argument("--data", type=Path, required=True, help="folder of the image data")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run; holds stage-1, stage-2, ..."
    )
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="end each stage after so long"
    )
    parser.add_argument(
        "--steps", type=int, help="end each stage after so many steps; else its settings say"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on where it stopped; skip finished stages"
    )
    parser.add_argument(
        "--stage", type=int, choices=range(1, len(CONFIGS) + 1), help="train only this one"
    )


def add_export_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of making the shipped folder."""
    parser.add_argument("--data", type=Path, required=True, help="folder of the image data")
    parser.add_argument(
        "--run",
        metavar="RUN",
        type=Path,
        dest="runs",
        action="append",
        required=True,
        help="folder of the run; may be given once for each stage, in order",
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder to write")
    parser.add_argument("--weights-id", required=True, help="name of these weights")
    parser.add_argument("--note", default="", help="what else people should know of the training")
    parser.add_argument("--config", type=Path, help="settings, TOML; else those of the checkpoint")

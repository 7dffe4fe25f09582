"""Options of ``medsam3 train sam3``; no torch here."""

import argparse
from pathlib import Path


def add_sam3_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of fine-tuning SAM 3."""
    parser.add_argument("config", type=Path, help="settings, TOML; or busi, cup, isic, kvasir")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of sets, or of COCO train/ and valid/"
    )
    parser.add_argument(
        "--weights", type=Path, required=True, help="SAM 3, as for MEDSAM3_SAM3_WEIGHTS"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--steps", type=int, help="end after so many more steps")
    parser.add_argument("--resume", action="store_true", help="go on where it stopped")

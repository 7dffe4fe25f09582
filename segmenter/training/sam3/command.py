"""``medsam3 train sam3``: fine-tune SAM 3's detector on annotated pictures."""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from segmenter.backends.sam3.weights.load import load_network
from segmenter.training.dataset import cut_validation, read_rows
from segmenter.training.sam3.coco import read_coco
from segmenter.training.sam3.data import Annotated, from_rows
from segmenter.training.sam3.loop import BEST, LAST, Tuned, Tuning
from segmenter.training.sam3.settings import DataSettings, load_sam3_settings

TRAIN, VALID = "train", "valid"


def run_tuning(asked: argparse.Namespace, say: Callable[[str], None]) -> Tuned:
    """Train as the options of `add_sam3_options` say, and tell what came out.

    Raises:
        ValueError: settings, data or checkpoint cannot be used.
        WeightsError: the weights cannot.
    """
    settings = load_sam3_settings(asked.config)
    train, valid = read_data(asked.data, settings.data)
    device = settings.run.device or ("cuda" if torch.cuda.is_available() else "cpu")
    network = load_network(asked.weights, device=device)
    tuning = Tuning(network, settings, train, valid, asked.out)
    if asked.resume:
        tuning.resume()
    say(f"{len(train)} pictures to learn from, {len(valid)} to measure on, {tuning.steps} steps")
    found = tuning.run(steps=asked.steps)
    dice = f"{found.first:.3f} before, {found.last:.3f} now, {found.best:.3f} at best"
    say(f"step {found.steps}, validation Dice by text: {dice}")
    say(f"to load: {asked.out / BEST} (best) and {asked.out / LAST}")
    return found


def read_data(folder: Path, settings: DataSettings) -> tuple[list[Annotated], list[Annotated]]:
    """Return the pictures to learn from and to measure on.

    Args:
        folder: with sets of the shared layout, if the settings name some, else with COCO data in
            ``train`` and ``valid``.
        settings: of the run.

    Raises:
        ValueError: see `read_coco` and `from_rows`; or nothing is left to measure on.
    """
    if not settings.sets:
        train = read_coco(folder / TRAIN, settings.phrases)
        valid = read_coco(folder / VALID, settings.phrases)
    else:
        rows = read_rows(folder, TRAIN, settings.sets)
        kept, cut = cut_validation(rows, settings.validation_share, settings.validation_seed)
        train, valid = from_rows(kept, settings.phrases), from_rows(cut, settings.phrases)
    if not valid:
        raise ValueError("no picture is left to measure on: raise data.validation_share")
    return train, valid

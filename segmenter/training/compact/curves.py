"""Curves of a training run as CSV files, and the same lines on the terminal."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from segmenter.training.compact.losses import Losses
from segmenter.training.compact.settings import Settings
from segmenter.training.compact.state import State
from segmenter.training.compact.validation import Check


class Journal:
    """Curves as CSV files in the run's folder; appended, so a resumed run goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, state: State, settings: Settings, data_sha256: str) -> None:
        """Print what is about to be trained, on what."""
        parameters = sum(each.numel() for each in state.model.parameters())
        head = {"data_sha256": data_sha256, "parameters": parameters, "step": state.step}
        print(json.dumps(head | settings.model_dump()), flush=True)

    def losses(self, state: State, progress: float, rate: float, found: Losses) -> None:
        """Note the losses of one step."""
        values = [float(value.detach()) for value in found]
        row = [state.step, round(state.elapsed_s, 1), round(progress, 5), rate, *values]
        head = ["step", "elapsed_s", "progress", "rate", *Losses._fields]
        self._append("losses.csv", head, [row])
        print(
            f"step {state.step} {state.elapsed_s:.0f} s progress {progress:.3f} "
            f"loss {values[0]:.4f} bce {values[1]:.4f} dice {values[2]:.4f} seen {values[3]:.4f}",
            flush=True,
        )

    def checks(self, state: State, found: list[Check]) -> None:
        """Note the figures of one validation."""
        head = ["step", "elapsed_s", *Check._fields]
        rows = [[state.step, round(state.elapsed_s, 1), *check] for check in found]
        self._append("validation.csv", head, rows)
        for line in found:
            print(f"  {line.dataset} {line.concept} {line.prompt} n={line.images} "
                  f"dice {line.dice:.3f} presence {line.present:.2f}/{line.absent:.2f}",
                  flush=True)  # fmt: skip

    def _append(self, name: str, head: list[str], rows: Sequence[Sequence[object]]) -> None:
        path = self.folder / name
        fresh = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as lines:
            writer = csv.writer(lines)
            writer.writerows([head, *rows] if fresh else rows)

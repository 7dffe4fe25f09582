"""What a fine-tuning holds, and its checkpoint: enough to go on as if it had never stopped."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from segmenter.training.sam3.detector import Detector
from segmenter.training.sam3.settings import OptimizerSettings, Sam3Settings

CHECKPOINT = "checkpoint.pt"


@dataclass
class TuningState:
    """Changed in place by the loop.

    Attributes:
        optimizer: of the detector's parameters.
        average: averaged parameters by name; empty without averaging.
        step: done.
        best: highest validation Dice so far.
    """

    detector: Detector
    optimizer: torch.optim.AdamW
    average: dict[str, Tensor]
    step: int = 0
    best: float = -1.0


def new_tuning(detector: Detector, settings: Sam3Settings) -> TuningState:
    """Return the state before the first step; norms and biases do not decay."""
    parameters = detector.parameters()
    groups = [
        {
            "params": [each for each in parameters.values() if each.ndim > 1],
            "weight_decay": settings.optimizer.weight_decay,
        },
        {"params": [each for each in parameters.values() if each.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.optimizer.learning_rate)
    averaged = settings.optimizer.ema is not None
    average = {name: each.detach().clone() for name, each in parameters.items() if averaged}
    return TuningState(detector, optimizer, average)


def rate_at(step: int, steps: int, settings: OptimizerSettings) -> float:
    """Return the learning rate of a step, from 0: a linear rise, then half a cosine to 0.

    Source: Loshchilov and Hutter (2017), SGDR, without restarts.
    """
    warm = settings.warm_up * steps
    if step < warm:
        return settings.learning_rate * (step + 1) / (warm + 1)
    share = (step - warm) / max(1.0, steps - warm)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


@torch.no_grad()
def move_average(state: TuningState, decay: float) -> None:
    """Let the averaged parameters follow."""
    for name, each in state.detector.parameters().items():
        state.average[name].lerp_(each.detach(), 1 - decay)


def save_tuning(state: TuningState, folder: Path, identity: str) -> None:
    """Write the checkpoint, whole or not at all.

    Args:
        state: of the run.
        folder: of the run.
        identity: of data, weights and settings; another run cannot go on from it.
    """
    parts = {
        "parameters": {n: each.detach() for n, each in state.detector.parameters().items()},
        "average": state.average,
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "best": state.best,
        "random": torch.get_rng_state(),
        "identity": identity,
    }
    if torch.cuda.is_available():
        parts["random_cuda"] = torch.cuda.get_rng_state()
    fresh = folder / (CHECKPOINT + ".new")
    torch.save(parts, fresh)
    fresh.replace(folder / CHECKPOINT)


def resume_tuning(state: TuningState, folder: Path, identity: str) -> None:
    """Go on from a checkpoint.

    Raises:
        ValueError: there is none, or it is of other data, weights or settings.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        raise ValueError(f"no {CHECKPOINT} in {str(folder)!r} to go on from")
    parts: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if parts["identity"] != identity:
        raise ValueError("the checkpoint is of other data, weights or settings")
    put_parameters(state.detector, parts["parameters"])
    state.average = {n: v.to(state.detector.network.device) for n, v in parts["average"].items()}
    state.optimizer.load_state_dict(parts["optimizer"])
    state.step, state.best = parts["step"], parts["best"]
    torch.set_rng_state(parts["random"])
    if torch.cuda.is_available() and "random_cuda" in parts:
        torch.cuda.set_rng_state(parts["random_cuda"])


@torch.no_grad()
def put_parameters(detector: Detector, values: dict[str, Tensor]) -> None:
    """Set what is trained to these values, all of them."""
    parameters = detector.parameters()
    assert parameters.keys() == values.keys()
    for name, each in parameters.items():
        each.copy_(values[name])

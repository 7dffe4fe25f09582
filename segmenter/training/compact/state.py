"""What a training run holds: network, averaged weights, optimizer; and its checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from segmenter.training.compact.network import Compact, Decoder, Encoder
from segmenter.training.compact.settings import ModelSettings, Settings
from segmenter.training.compact.stages import Stretch, extend, read_history
from segmenter.training.concepts import NAMES

CHECKPOINT = "checkpoint.pt"


@dataclass
class State:
    """Everything a checkpoint holds; changed in place by the loop.

    Attributes:
        model: is trained.
        average: follows it; what is exported.
        optimizer: of the model.
        step: done in this stage.
        elapsed_s: in this stage.
        stage: number, from 1.
        past: history up to where this process took over.
    """

    model: Compact
    average: Compact
    optimizer: torch.optim.AdamW
    step: int
    elapsed_s: float
    stage: int = 1
    past: tuple[Stretch, ...] = ()


def build(settings: ModelSettings) -> Compact:
    """Return an untrained network."""
    encoder = Encoder(
        settings.widths,
        settings.depths,
        settings.levels,
        heads=settings.heads,
        side=settings.side,
    )
    decoder = Decoder(settings.levels, len(NAMES), settings.concept_width)
    return Compact(encoder, decoder)


def new_state(settings: Settings) -> State:
    """Return the state before the first step, from the seed of the settings."""
    torch.manual_seed(settings.run.seed)
    model, average = build(settings.model), build(settings.model)
    for network in (model, average):
        _lay_channels_last(network)
    average.load_state_dict(model.state_dict())
    average.eval()
    return State(model, average, _optimizer(model, settings), 0, 0.0)


def _lay_channels_last(network: Compact) -> None:
    """Order kernels as the CPU's convolutions want them; values stay the same."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def _optimizer(model: Compact, settings: Settings) -> torch.optim.AdamW:
    """Decay matrices and kernels only; norms, biases and embeddings stay free."""
    free = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    parameters = list(model.parameters())
    decayed = [p for p in parameters if p.ndim > 1 and id(p) not in free]
    others = [p for p in parameters if p.ndim <= 1 or id(p) in free]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": settings.optimizer.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.optimizer.learning_rate, foreach=True)


def move_average(state: State, decay: float) -> None:
    """Let the averaged weights follow; early on faster, so that the start is forgotten."""
    keep = min(decay, (1 + state.step) / (10 + state.step))
    ours, theirs = state.average.state_dict(), state.model.state_dict()
    with torch.no_grad():
        moving = [name for name, value in ours.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [ours[name] for name in moving], [theirs[name] for name in moving], 1 - keep
        )


def save(state: State, folder: Path, settings: Settings, data_sha256: str) -> None:
    """Write the checkpoint, whole or not at all, with what its weights were trained with."""
    tables = settings.model_dump()
    now = Stretch(state.stage, tables, data_sha256, state.step, state.elapsed_s / 60)
    parts = {
        "model": state.model.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "elapsed_s": state.elapsed_s,
        "data_sha256": data_sha256,
        "settings": tables,
        "stages": [each._asdict() for each in extend(state.past, now)],
    }
    fresh = folder / (CHECKPOINT + ".new")
    torch.save(parts, fresh)
    fresh.replace(folder / CHECKPOINT)


def restore(state: State, folder: Path) -> str:
    """Read the checkpoint into ``state`` and return the sha256 of its data."""
    parts = read_checkpoint(folder / CHECKPOINT)
    state.model.load_state_dict(parts["model"])
    state.average.load_state_dict(parts["average"])
    state.optimizer.load_state_dict(parts["optimizer"])
    state.step, state.elapsed_s = parts["step"], parts["elapsed_s"]
    state.past = read_history(parts)
    state.stage = state.past[-1].stage if state.past else 1
    return str(parts["data_sha256"])


def adopt(state: State, checkpoint: Path) -> None:
    """Start a new stage from the averaged weights of another run, without optimizer and clock."""
    parts = read_checkpoint(checkpoint)
    state.model.load_state_dict(parts["average"])
    state.average.load_state_dict(parts["average"])
    state.past = read_history(parts)
    state.stage = (state.past[-1].stage if state.past else 0) + 1


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the parts of a checkpoint."""
    parts: dict[str, Any] = torch.load(path, weights_only=True)
    return parts

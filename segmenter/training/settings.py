"""Settings of a training run, read from the TOML file in the package."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

CONFIG = Path(__file__).parent / "configs" / "compact.toml"


@dataclass(frozen=True)
class DataSettings:
    """Shares in [0, 1]."""

    validation_share: float
    validation_rows: int


@dataclass(frozen=True)
class ModelSettings:
    """Shape of the network; ``side`` in pixels."""

    side: int
    widths: list[int]
    depths: list[int]
    levels: list[int]
    heads: int
    concept_width: int


@dataclass(frozen=True)
class SamplingSettings:
    """Shares in [0, 1]; ``bonus`` multiplies a set's weight."""

    boxed: float
    boxed_full_view: float
    object_token: float
    foreign_text: float
    foreign_boxed: float
    bonus: dict[str, float]


@dataclass(frozen=True)
class OptimizerSettings:
    """``warm_up`` is a share of the schedule, ``ema`` the decay per step."""

    batch: int
    learning_rate: float
    weight_decay: float
    warm_up: float
    clip_norm: float
    ema: float
    steps: int


@dataclass(frozen=True)
class LossSettings:
    """Weights beside the cross-entropy of the masks, which counts 1."""

    dice: float
    presence: float
    empty: float


@dataclass(frozen=True)
class RunSettings:
    """Process settings; a negative number of workers is not allowed, 0 reads in the loop."""

    seed: int
    threads: int
    workers: int
    log_every: int
    checkpoint_minutes: float
    validate_minutes: float


@dataclass(frozen=True)
class InferenceSettings:
    """What the exported weights are used with.

    Attributes:
        zoom_factor: side of a zoomed view over the longer side of its box.
        zoom_limit: a zoomed view wider than this share of the longer image side is not zoomed.
        foreign: questions per validation image about what its modality cannot show.
    """

    zoom_factor: float
    zoom_limit: float
    foreign: int


@dataclass(frozen=True)
class Settings:
    """All settings of one training run."""

    data: DataSettings
    model: ModelSettings
    sampling: SamplingSettings
    optimizer: OptimizerSettings
    loss: LossSettings
    run: RunSettings
    inference: InferenceSettings


def load_settings(path: Path = CONFIG) -> Settings:
    """Read settings; an unknown or missing key raises TypeError."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return Settings(
        data=DataSettings(**tables["data"]),
        model=ModelSettings(**tables["model"]),
        sampling=SamplingSettings(**tables["sampling"]),
        optimizer=OptimizerSettings(**tables["optimizer"]),
        loss=LossSettings(**tables["loss"]),
        run=RunSettings(**tables["run"]),
        inference=InferenceSettings(**tables["inference"]),
    )

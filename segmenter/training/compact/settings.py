"""Settings of a training run, read from the TOML file in the package."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segmenter.training.compact.stages import CONFIGS

CONFIG = CONFIGS[0]


@dataclass(frozen=True)
class DataSettings:
    """Shares in [0, 1]; ``validation_seed`` salts the cut and is the same in all stages."""

    validation_share: float
    validation_seed: int
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
    """Shares in [0, 1]; ``bonus`` multiplies a set's weight.

    Attributes:
        boxed: of samples with a piece, asked with a box.
        boxed_full_view: of those, not zoomed.
        rough_box: of those, with a box off by up to 30 % instead of 12 %.
        object_token: of those, with the concept withheld.
        detail: of text samples of fine concepts, seen in a tile of the picture.
        foreign_text: of text samples, asked for a concept of another modality.
        foreign_boxed: likewise of boxed ones.
        bonus: factor by set, 1 where not named.
    """

    boxed: float
    boxed_full_view: float
    rough_box: float
    object_token: float
    detail: float
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

    def to_tables(self) -> dict[str, Any]:
        """Return the tables of the TOML file."""
        return asdict(self)


def load_settings(path: Path = CONFIG) -> Settings:
    """Read settings; an unknown or missing key raises TypeError."""
    return to_settings(tomllib.loads(path.read_text(encoding="utf-8")))


def to_settings(tables: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Return settings from their tables; an unknown or missing key raises TypeError."""
    return Settings(
        data=DataSettings(**tables["data"]),
        model=ModelSettings(**tables["model"]),
        sampling=SamplingSettings(**tables["sampling"]),
        optimizer=OptimizerSettings(**tables["optimizer"]),
        loss=LossSettings(**tables["loss"]),
        run=RunSettings(**tables["run"]),
        inference=InferenceSettings(**tables["inference"]),
    )

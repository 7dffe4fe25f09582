"""Settings of a training run, read from the TOML file in the package."""

import tomllib
from pathlib import Path

from segmenter.contract import Frozen
from segmenter.training.compact.stages import CONFIGS

CONFIG = CONFIGS[0]


class DataSettings(Frozen):
    """Shares in [0, 1]; ``validation_seed`` salts the cut and is the same in all stages."""

    validation_share: float
    validation_seed: int
    validation_rows: int


class ModelSettings(Frozen):
    """Shape of the network; ``side`` in pixels."""

    side: int
    widths: list[int]
    depths: list[int]
    levels: list[int]
    heads: int
    concept_width: int


class SamplingSettings(Frozen):
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


class OptimizerSettings(Frozen):
    """``warm_up`` is a share of the schedule, ``ema`` the decay per step."""

    batch: int
    learning_rate: float
    weight_decay: float
    warm_up: float
    clip_norm: float
    ema: float
    steps: int


class LossSettings(Frozen):
    """Weights beside the cross-entropy of the masks, which counts 1."""

    dice: float
    presence: float
    empty: float


class RunSettings(Frozen):
    """Process settings; a negative number of workers is not allowed, 0 reads in the loop."""

    seed: int
    threads: int
    workers: int
    log_every: int
    checkpoint_minutes: float
    validate_minutes: float


class InferenceSettings(Frozen):
    """What the exported weights are used with.

    Attributes:
        zoom_factor: side of a zoomed view over the longer side of its box.
        zoom_limit: a zoomed view wider than this share of the longer image side is not zoomed.
        foreign: questions per validation image about what its modality cannot show.
    """

    zoom_factor: float
    zoom_limit: float
    foreign: int


class Settings(Frozen):
    """All settings of one training run."""

    data: DataSettings
    model: ModelSettings
    sampling: SamplingSettings
    optimizer: OptimizerSettings
    loss: LossSettings
    run: RunSettings
    inference: InferenceSettings


def load_settings(path: Path = CONFIG) -> Settings:
    """Read settings; an unknown or missing key raises ValidationError, a ValueError."""
    return Settings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))

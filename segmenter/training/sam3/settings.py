"""Settings of a fine-tuning of SAM 3, read from TOML."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from segmenter.contract import Fraction, Frozen

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]

CONFIGS = Path(__file__).parent / "configs"


class DataSettings(Frozen):
    """What is asked about which pictures.

    Attributes:
        sets: folders of the shared image data; empty for a folder of COCO data.
        phrases: other words for a concept or category, at most three each.
        validation_share: of a set's groups, cut off its training split.
        validation_seed: of that cut.
        boxed: share of questions with an object's box beside the phrase (T+I); the others are T.
        box_jitter: each side of it is off by up to this share of the box.
        negatives: phrases per picture and epoch that are not in it.
        absent: phrases to take them from, beside those of the other pictures.
    """

    sets: tuple[str, ...] = ()
    phrases: dict[str, str] = Field(default_factory=dict)
    validation_share: Fraction = 0.1
    validation_seed: int = 0
    boxed: Fraction = 0.5
    box_jitter: Annotated[float, Field(ge=0.0, lt=0.5)] = 0.1
    negatives: Annotated[int, Field(ge=0, le=16)] = 2
    absent: tuple[str, ...] = ()


class LoraSettings(Frozen):
    """An adapter in place of the whole detector."""

    rank: Count = 16
    alpha: Positive = 32.0
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0


class OptimizerSettings(Frozen):
    """How weights move.

    Attributes:
        batch: questions of one pass.
        accumulate: passes of one step.
        warm_up: share of all steps in which the rate rises from 0; it then falls as a cosine.
        ema: decay of the averaged weights per step; None for none.
    """

    learning_rate: Positive = 5e-5
    weight_decay: NotNegative = 0.01
    batch: Count = 4
    accumulate: Count = 1
    epochs: Count = 100
    warm_up: Fraction = 0.05
    clip_norm: Positive = 0.1
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None


class LossSettings(Frozen):
    """Weights of the losses, and of the same terms as costs of matching."""

    classification: NotNegative = 20.0
    presence: NotNegative = 20.0
    box_l1: NotNegative = 5.0
    box_giou: NotNegative = 2.0
    mask_focal: NotNegative = 200.0
    mask_dice: NotNegative = 10.0
    cost_class: NotNegative = 2.0
    cost_l1: NotNegative = 5.0
    cost_giou: NotNegative = 2.0


class RunSettings(Frozen):
    """The process.

    Attributes:
        trains: the detector as a whole, or an adapter in it.
        bfloat16: autocast of the passes, where the device has it.
        cache_bytes: of encoded pictures on disk; 10.6 MB each at full size.
        validate_every: steps; also when checkpoints are written.
    """

    seed: int = 0
    trains: Literal["full", "lora"] = "lora"
    bfloat16: bool = False
    device: str | None = None
    cache_bytes: Count = 50 * 2**30
    validate_every: Count = 200


class Sam3Settings(Frozen):
    """All settings of one run."""

    data: DataSettings = DataSettings()
    lora: LoraSettings = LoraSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    loss: LossSettings = LossSettings()
    run: RunSettings = RunSettings()


def load_sam3_settings(path: Path) -> Sam3Settings:
    """Read settings; a name without a folder is one of the package's own.

    Raises:
        ValueError: no such file, or a field that is unknown or out of its range, named.
    """
    own = path.name.removesuffix(".toml").removeprefix("sam3-")
    found = path if path.exists() else CONFIGS / f"{own}.toml"
    if not found.is_file():
        known = ", ".join(sorted(each.stem for each in CONFIGS.glob("*.toml")))
        raise ValueError(f"no settings at {str(path)!r}; the package has {known}")
    try:
        return Sam3Settings.model_validate(tomllib.loads(found.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{found.name}: {where}: {first['msg']}") from None

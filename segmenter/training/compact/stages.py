"""What weights were trained with, stretch by stretch, and which stage is to be trained next."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

CONFIGS = (
    Path(__file__).parent / "configs" / "compact.toml",
    Path(__file__).parent / "configs" / "compact-2.toml",
    Path(__file__).parent / "configs" / "compact-3.toml",
)
"""Settings of the stages, in order; each starts from the averaged weights of the one before."""


class Stretch(NamedTuple):
    """Steps in a row of one stage under the same settings and data.

    Attributes:
        stage: number, from 1; a new one starts from weights, with a fresh optimizer and clock.
        settings: tables of the TOML file.
        data_sha256: of the bytes trained on.
        steps: of this stretch.
        minutes: of this stretch.
    """

    stage: int
    settings: dict[str, Any]
    data_sha256: str
    steps: int
    minutes: float


def extend(past: Sequence[Stretch], now: Stretch) -> tuple[Stretch, ...]:
    """Return the history after more steps.

    Args:
        past: so far; the last stretch goes on if settings and data are still its own.
        now: with the steps and minutes of its whole stage, not of the stretch.
    """
    own = [each for each in past if each.stage == now.stage]
    steps = now.steps - sum(each.steps for each in own)
    minutes = now.minutes - sum(each.minutes for each in own)
    if steps == 0:
        return tuple(past)
    if own and (own[-1].settings, own[-1].data_sha256) == (now.settings, now.data_sha256):
        longer = own[-1]._replace(steps=own[-1].steps + steps, minutes=own[-1].minutes + minutes)
        return (*past[:-1], longer)
    return (*past, now._replace(steps=steps, minutes=minutes))


def read_history(parts: Mapping[str, Any]) -> tuple[Stretch, ...]:
    """Return the history in a checkpoint."""
    return tuple(Stretch(**each) for each in parts["stages"])


def join(histories: Sequence[Sequence[Stretch]]) -> tuple[Stretch, ...]:
    """Return the history of weights trained in several runs, one stage each.

    Args:
        histories: of the runs' last checkpoints, in order; one alone is taken whole, of several
            only the last stage counts, for the earlier ones have a run of their own.
    """
    if len(histories) == 1:
        return tuple(histories[0])
    return tuple(
        each._replace(stage=number)
        for number, history in enumerate(histories, start=1)
        for each in history
        if each.stage == history[-1].stage
    )


def stage_folder(out: Path, stage: int) -> Path:
    """Return the folder of a stage, counted from 1, in the folder of a run."""
    return out / f"stage-{stage}"


def stages_left(stage: int | None, done: Sequence[bool], begun: Sequence[bool]) -> list[int]:
    """Return the numbers of the stages to train, in order.

    Args:
        stage: the only one wanted; None for all.
        done: for each stage, whether its budget is spent.
        begun: for each stage, whether it has a checkpoint. What comes before one that has begun
            is over: the later weights would not follow it any more.
    """
    wanted = range(1, len(done) + 1) if stage is None else [stage]
    return [each for each in wanted if not done[each - 1] and not any(begun[each:])]

"""The training loop: schedule, steps, and when to save and to look at validation.

One process trains; loader processes draw views from samples they share by fork. View number k
depends on the seed and k alone, so a resumed run sees the views an unbroken one would have seen.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.utils.data import DataLoader, Subset

from segmenter.training.compact import losses, validation
from segmenter.training.compact.curves import Journal
from segmenter.training.compact.settings import Settings
from segmenter.training.compact.state import (
    CHECKPOINT,
    State,
    adopt,
    move_average,
    new_state,
    restore,
    save,
)
from segmenter.training.compact.views import View, Views
from segmenter.training.dataset import cut_validation, load, read_rows


class Budget(NamedTuple):
    """How long to train: whichever ends first."""

    steps: int
    seconds: float

    def progress(self, step: int, elapsed_s: float) -> float:
        """Return how much of the schedule is over, [0, 1]."""
        return min(1.0, max(step / self.steps, elapsed_s / self.seconds))


def learning_rate(progress: float, peak: float, warm_up: float) -> float:
    """Return linear warm-up, then a cosine down to 1 % of the peak.

    Args:
        progress: of the schedule, [0, 1].
        peak: highest rate.
        warm_up: share of the schedule.

    Source: Loshchilov and Hutter (2017), arXiv:1608.03983, without restarts.
    """
    if progress < warm_up:
        return peak * max(progress / warm_up, 0.01)
    turn = (progress - warm_up) / (1 - warm_up)
    return peak * (0.01 + 0.99 * (1 + math.cos(math.pi * turn)) / 2)


def train_step(state: State, batch: View, settings: Settings, rate: float) -> losses.Losses:
    """Do one step on one batch of collated views and move the averaged weights."""
    rgb, target, box, concept, known = (torch.as_tensor(part) for part in batch)
    state.model.train()
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast("cpu", torch.bfloat16):
        logits, presence = state.model(validation.to_input(rgb, box), concept)
    found = losses.compute(
        logits.float(),
        presence.float(),
        target[:, None].float(),
        known.float(),
        weights=settings.loss,
    )
    state.optimizer.zero_grad()
    found.total.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.model.parameters(), settings.optimizer.clip_norm)
    state.optimizer.step()
    state.step += 1
    move_average(state, settings.optimizer.ema)
    return found


def batches(views: Views, settings: Settings, first: int) -> Iterator[View]:
    """Yield collated batches, from view number ``first`` on."""
    yield from DataLoader(
        Subset(views, range(first, len(views))),
        batch_size=settings.optimizer.batch,
        num_workers=settings.run.workers,
        drop_last=True,
    )


def train(
    data: Path,
    out: Path,
    settings: Settings,
    *,
    budget: Budget,
    resume: bool,
    start: Path | None = None,
) -> State:
    """Train until the budget is spent and leave the checkpoint and the curves in ``out``.

    Args:
        data: folder of the sets.
        out: folder of the run.
        settings: of the run.
        budget: when to end.
        resume: whether to go on from the checkpoint in ``out``.
        start: checkpoint of an earlier stage to take the weights from; not when resuming.

    Raises:
        ValueError: the checkpoint to go on from was trained on other data, or there is one and
            it is not to be gone on from.
    """
    if not resume and (out / CHECKPOINT).exists():
        raise ValueError(f"{str(out)!r} holds a checkpoint: go on from it with --resume")
    torch.set_num_threads(settings.run.threads)
    out.mkdir(parents=True, exist_ok=True)
    rows = read_rows(data, "train")
    seen, kept = cut_validation(rows, settings.data.validation_share, settings.data.validation_seed)
    samples, data_sha256 = load(seen)
    state = new_state(settings)
    if start is not None and not resume:
        adopt(state, start)
    if resume and restore(state, out) != data_sha256:
        raise ValueError(f"the data in {str(data)!r} are not those the checkpoint was trained on")
    journal = Journal(out)
    journal.start(state, settings, data_sha256)
    checks = validation.fixed_views(
        load(kept)[0], settings.data.validation_rows, settings.model.side
    )
    views = Views(
        samples,
        settings.sampling,
        side=settings.model.side,
        seed=settings.run.seed,
        count=budget.steps * settings.optimizer.batch,
    )
    _Run(state, journal, settings, budget, checks, data_sha256).go(views)
    return state


@dataclass
class _Run:
    """The loop and the clocks it obeys."""

    state: State
    journal: Journal
    settings: Settings
    budget: Budget
    checks: list[validation.FixedView]
    data_sha256: str

    def __post_init__(self) -> None:
        self.start = time.monotonic() - self.state.elapsed_s
        self.saved = self.checked = self.state.elapsed_s

    def go(self, views: Views) -> None:
        """Train from the state's step to the end of the budget."""
        optimizer = self.settings.optimizer
        for batch in batches(views, self.settings, self.state.step * optimizer.batch):
            progress = self.budget.progress(self.state.step, self._elapsed())
            if progress >= 1:
                break
            rate = learning_rate(progress, optimizer.learning_rate, optimizer.warm_up)
            found = train_step(self.state, batch, self.settings, rate)
            self._elapsed()
            if self.state.step % self.settings.run.log_every == 0:
                self.journal.losses(self.state, progress, rate, found)
            self._pause()
        self._save()
        self.journal.checks(self.state, validation.check(self.state.average, self.checks))

    def _elapsed(self) -> float:
        self.state.elapsed_s = time.monotonic() - self.start
        return self.state.elapsed_s

    def _pause(self) -> None:
        """Save and validate when due."""
        run = self.settings.run
        if self.state.elapsed_s - self.saved > run.checkpoint_minutes * 60:
            self._save()
        if self.state.elapsed_s - self.checked > run.validate_minutes * 60:
            self.checked = self.state.elapsed_s
            self.journal.checks(self.state, validation.check(self.state.average, self.checks))

    def _save(self) -> None:
        self.saved = self.state.elapsed_s
        save(self.state, self.journal.folder, self.settings, self.data_sha256)

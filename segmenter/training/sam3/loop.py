"""The loop of fine-tuning SAM 3: ask, compare, step, and now and then see what it is worth."""

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from segmenter.backends.sam3.backend import Sam3Backend
from segmenter.backends.sam3.network import DetectorPrompt, Sam3Network
from segmenter.backends.sam3.preprocess import to_centred
from segmenter.contract import Prompt
from segmenter.masks import rle
from segmenter.masks.geometry import dice, mask_box
from segmenter.training.sam3.cache import EncodedPictures
from segmenter.training.sam3.data import Annotated, digest, read_rgb, union
from segmenter.training.sam3.detector import Detector
from segmenter.training.sam3.export import export
from segmenter.training.sam3.losses import Losses, Target, detector_losses
from segmenter.training.sam3.prompts import Query, epoch_queries
from segmenter.training.sam3.settings import Sam3Settings
from segmenter.training.sam3.state import (
    move_average,
    new_tuning,
    put_parameters,
    rate_at,
    resume_tuning,
    save_tuning,
)

BEST, LAST = "best", "last"


class Tuned(NamedTuple):
    """What came out.

    Attributes:
        steps: done in all.
        dice: validation Dice by text alone, before the first and after the last step.
        best: highest in between; its weights are in the folder ``best``.
    """

    steps: int
    first: float
    last: float
    best: float


class Tuning:
    """One run on a network, which it changes."""

    def __init__(
        self,
        network: Sam3Network,
        settings: Sam3Settings,
        train: Sequence[Annotated],
        valid: Sequence[Annotated],
        folder: Path,
    ) -> None:
        """Prepare a run.

        Args:
            network: base weights, without an adapter.
            settings: of the run.
            train: pictures to learn from.
            valid: pictures to measure on; never learned from.
            folder: of the run; checkpoints, curves and the results go there.

        Raises:
            ValueError: no picture with an object to learn from.
        """
        if not any(masks for each in train for masks in each.objects.values()):
            raise ValueError("no picture of the training data has an object")
        torch.manual_seed(settings.run.seed)
        self._settings, self._train, self._valid, self._folder = settings, train, valid, folder
        self._network = network
        self._identity = _identity(network, settings, [*train, *valid])
        lora = settings.lora if settings.run.trains == "lora" else None
        self.detector = Detector(network, lora)
        self.state = new_tuning(self.detector, settings)
        self._encoded = EncodedPictures(network, folder / "encoded", settings.run.cache_bytes)
        batch = settings.optimizer.batch * settings.optimizer.accumulate
        first = epoch_queries(train, settings.data, seed=settings.run.seed, epoch=0)
        self.steps_of_epoch = max(1, len(first) // batch)
        self.steps = self.steps_of_epoch * settings.optimizer.epochs

    def resume(self) -> None:
        """Go on from the folder's checkpoint; raises ValueError if there is no fitting one."""
        resume_tuning(self.state, self._folder, self._identity)

    def run(self, *, steps: int | None = None) -> Tuned:
        """Train to the end of the schedule, or for so many steps of it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        settings, state = self._settings, self.state
        end = self.steps if steps is None else min(self.steps, state.step + steps)
        first = last = self.validate()
        while state.step < end:
            losses = self._step()
            state.step += 1
            self._note_losses(losses)
            if state.step % settings.run.validate_every == 0 or state.step == end:
                last = self._check()
        return Tuned(state.step, first, last, state.best)

    def _check(self) -> float:
        found = self.validate()
        if found > self.state.best:
            self.state.best = found
            self._export(BEST)
        self._export(LAST)
        save_tuning(self.state, self._folder, self._identity)
        self._append("validation.csv", {"step": self.state.step, "dice": round(found, 5)})
        return found

    def _export(self, name: str) -> None:
        with self._averaged():
            export(self.detector, self._folder / name)

    def _step(self) -> Losses:
        settings, state = self._settings, self.state
        rate = rate_at(state.step, self.steps, settings.optimizer)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        self.detector.train(True)
        state.optimizer.zero_grad(set_to_none=True)
        parts = list(self._batches(state.step))
        sums: list[Losses] = []
        for queries in parts:
            with self._autocast():
                losses = self._losses(queries)
            (losses.total / len(parts)).backward()  # type: ignore[no-untyped-call]
            sums.append(Losses(*(each.detach() for each in losses)))
        parameters = list(self.detector.parameters().values())
        torch.nn.utils.clip_grad_norm_(parameters, settings.optimizer.clip_norm)
        state.optimizer.step()
        if settings.optimizer.ema is not None:
            move_average(state, settings.optimizer.ema)
        self.detector.train(False)
        return Losses(*(torch.stack(each).mean() for each in zip(*sums, strict=True)))

    def _batches(self, step: int) -> Iterator[list[Query]]:
        """Return the questions of a step: they follow from its number alone."""
        settings = self._settings
        epoch, place = divmod(step, self.steps_of_epoch)
        seed = settings.run.seed
        queries = epoch_queries(self._train, settings.data, seed=seed, epoch=epoch)
        size = settings.optimizer.batch
        start = place * size * settings.optimizer.accumulate
        for part in range(settings.optimizer.accumulate):
            chosen = queries[start + part * size : start + (part + 1) * size]
            if chosen:
                yield chosen

    def _losses(self, queries: Sequence[Query]) -> Losses:
        encoded = [self._encoded.get(self._train[query.picture]) for query in queries]
        sizes = [_size(self._train[query.picture]) for query in queries]
        questions = [to_question(query, size) for query, size in zip(queries, sizes, strict=True)]
        answers = self.detector.answer(encoded, questions)
        side = answers.masks.shape[-1]
        targets = [
            to_target(self._train[query.picture], query.phrase, side, answers.masks.device)
            for query in queries
        ]
        return detector_losses(answers, targets, self._settings.loss)

    def validate(self) -> float:
        """Return the mean Dice over pictures and phrases, by text alone, as the service answers.

        Averaged parameters are used if there are any.
        """
        backend = Sam3Backend(self._network, weights_id="tuned")
        with self._averaged():
            found = [score for picture in self._valid for score in _scores(backend, picture)]
        return float(np.mean(found)) if found else 0.0

    def _autocast(self) -> AbstractContextManager[object]:
        if not self._settings.run.bfloat16:
            return nullcontext()
        return torch.autocast(self._network.device.type, dtype=torch.bfloat16)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Put the averaged parameters, if there are any, in place of the trained ones."""
        if not self.state.average:
            yield
            return
        own = {name: each.detach().clone() for name, each in self.detector.parameters().items()}
        put_parameters(self.detector, self.state.average)
        try:
            yield
        finally:
            put_parameters(self.detector, own)

    def _note_losses(self, losses: Losses) -> None:
        values = {name: round(float(each), 6) for name, each in losses._asdict().items()}
        self._append("losses.csv", {"step": self.state.step, **values})

    def _append(self, name: str, row: dict[str, object]) -> None:
        path = self._folder / name
        fresh = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as lines:
            writer = csv.DictWriter(lines, list(row))
            if fresh:
                writer.writeheader()
            writer.writerow(row)


def to_question(query: Query, size: tuple[int, int]) -> DetectorPrompt:
    """Return a query in the network's terms; `size` is (H, W) of its picture."""
    if query.box is None:
        return DetectorPrompt(query.phrase)
    return DetectorPrompt(query.phrase, (to_centred(query.box, size),), (True,))


def to_target(picture: Annotated, phrase: str, side: int, device: torch.device) -> Target:
    """Return the objects of a phrase; none where it is not in the picture.

    Args:
        picture: with its objects.
        phrase: asked for.
        side: of the model's masks.
        device: of torch.
    """
    boxes, masks = [], []
    for each in picture.objects.get(phrase, ()):
        mask = rle.decode(each)
        box = mask_box(mask)
        assert box is not None
        boxes.append(to_centred(box, mask.shape))
        pixels = torch.from_numpy(mask).float()[None, None]
        small = functional.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
        masks.append((small[0, 0] > 0.5).float())
    if not boxes:
        return Target(torch.zeros(0, 4, device=device), torch.zeros(0, side, side, device=device))
    return Target(torch.tensor(boxes, device=device), torch.stack(masks).to(device))


def _size(picture: Annotated) -> tuple[int, int]:
    known = next((masks[0].size for masks in picture.objects.values() if masks), None)
    return known if known is not None else read_rgb(picture).shape[:2]


def _scores(backend: Sam3Backend, picture: Annotated) -> Iterator[float]:
    image = read_rgb(picture)
    phrases = [phrase for phrase, masks in picture.objects.items() if masks]
    prompts = [Prompt(text=phrase) for phrase in phrases]
    answers = backend.predict(backend.embed(image), prompts, threshold=None) if prompts else []
    for phrase, answer in zip(phrases, answers, strict=True):
        found = np.zeros(image.shape[:2], dtype=np.bool_)
        for mask in answer.masks:
            found |= mask.mask
        yield dice(found, union(picture, phrase, image.shape[:2]))


def _identity(network: Sam3Network, settings: Sam3Settings, pictures: Sequence[Annotated]) -> str:
    parts = [network.weights_sha256, json.dumps(settings.model_dump(mode="json"), sort_keys=True)]
    for each in pictures:
        objects = {name: [mask.counts for mask in masks] for name, masks in each.objects.items()}
        parts += [digest(each), json.dumps(objects, sort_keys=True)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()

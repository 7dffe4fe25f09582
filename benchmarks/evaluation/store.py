"""What an evaluation has so far, in its folder: one line per answer, whenever it is stopped.

``run.json`` says what is asked, ``masks.jsonl`` holds the union of each answer's masks and
``scores.jsonl`` its figures. A mask is written before its score: what has a score is complete. A
torn last line is dropped; failed answers are dropped on the next start and so asked again.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from api.cli.output import UsageFault
from benchmarks.evaluation.provenance import Configuration
from benchmarks.evaluation.records import Frozen, Mode, Score
from segmenter.contract import BinaryMask, Rle
from segmenter.masks import rle

RUN, SCORES, MASKS = "run.json", "scores.jsonl", "masks.jsonl"


class Key(NamedTuple):
    """What tells one question from all others of an evaluation."""

    dataset: str
    image_id: str
    concept: str
    phrase: str
    mode: Mode
    foreign: bool


class StoredMask(Frozen):
    """The union of an answer's masks.

    Attributes:
        rle: None without a mask.
        fallbacks: steps the rules took over from the planner.
    """

    key: Key
    rle: Rle | None
    fallbacks: int = 0


class RunNote(Frozen):
    """What an evaluation asks, and when it was started (ISO 8601, UTC).

    Attributes:
        fingerprint: of ``configuration``; see `fingerprint_of`.
        configuration: what it stands for.
    """

    fingerprint: str
    started: str
    configuration: Configuration


def fingerprint_of(configuration: Configuration) -> str:
    """Return the sha256 of a configuration, as hexadecimal digits."""
    return hashlib.sha256(configuration.model_dump_json().encode()).hexdigest()


def key_of(score: Score) -> Key:
    """Return what a score answers."""
    return Key(
        score.dataset, score.image_id, score.concept, score.phrase, score.mode, score.foreign
    )


class Store:
    """One evaluation's folder."""

    def __init__(self, folder: Path, note: RunNote) -> None:
        """Take up what `open_store` checked."""
        self.note = note
        self._scores_path, self._masks_path = folder / SCORES, folder / MASKS
        kept = [score for score in self._read_scores() if score.status != "failed"]
        self._scores = {key_of(score): score for score in kept}
        self._masks = {mask.key: mask for mask in self._read_masks() if mask.key in self._scores}
        _write_lines(
            self._scores_path, [score.model_dump_json() for score in self._scores.values()]
        )
        _write_lines(self._masks_path, [mask.model_dump_json() for mask in self._masks.values()])

    def __contains__(self, key: Key) -> bool:
        return key in self._scores

    def add(self, score: Score, union: Rle | None, *, fallbacks: int = 0) -> None:
        """Keep one answer, on disk before this returns."""
        mask = StoredMask(key=key_of(score), rle=union, fallbacks=fallbacks)
        _append(self._masks_path, mask.model_dump_json())
        _append(self._scores_path, score.model_dump_json())
        self._masks[mask.key] = mask
        self._scores[mask.key] = score

    def scores(self) -> list[Score]:
        """Return all scores, sorted by what they answer."""
        return [self._scores[key] for key in sorted(self._scores)]

    def fallbacks(self) -> int:
        """Count the steps that the rules took over from the planner."""
        return sum(mask.fallbacks for mask in self._masks.values())

    def mask(self, score: Score) -> BinaryMask | None:
        """Return the union of an answer's masks, bool, shape (H, W); None without a mask."""
        stored = self._masks.get(key_of(score))
        return None if stored is None or stored.rle is None else rle.decode(stored.rle)

    def _read_scores(self) -> Iterator[Score]:
        for line in _whole_lines(self._scores_path):
            yield Score.model_validate_json(line)

    def _read_masks(self) -> Iterator[StoredMask]:
        for line in _whole_lines(self._masks_path):
            yield StoredMask.model_validate_json(line)


def open_store(folder: Path, configuration: Configuration, *, started: str, restart: bool) -> Store:
    """Open an evaluation's folder, new or to go on with.

    Args:
        folder: made if it is not there.
        configuration: all that decides the scores.
        started: now, ISO 8601, UTC; kept where an evaluation goes on.
        restart: whether to forget what is there.

    Raises:
        UsageFault: the folder holds another evaluation, or one that cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fresh = RunNote(
        fingerprint=fingerprint_of(configuration), started=started, configuration=configuration
    )
    try:
        note = None if restart else _read_note(folder / RUN)
        if note is not None and note.fingerprint != fresh.fingerprint:
            raise UsageFault(
                f"{folder} holds an evaluation with other settings, weights or data;"
                " give another --out, or --restart to forget it"
            )
        if note is None:
            for name in (SCORES, MASKS):
                (folder / name).unlink(missing_ok=True)
            _write_whole(folder / RUN, fresh.model_dump_json(indent=2) + "\n")
        return Store(folder, note or fresh)
    except ValidationError as error:
        raise UsageFault(
            f"{folder} holds an evaluation that cannot be read"
            f" ({error.error_count()} errors); --restart forgets it"
        ) from None


def _read_note(path: Path) -> RunNote | None:
    if not path.exists():
        return None
    return RunNote.model_validate_json(path.read_text(encoding="utf-8"))


def _whole_lines(path: Path) -> Iterator[str]:
    """Yield the lines that end; a last one without an end was torn by a stop."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        yield from (line for line in lines if line.endswith("\n"))


def _append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as lines:
        lines.write(line + "\n")


def _write_lines(path: Path, lines: list[str]) -> None:
    _write_whole(path, "".join(f"{line}\n" for line in lines))


def _write_whole(path: Path, text: str) -> None:
    """Replace a file at once: whoever reads sees the old or the new one."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)

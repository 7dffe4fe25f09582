"""What a client wrote down of its requests: every answer it got, and what it saw afterwards."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Names of the events that end a run's stream, and the status that they stand for.
ENDS = {"run.completed": "done", "run.failed": "failed", "run.cancelled": "cancelled"}


@dataclass
class RunEntry:
    """An agent run that was asked for, under one Idempotency-Key.

    Attributes:
        case: name of the picture and the words; the same case has the same masks.
        kills_acceptor: the process that answers 202 is killed at once.
        ids: of every 202 and 200 that came, with repetitions.
        digests: of the masks of every 200, of later reads too.
        events: numbers and names of the stream, in the order they came.
        final: status of the last read of the run: "done", "failed", "running", "gone"; empty
            before one.
        thread_runs: runs that its conversation has in the end.
        refusal: problem that ended the request, where a retry is no use.
        is_asked: whether it was sent before the benchmark's time was up.
    """

    key: str
    case: str
    is_async: bool
    kills_acceptor: bool = False
    is_asked: bool = False
    ids: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    events: list[tuple[int, str]] = field(default_factory=list)
    final: str = ""
    thread_runs: tuple[str, ...] = ()
    refusal: str = ""

    @property
    def end(self) -> str:
        """Status that the stream ended with, empty if it did not end."""
        return ENDS.get(self.events[-1][1], "") if self.events else ""


@dataclass
class CallEntry:
    """A direct segmentation that was asked for."""

    case: str
    digests: list[str] = field(default_factory=list)
    refusal: str = ""
    is_asked: bool = False


@dataclass
class Ledger:
    """All of them, and how often what had to be tried again."""

    runs: list[RunEntry]
    calls: list[CallEntry]
    retries: Counter[str] = field(default_factory=Counter)


def digest_of_run(answer: Mapping[str, Any]) -> str:
    """Digest what a run found: status and masks of its targets, not ids, times or urls."""
    return _digest([[target["status"], _masks(target)] for target in answer["targets"]])


def digest_of_call(answer: Mapping[str, Any]) -> str:
    """Digest what a direct segmentation found."""
    return _digest([_masks(result) for result in answer["results"]])


def _masks(found: Mapping[str, Any]) -> list[list[object]]:
    return [[mask["concept"], mask["rle"], mask["area_px"]] for mask in found["masks"]]


def _digest(found: Sequence[object]) -> str:
    text = json.dumps(found, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

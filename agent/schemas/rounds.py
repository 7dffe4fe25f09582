"""What a round saw, judged and won, and how a run ended."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from agent.schemas.plan import Call
from segmenter.contract import Fraction, Frozen, Mask


class Status(StrEnum):
    """How a target, or a whole run, ended."""

    FOUND = "found"
    NOT_FOUND = "not_found"
    UNCERTAIN = "uncertain"
    FAILED = "failed"


class Issue(StrEnum):
    """What is wrong with a mask."""

    NONE = "none"
    WRONG_STRUCTURE = "wrong_structure"
    WRONG_SIDE = "wrong_side"
    TOO_LARGE = "too_large"
    TOO_SMALL = "too_small"
    LEAK = "leak"
    MISSING_PARTS = "missing_parts"
    FRAGMENTED = "fragmented"
    NOT_PRESENT = "not_present"


class Candidate(Frozen):
    """A mask some call gave. Candidates are never deleted.

    Attributes:
        id: ``m1``, ``m2`` ... stable within a thread.
        quality: the rules' score, [0, 1], or None before inspection.
        derived_from: id of the candidate it was cut out of by code, or None.
    """

    id: str
    target: str
    round: int
    call: int
    concept: str | None
    mask: Mask
    quality: Fraction | None = None
    derived_from: str | None = None


class Verdict(Frozen):
    """The inspector's word on one candidate.

    Attributes:
        better_than_incumbent: only meaningful when both were in one sheet.
        by: ``rules``, ``mllm`` or ``client`` (a person's edit, above any model's word).
    """

    candidate: str
    verdict: Literal["accept", "partial", "reject"]
    issue: Issue = Issue.NONE
    better_than_incumbent: Literal["yes", "no", "same"] = "same"
    by: Literal["rules", "mllm", "client"] = "rules"


class Inspection(Frozen):
    """One look at a round: verdicts, and what to do next.

    Attributes:
        complete: per target id, whether nothing is missing any more.
        next: what the inspector proposes; policy decides.
    """

    verdicts: tuple[Verdict, ...]
    complete: dict[str, bool] = Field(default_factory=dict)
    missing: str = ""
    next: Literal["stop", "segment", "absent"] = "stop"
    calls: tuple[Call, ...] = ()


class Win(Frozen):
    """An entry of the ledger: a replacement of the incumbent of a target, judged or by a rule.

    Attributes:
        note: what code did to the old masks to get the new ones, "" for masks of the tool.
    """

    target: str
    round: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    reason: str
    note: str = ""


class Round(Frozen):
    """Segment and inspect, once. Rounds only ever get appended.

    Attributes:
        number: from 1.
        candidates: ids of the candidates this round gave.
        reasons: per call, why it gave no mask ("" if it gave one).
        presence: per call, the model's belief that the concept is in the image, [0, 1].
        known: per call, False if the model cannot look for the concept at all.
    """

    number: int
    calls: tuple[Call, ...]
    candidates: tuple[str, ...]
    reasons: tuple[str, ...]
    inspection: Inspection
    planner: str
    wins: tuple[Win, ...] = ()
    presence: tuple[Fraction, ...] = ()
    known: tuple[bool, ...] = ()


class Usage(Frozen):
    """What the MLLM cost."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def tokens(self) -> int:
        """In and out together."""
        return self.input_tokens + self.output_tokens

    def minus(self, other: "Usage") -> "Usage":
        """Return what came on top of another one, which it holds."""
        return Usage(
            calls=self.calls - other.calls,
            input_tokens=self.input_tokens - other.input_tokens,
            output_tokens=self.output_tokens - other.output_tokens,
        )

    def plus(self, other: "Usage") -> "Usage":
        """Return the sum."""
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )


class Ending(Frozen):
    """A status, and its reason in plain words."""

    status: Status
    reason: str = ""


class TargetOutcome(Frozen):
    """How one target ended, by candidate id.

    Attributes:
        alone: how it would have ended without another target on the same pixels; None where there
            is no such target.
    """

    target: str
    status: Status
    masks: tuple[str, ...]
    reason: str = ""
    alone: Ending | None = None


class Outcome(Frozen):
    """How a run ended, by candidate id."""

    status: Status
    targets: tuple[TargetOutcome, ...]
    needs_review: bool
    message: str


class Failure(Frozen):
    """Why a run failed: the domain error's name and plain words."""

    kind: str
    message: str

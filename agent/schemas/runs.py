"""What a run knows: small, frozen, JSON-ready records. Never pixels, arrays or clients."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, TypedDict

from pydantic import Field

from segmenter.contract import Box, BoxPrompt, Fraction, Frozen, ImageRef, Mask, ModelInfo

# The paper's number of rounds (section 4.4).
MAX_ROUNDS = 3
# One request holds a clinical sentence or a few, not a report.
MAX_REQUEST_CHARS = 2000
MAX_TARGETS = 4
MAX_CALLS_PER_ROUND = 4
MAX_CONCEPT_WORDS = 3


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


class Selection(Frozen):
    """Which of a target's masks are wanted, decided by code.

    Attributes:
        side: ``left`` or ``right`` as seen in the image, after translating the request's meaning.
        rank: ``largest`` or ``smallest``.
        limit: at most so many masks.
    """

    side: Literal["left", "right"] | None = None
    rank: Literal["largest", "smallest"] | None = None
    limit: Annotated[int, Field(ge=1)] | None = None


class Target(Frozen):
    """One thing the request asks for.

    Attributes:
        id: ``t1``, ``t2`` ... stable within a thread.
        label: the caller's word for it, normalised.
        phrases: phrases to try, first choice first; each a concept of one to three words. Empty
            when only a box says what is meant.
        count: how many are expected.
        where: the planner's words on the place, or "".
        area_share: least and greatest plausible share of the image, [0, 1].
        known: False when neither the lexicon nor the planner knows the term.
        frame: whose left and right the request's words mean on this image, as far as the first
            run could tell; None where nothing was read.
    """

    id: str
    label: str
    phrases: tuple[str, ...]
    count: Literal["one", "several", "unknown"] = "unknown"
    where: str = ""
    selection: Selection = Selection()
    area_share: tuple[float, float] = (0.0, 1.0)
    known: bool = True
    frame: Literal["patient", "image"] | None = None


class Call(Frozen):
    """One prompt to the tool, made for one target.

    Attributes:
        threshold: lowered joint-score threshold, or None for the model's own.
    """

    target: str
    concept: str | None
    boxes: tuple[BoxPrompt, ...] = ()
    threshold: Fraction | None = None


class Plan(Frozen):
    """What the planner made of the request.

    Attributes:
        modality: short word ("ultrasound"), or "unknown".
        note: the planner's remark for a person, plain text, capped.
    """

    decision: Literal["segment", "absent", "unclear"]
    modality: str
    targets: tuple[Target, ...]
    calls: tuple[Call, ...]
    note: str = ""


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
    """An entry of the ledger: a judged replacement of the incumbent of a target."""

    target: str
    round: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    reason: str


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

    def plus(self, other: "Usage") -> "Usage":
        """Return the sum."""
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )


class PlannerInfo(Frozen):
    """Who planned and judged.

    Attributes:
        kind: ``rules``, ``gemini`` or ``openai``: what really did the work (a run in which the
            rules took over a step says so in `fallbacks`).
        fallbacks: one line per step the rules took over, with the reason.
    """

    kind: Literal["rules", "gemini", "openai"]
    model: str | None = None
    fallbacks: tuple[str, ...] = ()


class Provenance(Frozen):
    """Where a result comes from.

    Attributes:
        cost: of the usage, where prices are set; in their currency.
    """

    segmenter: ModelInfo | None
    planner: PlannerInfo
    prompts_version: str
    rounds: int
    usage: Usage
    seconds: float
    cost: float | None = None


class ResultMask(Frozen):
    """A mask that is returned, with its history.

    Attributes:
        verdict: the last word on it, None if nobody judged it.
        by: whose word that is.
    """

    candidate: Candidate
    label: str
    verdict: Literal["accept", "partial", "reject"] | None
    area_mm2: float | None = None
    by: Literal["rules", "mllm", "client"] = "rules"


class TargetResult(Frozen):
    """How one target ended.

    Attributes:
        reason: plain words: why nothing was found, or why a person should look.
    """

    target: Target
    status: Status
    masks: tuple[ResultMask, ...]
    reason: str = ""


class Edit(Frozen):
    """A person's word on the thread, above any model's.

    Attributes:
        action: ``accept`` or ``reject`` a mask by id, or hand in a ``box`` for a target.
        label: for a box: which target it is for (None: the only one, or a new one).
    """

    action: Literal["accept", "reject", "box"]
    mask_id: str | None = None
    box: Box | None = None
    label: str | None = None


class AgentRequest(Frozen):
    """A request as the entry points hand it in; the image is stored already.

    Attributes:
        image: None only together with a thread that holds one.
        box: the caller's box for what is asked, always used.
        planner: ``auto`` takes the configured one.
        max_seconds: ends sooner than the service's own limit.
        max_tokens: of the MLLM, in and out together; then the run ends with what it has.
        wait: wait while another run of the thread goes on, instead of `ThreadBusy`.
    """

    request: Annotated[str, Field(min_length=1, max_length=MAX_REQUEST_CHARS)]
    image: ImageRef | None = None
    thread_id: str | None = None
    box: Box | None = None
    max_rounds: Annotated[int, Field(ge=1, le=MAX_ROUNDS)] = MAX_ROUNDS
    planner: Literal["auto", "rules", "gemini", "openai"] = "auto"
    edits: Annotated[tuple[Edit, ...], Field(max_length=20)] = ()
    max_seconds: Annotated[float, Field(ge=1.0)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    wait: bool = False


class RunRecord(Frozen):
    """A finished (or failed) run, as stored and returned.

    Attributes:
        status: of the targets the run worked on: found if any was, else uncertain, failed or
            not_found. Targets kept from earlier runs count only if there was nothing else.
        needs_review: true whenever a person should look.
        error: for ``failed``: what failed, in plain words without internals.
        error_kind: for ``failed``: name of the domain error (``NoWorker``), or ``cancelled``.
    """

    id: str
    thread_id: str
    created_at: datetime
    request: str
    image: ImageRef
    status: Status
    plan: Plan | None
    rounds: tuple[Round, ...]
    candidates: tuple[Candidate, ...]
    targets: tuple[TargetResult, ...]
    needs_review: bool
    message: str
    provenance: Provenance
    error: str | None = None
    error_kind: str | None = None


class ThreadRecord(Frozen):
    """A conversation about one image: its runs, candidates and accepted targets.

    Attributes:
        next_mask: number of the next candidate id, so that ids stay stable and unique.
        next_target: the same for targets.
        tried: calls that were made, so that none is repeated.
        rejected: ids of candidates a person rejected; they never come back.
        modality: our name of it, as the last plan that knew it named it, or ``unknown``.
        undoable: runs that can be taken back, the latest last.
    """

    id: str
    created_at: datetime
    image: ImageRef
    runs: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    targets: tuple[TargetResult, ...] = ()
    tried: tuple[Call, ...] = ()
    rejected: tuple[str, ...] = ()
    modality: str = "unknown"
    next_mask: int = 1
    next_target: int = 1
    undoable: tuple[str, ...] = ()


class RunEvent(Frozen):
    """A step of a run, for whoever watches it; never pixels, requests or answers.

    Attributes:
        name: as in the HTTP interface's list of events.
        number: the round it belongs to, 0 before the first.
        facts: small numbers and words, for example how many masks a round gave.
    """

    name: Literal[
        "run.created",
        "run.plan",
        "run.segment.started",
        "run.segment.completed",
        "run.inspect",
        "run.round.completed",
        "run.completed",
        "run.failed",
        "run.cancelled",
    ]
    run_id: str
    number: int = 0
    facts: dict[str, str | int | float] = Field(default_factory=dict)


class TargetOutcome(Frozen):
    """How one target ended, by candidate id."""

    target: str
    status: Status
    masks: tuple[str, ...]
    reason: str = ""


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


class AgentState(TypedDict, total=False):
    """LangGraph's state: JSON-ready dumps of small records, ids and words.

    Masks and thread records are heavy and ride in the run's context (`agent.loop.context`).
    """

    run_id: str
    kept_steps: int
    plan: dict[str, object] | None
    pending: list[dict[str, object]]
    kept: list[str]
    latest: dict[str, object] | None
    rounds: list[dict[str, object]]
    incumbents: dict[str, list[str]]
    verdicts: list[dict[str, object]]
    usage: dict[str, object]
    fallbacks: list[str]
    failures: int
    step: Literal["refine", "finish"]
    comparisons: int
    error: dict[str, object] | None
    outcome: dict[str, object] | None

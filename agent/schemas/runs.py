"""What a run knows: small, frozen, JSON-ready records. Never pixels, arrays or clients."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from agent.schemas.intent import Intent
from agent.schemas.plan import MAX_ROUNDS, Call, Plan, Target
from agent.schemas.rounds import Candidate, Ending, Round, Status, Usage
from segmenter.contract import Box, Frozen, ImageRef, JobEvent, Measures, ModelInfo

# One request holds a clinical sentence or a few, not a report.
MAX_REQUEST_CHARS = 2000


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
        measures: of its pixels; None where it was not measured.
    """

    candidate: Candidate
    label: str
    verdict: Literal["accept", "partial", "reject"] | None
    area_mm2: float | None = None
    by: Literal["rules", "mllm", "client"] = "rules"
    measures: Measures | None = None


class TargetResult(Frozen):
    """How one target ended.

    Attributes:
        reason: plain words: why nothing was found, or why a person should look.
        alone: as `TargetOutcome.alone`.
    """

    target: Target
    status: Status
    masks: tuple[ResultMask, ...]
    reason: str = ""
    alone: Ending | None = None


class EarlierResult(Frozen):
    """What stood for a target before its last change.

    Attributes:
        masks: their ids.
        area_px: of all of them together, pixels.
    """

    target: str
    masks: tuple[str, ...]
    area_px: Annotated[int, Field(ge=0)]


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
        intent: what the request was taken to mean.
        answer: to its questions, with how each number was measured; "" without one.
        not_understood: verbatim parts of the request that nothing consumed.
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
    intent: Intent | None = None
    answer: str = ""
    not_understood: tuple[str, ...] = ()
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
        undoable: runs that changed what is shown and can be taken back, the latest last.
        redoable: runs that took one back and can be taken back themselves, the latest last.
        spoken: the targets that were spoken of last, whether or not anything shows them.
        earlier: what stood for the targets before their last change.
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
    redoable: tuple[str, ...] = ()
    spoken: tuple[Target, ...] = ()
    earlier: tuple[EarlierResult, ...] = ()


Watch = Callable[[JobEvent], Awaitable[None]]

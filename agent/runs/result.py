"""Turns a run's last state and its context into the record that is stored and returned."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from agent.loop.context import RunContext
from agent.loop.state import AgentState
from agent.schemas.plan import Target
from agent.schemas.rounds import Candidate, Failure, Outcome, Status, TargetOutcome, Verdict
from agent.schemas.runs import (
    PlannerInfo,
    Provenance,
    ResultMask,
    RunRecord,
    TargetResult,
    ThreadRecord,
)
from segmenter.contract import Mask, Measures, Spacing

# A record holds the masks of its latest runs, as many and as large as fit: the store's bound of
# 16 MiB leaves the rest for words. One mask of 12000 nuclei on 16 megapixels takes 0.5 MiB.
MAX_CANDIDATES = 200
MAX_CANDIDATE_BYTES = 12 * 1024 * 1024

CANCELLED = Failure(kind="cancelled", message="The run was cancelled.")


NOT_MEASURED: Mapping[str, Measures] = {}


def shown_masks(state: AgentState, context: RunContext) -> dict[str, Mask]:
    """Return the masks that a run which ended shows, by id."""
    ended = state.get("outcome")
    names = (name for target in (ended.targets if ended else ()) for name in target.masks)
    return {name: context.candidates[name].mask for name in names}


def to_record(
    state: AgentState,
    context: RunContext,
    *,
    thread: ThreadRecord,
    created_at: datetime,
    failure: Failure | None = None,
    measures: Mapping[str, Measures] = NOT_MEASURED,
) -> RunRecord:
    """Return the record of a run that ended, or (with `failure`) was broken off.

    It holds the masks it shows and its own others; those of earlier runs are in their records.

    Args:
        state: the last one.
        context: of the run.
        thread: before it.
        created_at: when it was asked for.
        failure: what broke it off.
        measures: of the masks it shows, by id.
    """
    outcome = _outcome(state, failure)
    intent = context.opening.intent
    plan, verdicts = state.get("plan"), state["verdicts"]
    failed = failure or (state.get("error") if outcome.status is Status.FAILED else None)
    known = {target.id: target for target in (plan.targets if plan else context.opening.reopened)}
    known = {result.target.id: result.target for result in context.opening.kept} | known
    known |= state.get("targets", {})
    targets = tuple(
        _result(ended, known[ended.target], verdicts, context, measures)
        for ended in outcome.targets
    )
    before = {candidate.id for candidate in thread.candidates}
    own = [candidate for candidate in context.candidates.values() if candidate.id not in before]
    return RunRecord(
        id=context.run_id,
        thread_id=thread.id,
        created_at=created_at,
        request=context.request.request,
        image=context.image,
        status=outcome.status,
        plan=plan,
        rounds=state["rounds"],
        candidates=bounded(own, targets),
        targets=targets,
        needs_review=outcome.needs_review,
        message=outcome.message,
        provenance=_provenance(state, context),
        intent=intent,
        not_understood=intent.not_understood,
        error=failed.message if failed else None,
        error_kind=failed.kind if failed else None,
    )


def _outcome(state: AgentState, failure: Failure | None) -> Outcome:
    """Return how the run ended; broken off, it is failed and shows nothing as a result."""
    ended = state.get("outcome")
    if failure is None and ended is not None:
        return ended
    message = failure.message if failure else "The run did not end."
    return Outcome(status=Status.FAILED, targets=(), needs_review=True, message=message)


def _result(
    ended: TargetOutcome,
    target: Target,
    verdicts: Mapping[str, Verdict],
    context: RunContext,
    measures: Mapping[str, Measures],
) -> TargetResult:
    masks = tuple(
        _result_mask(
            context.candidates[name],
            target.label,
            verdicts.get(name),
            context.image.spacing,
            measures.get(name),
        )
        for name in ended.masks
    )
    return TargetResult(
        target=target, status=ended.status, masks=masks, reason=ended.reason, alone=ended.alone
    )


def _result_mask(
    candidate: Candidate,
    label: str,
    verdict: Verdict | None,
    spacing: Spacing | None,
    measures: Measures | None,
) -> ResultMask:
    return ResultMask(
        candidate=candidate,
        label=label,
        verdict=verdict.verdict if verdict else None,
        by=verdict.by if verdict else "rules",
        area_mm2=area_mm2(candidate.mask.area_px, spacing),
        measures=measures,
    )


def bounded(
    candidates: Iterable[Candidate],
    targets: Iterable[TargetResult],
    *,
    rejected: Collection[str] = (),
    max_count: int = MAX_CANDIDATES,
    max_bytes: int = MAX_CANDIDATE_BYTES,
) -> tuple[Candidate, ...]:
    """Return what a record keeps of some candidates: all that is shown, then the latest others.

    A mask that is shown is never lost. Of the others the oldest go first, as soon as one does not
    fit, and those that a person rejected last: without its pixels a mask could come back.
    """
    unique = {candidate.id: candidate for candidate in candidates}
    shown = {mask.candidate.id: mask.candidate for result in targets for mask in result.masks}
    # A record holds what is shown twice: by id, and with its target.
    room = max_bytes - 2 * sum(_size(candidate) for candidate in shown.values())
    kept: list[Candidate] = []
    others = [candidate for name, candidate in unique.items() if name not in shown]
    for candidate in sorted(
        others, key=lambda candidate: (candidate.id not in rejected, -int(candidate.id[1:]))
    ):
        room -= _size(candidate)
        if room < 0 or len(kept) == max_count:
            break
        kept.append(candidate)
    everything = {candidate.id: candidate for candidate in kept} | shown
    return tuple(sorted(everything.values(), key=lambda candidate: int(candidate.id[1:])))


def _size(candidate: Candidate) -> int:
    """Return the length of a candidate in a record, in bytes."""
    return len(candidate.model_dump_json())


def broken_off(error: BaseException) -> Failure:
    """Return why a run broke off: the kind of error only, its words may hold anything."""
    return Failure(kind=type(error).__name__, message="The run was broken off by an error.")


def area_mm2(area_px: int, spacing: Spacing | None) -> float | None:
    """Return an area in square millimetres, None where the pixel size is not known."""
    return None if spacing is None else area_px * spacing.row_mm * spacing.column_mm


def _provenance(state: AgentState, context: RunContext) -> Provenance:
    usage, prices = state["usage"], context.tools.settings.prices
    return Provenance(
        segmenter=context.model or (context.capabilities.model if context.capabilities else None),
        planner=PlannerInfo(
            kind=context.planner.kind,
            model=context.planner.model,
            fallbacks=state["fallbacks"],
        ),
        prompts_version=context.tools.settings.prompts_version,
        rounds=len(state["rounds"]),
        usage=usage,
        seconds=context.seconds(),
        cost=prices.of(usage) if prices and usage.calls else None,
    )

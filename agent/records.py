"""Turns a run's last state and its bench into the record that is stored and returned."""

from datetime import datetime

from agent.bench import Bench
from agent.drafts import (
    failure_of,
    plan_of,
    rounds_of,
    usage_of,
    verdicts_of,
)
from agent.state import (
    AgentState,
    Candidate,
    Failure,
    Outcome,
    PlannerInfo,
    Provenance,
    ResultMask,
    RunRecord,
    Status,
    Target,
    TargetOutcome,
    TargetResult,
    Verdict,
)
from segmenter.contract import Spacing

CANCELLED = Failure(kind="cancelled", message="The run was cancelled.")


def to_record(
    state: AgentState,
    bench: Bench,
    *,
    thread_id: str,
    created_at: datetime,
    failure: Failure | None = None,
) -> RunRecord:
    """Return the record of a run that ended, or (with `failure`) was broken off."""
    outcome = _outcome(state, failure)
    plan, verdicts = plan_of(state), verdicts_of(state)
    failed = failure or (failure_of(state) if outcome.status is Status.FAILED else None)
    known = {one.id: one for one in (plan.targets if plan else bench.opening.reopened)}
    known = {one.target.id: one.target for one in bench.opening.kept} | known
    return RunRecord(
        id=bench.run_id,
        thread_id=thread_id,
        created_at=created_at,
        request=bench.request.request,
        image=bench.image,
        status=outcome.status,
        plan=plan,
        rounds=rounds_of(state),
        candidates=tuple(bench.candidates.values()),
        targets=tuple(_result(one, known[one.target], verdicts, bench) for one in outcome.targets),
        needs_review=outcome.needs_review,
        message=outcome.message,
        provenance=_provenance(state, bench),
        error=failed.message if failed else None,
        error_kind=failed.kind if failed else None,
    )


def _outcome(state: AgentState, failure: Failure | None) -> Outcome:
    """Return how the run ended; broken off, it is failed and shows nothing as a result."""
    ended = state.get("outcome")
    if failure is None and ended is not None:
        return Outcome.model_validate(ended)
    message = failure.message if failure else "The run did not end."
    return Outcome(status=Status.FAILED, targets=(), needs_review=True, message=message)


def _result(
    ended: TargetOutcome, target: Target, verdicts: dict[str, Verdict], bench: Bench
) -> TargetResult:
    masks = tuple(
        _result_mask(bench.candidates[one], target.label, verdicts.get(one), bench.image.spacing)
        for one in ended.masks
    )
    return TargetResult(target=target, status=ended.status, masks=masks, reason=ended.reason)


def _result_mask(
    candidate: Candidate, label: str, verdict: Verdict | None, spacing: Spacing | None
) -> ResultMask:
    return ResultMask(
        candidate=candidate,
        label=label,
        verdict=verdict.verdict if verdict else None,
        by=verdict.by if verdict else "rules",
        area_mm2=area_mm2(candidate.mask.area_px, spacing),
    )


def area_mm2(area_px: int, spacing: Spacing | None) -> float | None:
    """Return an area in square millimetres, None where the pixel size is not known."""
    return None if spacing is None else area_px * spacing.row_mm * spacing.column_mm


def _provenance(state: AgentState, bench: Bench) -> Provenance:
    return Provenance(
        segmenter=bench.model or (bench.capabilities.model if bench.capabilities else None),
        planner=PlannerInfo(
            kind=bench.planner.kind,
            model=bench.planner.model,
            fallbacks=tuple(state.get("fallbacks", [])),
        ),
        prompts_version=bench.tools.settings.prompts_version,
        rounds=len(state.get("rounds", [])),
        usage=usage_of(state),
        seconds=bench.seconds(),
    )

"""Writes runs and threads as answers: pure translation."""

from agent.schemas.plan import Call
from agent.schemas.rounds import Candidate, Round, Verdict
from agent.schemas.runs import Provenance, ResultMask, RunRecord, TargetResult, ThreadRecord
from api.render.segment import to_image, to_mask, to_model, to_usage
from api.schemas import answers
from api.schemas import run_answers as answers_run
from api.schemas.run_answers import RunningAnswer
from segmenter.contract import ImageRef

# Seconds until it is worth asking again.
RETRY_AFTER_S = "1"


def to_run_answer(run: RunRecord) -> answers_run.RunAnswer:
    """Describe a run."""
    plan = run.plan
    return answers_run.RunAnswer(
        id=run.id,
        thread_id=run.thread_id,
        created_at=run.created_at,
        request=run.request,
        image=to_image(run.image),
        status=run.status.value,
        message=run.message,
        needs_review=run.needs_review,
        error=run.error,
        plan=None
        if plan is None
        else answers_run.PlanOut(decision=plan.decision, modality=plan.modality, note=plan.note),
        rounds=tuple(_round(item, run) for item in run.rounds),
        targets=tuple(_target(item, run.image, run.id) for item in run.targets),
        overlay_url=f"/agent/runs/{run.id}/overlay.png",
        provenance=_provenance(run.provenance),
    )


def to_thread_answer(thread: ThreadRecord) -> answers_run.ThreadAnswer:
    """Describe a thread; its masks' pictures are those of its last run."""
    last = thread.runs[-1] if thread.runs else None
    return answers_run.ThreadAnswer(
        id=thread.id,
        created_at=thread.created_at,
        image=to_image(thread.image),
        runs=thread.runs,
        requests=thread.requests,
        targets=tuple(_target(item, thread.image, last) for item in thread.targets),
    )


def _target(result: TargetResult, image: ImageRef, run_id: str | None) -> answers_run.TargetOut:
    return answers_run.TargetOut(
        id=result.target.id,
        label=result.target.label,
        status=result.status.value,
        reason=result.reason,
        masks=tuple(_run_mask(item, image, run_id) for item in result.masks),
    )


def _run_mask(item: ResultMask, image: ImageRef, run_id: str | None) -> answers.MaskOut:
    candidate = item.candidate
    return to_mask(
        candidate.mask,
        image,
        mask_id=candidate.id,
        label=item.label,
        concept=candidate.concept,
        area=item.area_mm2,
        round_number=candidate.round,
        verdict=item.verdict,
        png_url=None if run_id is None else _mask_url(run_id, candidate.id),
    )


def _mask_url(run_id: str, mask_id: str) -> str:
    return f"/agent/runs/{run_id}/masks/{mask_id}.png"


def _round(item: Round, run: RunRecord) -> answers_run.RoundOut:
    verdicts = {verdict.candidate: verdict for verdict in item.inspection.verdicts}
    by_id = {candidate.id: candidate for candidate in run.candidates}
    return answers_run.RoundOut(
        number=item.number,
        planner=item.planner,
        calls=tuple(
            _call(call, item.reasons[index] if index < len(item.reasons) else "")
            for index, call in enumerate(item.calls)
        ),
        masks=tuple(
            _judged(by_id[mask_id], verdicts.get(mask_id), run.id)
            for mask_id in item.candidates
            if mask_id in by_id
        ),
        next=item.inspection.next,
        picture_url=f"/agent/runs/{run.id}/rounds/{item.number}.png",
    )


def _call(call: Call, reason: str) -> answers_run.CallOut:
    return answers_run.CallOut(
        target=call.target,
        concept=call.concept,
        boxes=tuple(
            answers_run.PromptBoxOut(box=item.box.as_tuple(), label=item.label)
            for item in call.boxes
        ),
        threshold=call.threshold,
        reason=reason,
    )


def _judged(candidate: Candidate, verdict: Verdict | None, run_id: str) -> answers_run.JudgedOut:
    return answers_run.JudgedOut(
        id=candidate.id,
        target=candidate.target,
        concept=candidate.concept,
        box=candidate.mask.box.as_tuple(),
        joint=candidate.mask.joint,
        area_px=candidate.mask.area_px,
        verdict=verdict.verdict if verdict else None,
        issue=verdict.issue.value if verdict else None,
        by=verdict.by if verdict else None,
        png_url=_mask_url(run_id, candidate.id),
    )


def _provenance(provenance: Provenance) -> answers.ProvenanceOut:
    planner = provenance.planner
    return answers.ProvenanceOut(
        segmenter=to_model(provenance.segmenter) if provenance.segmenter else None,
        planner=answers.PlannerOut(
            kind=planner.kind, model=planner.model, fallbacks=planner.fallbacks
        ),
        prompts_version=provenance.prompts_version,
        rounds=provenance.rounds,
        usage=to_usage(provenance.usage),
        seconds=round(provenance.seconds, 3),
        cost=None if provenance.cost is None else round(provenance.cost, 6),
    )


def to_running(run_id: str) -> RunningAnswer:
    """Say where a run that has not ended can be seen and stopped."""
    url = f"/agent/runs/{run_id}"
    return RunningAnswer(
        id=run_id, run_url=url, events_url=f"{url}/events", cancel_url=f"{url}/cancel"
    )

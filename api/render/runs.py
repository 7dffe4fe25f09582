"""Writes runs and threads as answers: pure translation."""

from itertools import chain, repeat

from agent.runs.events import RunJob
from agent.schemas.rounds import Candidate, Round, Verdict
from agent.schemas.runs import Provenance, ResultMask, RunRecord, TargetResult, ThreadRecord
from api.render.segment import to_image, to_mask
from api.schemas import answers
from api.schemas import run_answers as answers_run
from api.schemas.run_answers import RunningAnswer
from segmenter.contract import ImageRef, JobEvent

# Seconds until it is worth asking again.
RETRY_AFTER_S = "1"


def to_run_answer(run: RunRecord) -> answers_run.RunAnswer:
    """Describe a run."""
    return answers_run.RunAnswer.of(
        run,
        image=to_image(run.image),
        rounds=tuple(_round(item, run) for item in run.rounds),
        targets=tuple(_target(item, run.image, run.id) for item in run.targets),
        overlay_url=f"/agent/runs/{run.id}/overlay.png",
        provenance=_provenance(run.provenance),
    )


def to_thread_answer(thread: ThreadRecord) -> answers_run.ThreadAnswer:
    """Describe a thread; its masks' pictures are those of its last run."""
    last = thread.runs[-1] if thread.runs else None
    return answers_run.ThreadAnswer.of(
        thread,
        image=to_image(thread.image),
        targets=tuple(_target(item, thread.image, last) for item in thread.targets),
    )


def _target(result: TargetResult, image: ImageRef, run_id: str | None) -> answers_run.TargetOut:
    return answers_run.TargetOut.of(
        result,
        id=result.target.id,
        label=result.target.label,
        masks=tuple(_run_mask(item, image, run_id) for item in result.masks),
    )


def _run_mask(item: ResultMask, image: ImageRef, run_id: str | None) -> answers.MaskOut:
    candidate = item.candidate
    return to_mask(
        candidate.mask,
        image,
        id=candidate.id,
        label=item.label,
        concept=candidate.concept,
        area_mm2=item.area_mm2,
        measures=item.measures,
        round=candidate.round,
        verdict=item.verdict,
        png_url=None if run_id is None else _mask_url(run_id, candidate.id),
    )


def _mask_url(run_id: str, mask_id: str) -> str:
    return f"/agent/runs/{run_id}/masks/{mask_id}.png"


def _round(item: Round, run: RunRecord) -> answers_run.RoundOut:
    verdicts = {verdict.candidate: verdict for verdict in item.inspection.verdicts}
    by_id = {candidate.id: candidate for candidate in run.candidates}
    return answers_run.RoundOut.of(
        item,
        calls=tuple(
            answers_run.CallOut.of(call, reason=reason)
            for call, reason in zip(item.calls, chain(item.reasons, repeat("")), strict=False)
        ),
        masks=tuple(
            _judged(by_id[mask_id], verdicts.get(mask_id), run.id)
            for mask_id in item.candidates
            if mask_id in by_id
        ),
        next=item.inspection.next,
        picture_url=f"/agent/runs/{run.id}/rounds/{item.number}.png",
    )


def _judged(candidate: Candidate, verdict: Verdict | None, run_id: str) -> answers_run.JudgedOut:
    return answers_run.JudgedOut.of(
        candidate.mask,
        id=candidate.id,
        target=candidate.target,
        concept=candidate.concept,
        verdict=verdict.verdict if verdict else None,
        issue=verdict.issue if verdict else None,
        by=verdict.by if verdict else None,
        png_url=_mask_url(run_id, candidate.id),
    )


def _provenance(found: Provenance) -> answers.ProvenanceOut:
    cost = None if found.cost is None else round(found.cost, 6)
    return answers.ProvenanceOut.of(found, seconds=round(found.seconds, 3), cost=cost)


def to_running(job: RunJob, end: JobEvent | None = None) -> RunningAnswer:
    """Say where a run can be seen and stopped, and how it ended if it has."""
    url = f"/agent/runs/{job.public_id}"
    return RunningAnswer(
        id=job.public_id,
        thread_id=job.thread_id,
        status="running" if end is None or end.state == "queued" else end.state,
        run_url=url,
        events_url=f"{url}/events",
        cancel_url=f"{url}/cancel",
    )

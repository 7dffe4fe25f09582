"""Writes what a volume job is and found as answers: pure translation, and one decision.

The decision: whether a person should look at the result (`needs_review`).
"""

from collections.abc import Sequence

from api.problem_kinds import INTERNAL, TYPE_PREFIX, kind_named
from api.render.segment import REVIEW_BELOW, direct_provenance
from api.schemas import volume_answers as answers
from segmenter.contract import Failure
from segmenter.volumes.contract import (
    FrameResult,
    VolumeRecord,
    VolumeResult,
    VolumeStatus,
)

PATH = "/segment/volume"


def to_volume(status: VolumeStatus) -> answers.VolumeAnswer:
    """Describe a job."""
    record, result = status.record, status.result
    place = f"{PATH}/{record.public_id}"
    return answers.VolumeAnswer(
        id=record.public_id,
        status=status.state,
        created_at=record.created_at,
        sequence=record.shape,
        asked=_asked(record),
        progress=answers.ProgressOut(frames_done=status.done, frames_total=record.total),
        concept=result.concept if result else None,
        known=result.known if result else None,
        reason=result.reason if result else None,
        objects=result.objects if result else None,
        needs_review=wants_review(result) if result else None,
        events_url=f"{place}/events",
        frames_url=f"{place}/frames" if result else None,
        labels_url=f"{place}/labels.nii.gz" if result else None,
        failure=_failure(status.failure) if status.failure else None,
        provenance=direct_provenance(result.model, result.seconds) if result else None,
    )


def to_frames(found: Sequence[FrameResult], next_frame: int | None) -> answers.FramesAnswer:
    """Describe a page of frames."""
    frames = tuple(answers.FrameOut.of(each, frame=each.index) for each in found)
    return answers.FramesAnswer(frames=frames, next=next_frame)


def wants_review(result: VolumeResult) -> bool:
    """Whether a person should look: nothing found, a doubtful mask, a gap, or a single frame."""
    return not result.objects or any(
        found.lowest_joint < REVIEW_BELOW or found.gaps or found.single for found in result.objects
    )


def _asked(record: VolumeRecord) -> answers.AskedOut:
    request = record.request
    return answers.AskedOut.of(
        record,
        prompt=request.text,
        box=request.box.box if request.box else None,
        frame=request.box.frame if request.box else None,
        threshold=request.threshold,
    )


def _failure(failure: Failure) -> answers.FailureOut:
    kind = kind_named(failure.error) or INTERNAL
    detail = kind.detail or failure.message
    return answers.FailureOut(type=TYPE_PREFIX + kind.slug, title=kind.title, detail=detail)

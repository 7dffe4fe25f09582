"""Writes what a volume job is and found as answers: pure translation, and one decision.

The decision: whether a person should look at the result (`needs_review`).
"""

from collections.abc import Sequence

from agent.schemas.rounds import Usage
from api.problem_kinds import TYPE_PREFIX, kind_of
from api.render.segment import REVIEW_BELOW, to_model, to_usage
from api.schemas import volume_answers as answers
from api.schemas.answers import ProvenanceOut, RleOut, SpacingOut
from segmenter.queue.messages import Failure, to_error
from segmenter.volumes.contract import (
    FrameResult,
    VolumeRecord,
    VolumeResult,
    VolumeShape,
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
        sequence=_sequence(record.shape),
        asked=_asked(record),
        progress=answers.ProgressOut(frames_done=status.done, frames_total=record.total),
        concept=result.concept if result else None,
        known=result.known if result else None,
        reason=result.reason if result else None,
        objects=_objects(result) if result else None,
        needs_review=wants_review(result) if result else None,
        frames_url=f"{place}/frames" if result else None,
        labels_url=f"{place}/labels.nii.gz" if result else None,
        failure=_failure(status.failure) if status.failure else None,
        provenance=_provenance(result) if result else None,
    )


def to_frames(found: Sequence[FrameResult], next_frame: int | None) -> answers.FramesAnswer:
    """Describe a page of frames."""
    return answers.FramesAnswer(frames=tuple(map(_frame, found)), next=next_frame)


def wants_review(result: VolumeResult) -> bool:
    """Whether a person should look: nothing found, a doubtful mask, a gap, or a single frame."""
    return not result.objects or any(
        found.lowest_joint < REVIEW_BELOW or found.gaps or found.single for found in result.objects
    )


def _sequence(shape: VolumeShape) -> answers.SequenceOut:
    spacing = shape.spacing
    return answers.SequenceOut(
        frames=shape.frames,
        height=shape.height,
        width=shape.width,
        format=shape.format,
        modality=shape.modality,
        rendering=shape.rendering,
        axis=shape.axis,
        spacing=None if spacing is None else SpacingOut(**spacing.model_dump()),
        slice_mm=shape.slice_mm,
        fps=shape.fps,
    )


def _asked(record: VolumeRecord) -> answers.AskedOut:
    request = record.request
    return answers.AskedOut(
        prompt=request.text,
        box=request.box.box.as_tuple() if request.box else None,
        frame=request.box.frame if request.box else None,
        first=record.first,
        last=record.last,
        threshold=request.threshold,
    )


def _objects(result: VolumeResult) -> tuple[answers.VolumeObjectOut, ...]:
    return tuple(answers.VolumeObjectOut(**found.model_dump()) for found in result.objects)


def _failure(failure: Failure) -> answers.FailureOut:
    kind = kind_of(to_error(failure))
    detail = kind.detail or failure.message
    return answers.FailureOut(type=TYPE_PREFIX + kind.slug, title=kind.title, detail=detail)


def _provenance(result: VolumeResult) -> ProvenanceOut:
    return ProvenanceOut(
        segmenter=to_model(result.model),
        planner=None,
        prompts_version=None,
        rounds=0,
        usage=to_usage(Usage()),
        seconds=round(result.seconds, 3),
    )


def _frame(found: FrameResult) -> answers.FrameOut:
    return answers.FrameOut(
        frame=found.index,
        presence=found.presence,
        reason=found.reason,
        objects=tuple(
            answers.FrameObjectOut(
                object_id=shown.object_id,
                rle=RleOut(size=shown.rle.size, counts=shown.rle.counts),
                box=shown.box.as_tuple(),
                score=shown.score,
                presence=shown.presence,
                joint=shown.joint,
                area_px=shown.area_px,
            )
            for shown in found.objects
        ),
    )

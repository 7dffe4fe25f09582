"""POST /segment/volume and what belongs to a volume job: state, frames, label map, its end."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.bootstrap.parts import AppServices
from api.errors import KeyReused
from api.http.auth import Caller, authenticated
from api.http.dependencies import parts_of
from api.http.events import LastEventId, follow
from api.http.idempotency import REUSED, IdempotencyKey, job_id_of
from api.http.intake import unless_gone
from api.http.openapi.bodies import VOLUME_BODY
from api.http.openapi.document import file_response, problems
from api.http.volume_bodies import ReceivedVolume, read_volume
from api.render.volumes import PATH, to_frames, to_volume
from api.schemas.volume_answers import FramesAnswer, VolumeAnswer
from api.schemas.volume_requests import MAX_INDEX
from segmenter.volumes.contract import VolumeRecord
from segmenter.volumes.jobs import Taken, Volumes

router = APIRouter(prefix=PATH, tags=["volume"], dependencies=[Depends(authenticated)])
VolumeId = Annotated[str, Path(pattern=r"^vol_[0-9a-f]{32}$")]
FrameIndex = Annotated[int, Query(ge=0, le=MAX_INDEX)]
UsedParts = Annotated[AppServices, Depends(parts_of)]
# A page of the largest frames stays below some MiB.
PAGE_FRAMES = 64
# A frame takes the bundled model about a second on a CPU.
RETRY_AFTER_S = 2


class Nifti(Response):
    """A compressed NIfTI file."""

    media_type = "application/gzip"


@router.post(
    "",
    operation_id="segmentVolume",
    summary="Segment a volume or a video",
    status_code=202,
    responses=problems(400, 404, 408, 409, 413, 415, 422, 429, 503),
    openapi_extra=VOLUME_BODY,
)
async def segment_volume(
    request: Request,
    response: Response,
    caller: Caller,
    parts: UsedParts,
    idempotency_key: Annotated[IdempotencyKey | None, Header()] = None,
) -> VolumeAnswer:
    """Take a job on: a volume file, DICOM series (files or a zip), multi-frame DICOM, video, TIFF.

    Each frame is looked at; what overlaps on neighbouring frames is one object. The same
    `Idempotency-Key` with the same files and fields gives the same job.
    """
    received, key = await read_volume(request), idempotency_key
    job_id = uuid4().hex if key is None else job_id_of("volume", caller, key)
    taken = await unless_gone(request, _take(parts.volumes, received, job_id))
    if not taken.same:
        raise KeyReused(REUSED)
    if taken.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    response.headers["Location"] = f"{PATH}/{taken.record.public_id}"
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return to_volume(await parts.volumes.status(taken.record.public_id))


@router.get(
    "/{volume_id}",
    operation_id="getVolume",
    summary="Read a volume job",
    responses=problems(404, 422, 503),
)
async def get_volume(volume_id: VolumeId, response: Response, parts: UsedParts) -> VolumeAnswer:
    """Progress, and what was found once it is done."""
    answer = to_volume(await parts.volumes.status(volume_id))
    if answer.status in ("queued", "running"):
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return answer


async def known_volume(volume_id: VolumeId, parts: UsedParts) -> VolumeRecord:
    """Return a job as it was taken on; raises VolumeNotFound."""
    return await parts.volumes.record(volume_id)


@router.get(
    "/{volume_id}/events",
    operation_id="getVolumeEvents",
    summary="A volume job's progress as it happens",
    response_class=EventSourceResponse,
    responses=problems(404, 422, 503),
)
async def get_events(
    record: Annotated[VolumeRecord, Depends(known_volume)],
    parts: UsedParts,
    last_event_id: LastEventId = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events, from the first or from `Last-Event-ID` on; the terminal one ends them."""
    async for event in follow(parts.volumes.jobs, record, after=last_event_id):
        yield event


@router.get(
    "/{volume_id}/frames",
    operation_id="getVolumeFrames",
    summary="Masks frame by frame",
    responses=problems(404, 409, 422, 503),
)
async def get_frames(
    volume_id: VolumeId,
    parts: UsedParts,
    first: Annotated[FrameIndex, Query(alias="from")] = 0,
    last: Annotated[FrameIndex | None, Query(alias="to", description="included")] = None,
) -> FramesAnswer:
    """Run lengths of every object on each frame looked at, at most 64 frames at once."""
    status = await parts.volumes.status(volume_id)
    end = status.record.last if last is None else min(last, status.record.last)
    start = max(first, status.record.first)
    page_end = min(end, start + PAGE_FRAMES - 1)
    found = await parts.volumes.frames(volume_id, start, page_end)
    return to_frames(found, page_end + 1 if page_end < end else None)


@router.get(
    "/{volume_id}/labels.nii.gz",
    operation_id="getVolumeLabels",
    summary="The label map",
    response_class=Nifti,
    responses=file_response("application/gzip", "A label map") | problems(404, 409, 422, 503),
)
async def get_labels(volume_id: VolumeId, parts: UsedParts) -> Response:
    """NIfTI, uint16, in the grid and at the place of the source; values are object ids."""
    content = await parts.volumes.label_map(volume_id)
    disposition = 'attachment; filename="labels.nii.gz"'
    return Nifti(content, headers={"Content-Disposition": disposition})


@router.post(
    "/{volume_id}/cancel",
    operation_id="cancelVolume",
    summary="Give a volume job up",
    responses=problems(404, 422, 503),
)
async def cancel_volume(volume_id: VolumeId, parts: UsedParts) -> VolumeAnswer:
    """Stop it before its next frame; a job that has ended stays as it is."""
    return to_volume(await parts.volumes.cancel(volume_id))


@router.delete(
    "/{volume_id}",
    operation_id="eraseVolume",
    summary="Erase a volume job",
    status_code=204,
    responses=problems(404, 422, 503),
)
async def erase_volume(volume_id: VolumeId, parts: UsedParts) -> None:
    """Give the job up and erase its files and all that was found."""
    await parts.volumes.erase(volume_id)


async def _take(volumes: Volumes, received: ReceivedVolume, job_id: str) -> Taken:
    asked, source = received.body.to_request(), received.body.volume_id
    if source is not None:
        return await volumes.create_again(job_id, source, asked)
    return await volumes.create(job_id, received.files, asked, received.names)

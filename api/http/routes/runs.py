"""GET /agent/runs/{run_id}, its steps and its pictures."""

from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from agent.errors import InvalidRequest
from agent.queued import QueuedAgent
from agent.runs.events import RunJob
from agent.schemas.runs import RunRecord
from api.bootstrap.parts import AppServices
from api.errors import PictureGone, PictureNotFound, RunFailed
from api.http.auth import authenticated
from api.http.dependencies import parts_of
from api.http.events import LastEventId, follow
from api.http.openapi.document import RECORDING, png_response, problems, recording_response
from api.render.runs import RETRY_AFTER_S, to_run_answer, to_running
from api.schemas.run_answers import RunAnswer, RunningAnswer
from segmenter.contract import JobEvent
from segmenter.errors import ImageNotFound

router = APIRouter(
    prefix="/agent/runs/{run_id}", tags=["agent"], dependencies=[Depends(authenticated)]
)
RunId = Annotated[str, Path(pattern=r"^run_[A-Za-z0-9]{1,64}$")]
MaskId = Annotated[str, Path(pattern=r"^m[1-9][0-9]{0,5}$")]
RoundNumber = Annotated[int, Path(ge=1, le=99)]
Labels = Annotated[bool, Query(description="write what each mask is, and its size")]
Scale = Annotated[bool, Query(description="draw a scale bar where the pixel size is known")]
UsedParts = Annotated[AppServices, Depends(parts_of)]


class RecordingText(Response):
    """JSON as it was written, under a type of its own: only a replay reads it."""

    media_type = RECORDING


class Png(Response):
    """A picture."""

    media_type = "image/png"


@router.get(
    "",
    operation_id="getRun",
    summary="Read a run",
    response_model=RunAnswer,
    responses=problems(404, 409, 422, 502, 503)
    | {202: {"model": RunningAnswer, "description": "Not ended yet"}},
)
async def get_run(run_id: RunId, parts: UsedParts) -> RunAnswer | Response:
    """Status, plan, rounds, targets and usage of a run; 202 while it goes on."""
    run = await ended_run(parts.agent, run_id)
    return running_response(await parts.agent.job(run_id)) if run is None else to_run_answer(run)


async def known_run(run_id: RunId, parts: UsedParts) -> RunJob:
    """Return a run as it was taken on; raises RunNotFound."""
    return await parts.agent.job(run_id)


KnownRun = Annotated[RunJob, Depends(known_run)]


@router.get(
    "/events",
    operation_id="getRunEvents",
    summary="A run's steps as they happen",
    response_class=EventSourceResponse,
    responses=problems(404, 422, 503),
)
async def get_events(
    job: KnownRun, parts: UsedParts, last_event_id: LastEventId = 0
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events, from the first or from `Last-Event-ID` on; the terminal one ends them."""
    async for event in follow(parts.agent.jobs, job, after=last_event_id):
        yield event


@router.get(
    "/recording",
    operation_id="getRecording",
    summary="All a replay of a run needs",
    response_class=RecordingText,
    responses=recording_response() | problems(404, 422, 503),
)
async def get_recording(run_id: RunId, parts: UsedParts) -> Response:
    """Request, thread and every answer of the run, for `medsam3 replay`; without its image."""
    return RecordingText((await parts.agent.recording(run_id)).model_dump_json())


@router.post(
    "/cancel",
    operation_id="cancelRun",
    summary="Stop a run",
    status_code=202,
    responses=problems(404, 422, 503),
)
async def cancel_run(job: KnownRun, parts: UsedParts) -> RunningAnswer:
    """Stop a run at its next step; may be asked again, and changes nothing that has ended."""
    return to_running(job, await parts.agent.cancel(job))


@router.get(
    "/masks/{mask_id}.png",
    operation_id="getMask",
    summary="One mask as a picture",
    response_class=Png,
    responses=png_response() | problems(404, 422, 503),
)
async def get_mask(run_id: RunId, mask_id: MaskId, parts: UsedParts) -> Response:
    """8-bit PNG at the size of the original image, 255 inside the mask and 0 outside."""
    return Png(
        await _drawn(parts.agent.pictures.mask_png(run_id, mask_id), "the run has no such mask")
    )


@router.get(
    "/overlay.png",
    operation_id="getOverlay",
    summary="The result drawn on the image",
    response_class=Png,
    responses=png_response() | problems(404, 410, 422, 503),
)
async def get_overlay(
    run_id: RunId, parts: UsedParts, labels: Labels = True, scale: Scale = True
) -> Response:
    """Every returned mask as a labelled contour; what is uncertain or rejected in dashes."""
    overlay = parts.agent.pictures.overlay_png(run_id, labels=labels, scale=scale)
    return Png(await _drawn(overlay, "the run has no overlay"))


@router.get(
    "/rounds/{number}.png",
    operation_id="getRound",
    summary="A round's masks drawn on the image",
    response_class=Png,
    responses=png_response() | problems(404, 410, 422, 503),
)
async def get_round(run_id: RunId, number: RoundNumber, parts: UsedParts) -> Response:
    """What each call of the round gave, with ids and verdicts."""
    return Png(
        await _drawn(parts.agent.pictures.round_png(run_id, number), "the run has no such round")
    )


async def _drawn(picture: Awaitable[bytes], missing: str) -> bytes:
    try:
        return await picture
    except InvalidRequest as error:
        raise PictureNotFound(missing) from error
    except ImageNotFound as error:
        raise PictureGone("the run is there, but its image has expired") from error


async def ended_run(agent: QueuedAgent, run_id: str) -> RunRecord | None:
    """Return the record of a run, None while it goes on.

    Raises:
        RunNotFound.
        RunFailed: it ended before it began: there is a reason, and no record.
    """
    found = await agent.outcome(run_id)
    if isinstance(found, JobEvent):
        raise RunFailed(run_id, found.failure.error if found.failure else None)
    return found


def running_response(job: RunJob, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Answer 202 with where the run can be seen, in headers too."""
    answer = to_running(job)
    place = {"Location": answer.run_url, "Retry-After": RETRY_AFTER_S}
    content = answer.model_dump(mode="json")
    return JSONResponse(content, status_code=202, headers={**place, **(headers or {})})

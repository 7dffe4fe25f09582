"""GET /agent/runs/{run_id}, its steps and its pictures."""

from collections.abc import Awaitable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from agent.errors import InvalidRequest, RunNotFound
from agent.runs.events import TERMINAL
from api.bootstrap.parts import AppServices
from api.errors import PictureGone, PictureNotFound, RunFailed
from api.http.auth import authenticated
from api.http.dependencies import parts_of, settings_of
from api.http.events import HEADERS, stream
from api.http.idempotency import GRACE_S
from api.http.openapi.document import event_response, png_response, problems
from api.render.runs import RETRY_AFTER_S, to_run_answer, to_running
from api.schemas.run_answers import RunAnswer, RunningAnswer
from segmenter.errors import ImageNotFound

router = APIRouter(
    prefix="/agent/runs/{run_id}", tags=["agent"], dependencies=[Depends(authenticated)]
)
RunId = Annotated[str, Path(pattern=r"^run_[A-Za-z0-9]{1,64}$")]
MaskId = Annotated[str, Path(pattern=r"^m[1-9][0-9]{0,5}$")]
RoundNumber = Annotated[int, Path(ge=1, le=99)]
UsedParts = Annotated[AppServices, Depends(parts_of)]


class EventStream(StreamingResponse):
    """Events for as long as a run goes on."""

    media_type = "text/event-stream"


class RecordingText(Response):
    """JSON as it was written, under a type of its own: only a replay reads it."""

    media_type = "application/vnd.medsam3.recording+json"


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
    try:
        return to_run_answer(await parts.agent.run_record(run_id))
    except RunNotFound:
        events = await parts.agent.events(run_id)
    if events and events[-1].name in TERMINAL:
        # It ended before it began: there is a reason, and no record.
        raise RunFailed(run_id, str(events[-1].facts.get("error", "")))
    return running_response(run_id)


@router.get(
    "/events",
    operation_id="getRunEvents",
    summary="A run's steps as they happen",
    response_class=EventStream,
    responses=event_response() | problems(404, 422, 503),
)
async def get_events(
    run_id: RunId,
    request: Request,
    parts: UsedParts,
    last_event_id: Annotated[int, Header(ge=0, le=10**6)] = 0,
) -> Response:
    """Server-sent events, from the first or from `Last-Event-ID` on; the terminal one ends them."""
    await parts.agent.events(run_id)
    lifetime_s = settings_of(request).run_timeout_s + GRACE_S
    events = stream(parts.agent, run_id, after=last_event_id, lifetime_s=lifetime_s)
    return EventStream(events, headers=HEADERS)


@router.get(
    "/recording",
    operation_id="getRecording",
    summary="All a replay of a run needs",
    response_class=RecordingText,
    responses=problems(404, 422, 503),
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
async def cancel_run(run_id: RunId, parts: UsedParts) -> RunningAnswer:
    """Stop a run at its next step; may be asked again, and changes nothing that has ended."""
    await parts.agent.cancel(run_id)
    return to_running(run_id)


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
async def get_overlay(run_id: RunId, parts: UsedParts) -> Response:
    """Every returned mask as a labelled contour."""
    return Png(await _drawn(parts.agent.pictures.overlay_png(run_id), "the run has no overlay"))


@router.get(
    "/rounds/{number}.png",
    operation_id="getRound",
    summary="A round's masks drawn on the image",
    response_class=Png,
    responses=png_response() | problems(404, 410, 422, 503),
)
async def get_round(run_id: RunId, number: RoundNumber, parts: UsedParts) -> Response:
    """What the inspector judged in this round."""
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


def running_response(run_id: str) -> JSONResponse:
    """Answer 202 with the same, as headers too."""
    answer = to_running(run_id)
    headers = {"Location": answer.run_url, "Retry-After": RETRY_AFTER_S}
    return JSONResponse(answer.model_dump(mode="json"), status_code=202, headers=headers)

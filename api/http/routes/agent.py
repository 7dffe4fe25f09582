"""POST /agent/segment: a request in plain clinical words."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from agent.errors import AgentError
from agent.queued import QueuedAgent
from agent.runs.events import RunJob
from agent.schemas.rounds import Status
from agent.schemas.runs import RunRecord
from api.errors import KeyInUse, RunFailed
from api.http.auth import Caller
from api.http.bodies import read_body
from api.http.dependencies import parts_of
from api.http.idempotency import IdempotencyKey, free_key, take_on
from api.http.openapi.bodies import AGENT_BODY
from api.http.openapi.document import problems
from api.http.routes.runs import ended_run, running_response
from api.operations import check_request, drop_image, image_in_use
from api.render.runs import to_run_answer
from api.schemas.requests import AgentBody
from api.schemas.run_answers import RunAnswer, RunningAnswer
from segmenter.errors import TEMPORARY, SegmenterError

router = APIRouter(tags=["agent"])


@router.post(
    "/agent/segment",
    operation_id="agentSegment",
    summary="Segment from plain words",
    response_model=RunAnswer,
    responses=problems(400, 404, 408, 409, 413, 415, 422, 429, 502, 503, 504)
    | {202: {"model": RunningAnswer, "description": "Begun; see Location"}},
    openapi_extra=AGENT_BODY,
)
async def agent_segment(
    request: Request,
    response: Response,
    caller: Caller,
    idempotency_key: Annotated[IdempotencyKey | None, Header()] = None,
    prefer: Annotated[str | None, Header(max_length=200)] = None,
) -> RunAnswer | Response:
    """Plan, segment, inspect and refine; a `thread_id` continues a conversation on its image.

    The same `Idempotency-Key` with the same payload gives the same run. A client that goes away
    does not stop its run. With `Prefer: respond-async` the answer comes at once: where the run, its
    steps and its end can be seen.
    """
    received = await read_body(request, AgentBody)
    agent, is_async = parts_of(request).agent, wants_async(prefer)
    images, content, image_id = parts_of(request).images, received.content, received.body.image_id
    async with image_in_use(images, content, image_id, within_s=agent.lifetime_s) as image:
        check_request(received.body, image)
        asked = received.body.to_request(image)
        job, is_new = await take_on(agent, asked, caller, idempotency_key, now=not is_async)
        if image is not None and content is not None and not (is_new and asked.thread_id is None):
            # The first request's upload is there, or the thread's.
            await drop_image(images, image)
    if not is_new:
        response.headers["Idempotency-Replayed"] = "true"
    if is_async:
        return running_response(job, headers=response.headers)
    run = await (_finished(agent, job) if is_new else _recalled(agent, job))
    response.headers["Content-Location"] = f"/agent/runs/{run.id}"
    return to_run_answer(run)


def wants_async(prefer: str | None) -> bool:
    """Tell whether a Prefer header asks for an answer at once (RFC 7240)."""
    wishes = [wish.split(";")[0].strip().lower() for wish in (prefer or "").split(",")]
    return "respond-async" in wishes


async def _finished(agent: QueuedAgent, job: RunJob) -> RunRecord:
    try:
        return _answerable(await agent.finished(job))
    except TEMPORARY:
        # It goes on; the same request again is told how it ended.
        raise
    except (AgentError, SegmenterError, RunFailed):
        await free_key(agent, job)
        raise


async def _recalled(agent: QueuedAgent, job: RunJob) -> RunRecord:
    run = await ended_run(agent, job.public_id)
    if run is None:
        raise KeyInUse("the first request with this key still runs")
    return _answerable(run)


def _answerable(run: RunRecord) -> RunRecord:
    """Refuse a failed run: it is an error here, never an answer without masks."""
    if run.status is Status.FAILED:
        raise RunFailed(run.id, run.error_kind)
    return run

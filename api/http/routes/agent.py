"""POST /agent/segment: a request in plain clinical words."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from agent.errors import AgentError
from agent.runs.events import TERMINAL
from agent.runs.threads import new_run_id
from agent.schemas.rounds import Status
from agent.schemas.runs import AgentRequest, RunRecord
from agent.service import AgentService
from api.errors import RunFailed
from api.http.auth import Caller
from api.http.bodies import read_body
from api.http.dependencies import background_of, once_of, parts_of
from api.http.idempotency import IdempotencyKey, fingerprint_of, record_key
from api.http.openapi.bodies import AGENT_BODY
from api.http.openapi.document import problems
from api.http.routes.runs import running_response
from api.operations import check_request, stored_image
from api.render.runs import to_run_answer
from api.schemas.requests import AgentBody
from api.schemas.run_answers import RunAnswer, RunningAnswer
from segmenter.errors import SegmenterError, TransportDown

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
    image = await stored_image(parts_of(request).images, received.content, received.body.image_id)
    check_request(received.body, image)
    asked = received.body.to_request(image)
    if wants_async(prefer):
        return await _begun(request, asked, caller, idempotency_key)
    run, replayed = await _run_once(request, asked, caller, idempotency_key)
    response.headers["Content-Location"] = f"/agent/runs/{run.id}"
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return to_run_answer(run)


def wants_async(prefer: str | None) -> bool:
    """Tell whether a Prefer header asks for an answer at once (RFC 7240)."""
    wishes = [wish.split(";")[0].strip().lower() for wish in (prefer or "").split(",")]
    return "respond-async" in wishes


async def _begun(request: Request, asked: AgentRequest, caller: str, key: str | None) -> Response:
    background, agent, run_id = background_of(request), parts_of(request).agent, new_run_id()
    background.check_room()
    if key is not None:
        name, fingerprint = record_key(caller, key), fingerprint_of(asked)
        run_id, replayed = await once_of(request).begin(name, fingerprint)
        if replayed:
            response = running_response(run_id)
            response.headers["Idempotency-Replayed"] = "true"
            return response
    try:
        await agent.announce(run_id)
    except TransportDown:
        if key is not None:
            await once_of(request).release(record_key(caller, key))
        raise
    background.start(_run_behind(agent, asked, run_id))
    return running_response(run_id)


async def _run_behind(agent: AgentService, asked: AgentRequest, run_id: str) -> None:
    try:
        await agent.run(asked, run_id=run_id)
    except (AgentError, SegmenterError) as error:
        events = await agent.events(run_id)
        if not events or events[-1].name not in TERMINAL:
            await agent.give_up(run_id, type(error).__name__)


async def _run_once(
    request: Request, asked: AgentRequest, caller: str, key: str | None
) -> tuple[RunRecord, bool]:
    agent = parts_of(request).agent
    if key is None:
        return await _finished(agent, asked), False
    return await once_of(request).run(
        record_key(caller, key),
        fingerprint_of(asked),
        start=lambda run_id: _finished(agent, asked, run_id),
        recall=lambda run_id: _recalled(agent, run_id),
    )


async def _finished(
    agent: AgentService, asked: AgentRequest, run_id: str | None = None
) -> RunRecord:
    return _answerable(await agent.run(asked, run_id=run_id))


async def _recalled(agent: AgentService, run_id: str) -> RunRecord:
    return _answerable(await agent.run_record(run_id))


def _answerable(run: RunRecord) -> RunRecord:
    """Refuse a failed run: it is an error here, never an answer without masks."""
    if run.status is Status.FAILED:
        raise RunFailed(run.id, run.error_kind)
    return run

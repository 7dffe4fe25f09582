"""POST /agent/segment: a request in plain clinical words."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from agent.state import AgentRequest, RunRecord, Status
from api.answers_run import RunAnswer
from api.auth import Caller
from api.bodies import read_body
from api.errors import RunFailed
from api.idempotency import IdempotencyKey, fingerprint_of, record_key
from api.inputs import check_request, stored_image
from api.openapi import AGENT_BODY, problems
from api.parts import Agent, once_of, parts_of
from api.render_run import to_run_answer
from api.requests import AgentBody

router = APIRouter(tags=["agent"])


@router.post(
    "/agent/segment",
    operation_id="agentSegment",
    summary="Segment from plain words",
    responses=problems(400, 404, 408, 409, 413, 415, 422, 429, 502, 503, 504),
    openapi_extra=AGENT_BODY,
)
async def agent_segment(
    request: Request,
    response: Response,
    caller: Caller,
    idempotency_key: Annotated[IdempotencyKey | None, Header()] = None,
) -> RunAnswer:
    """Plan, segment, inspect and refine; a `thread_id` continues a conversation on its image.

    The same `Idempotency-Key` with the same payload gives the same run. A client that goes away
    does not stop its run.
    """
    received = await read_body(request, AgentBody)
    image = await stored_image(parts_of(request).images, received.content, received.body.image_id)
    check_request(received.body, image)
    asked = received.body.to_request(image)
    run, replayed = await _run_once(request, asked, caller, idempotency_key)
    response.headers["Content-Location"] = f"/agent/runs/{run.id}"
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return to_run_answer(run)


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


async def _finished(agent: Agent, asked: AgentRequest, run_id: str | None = None) -> RunRecord:
    return _answerable(await agent.run(asked, run_id=run_id))


async def _recalled(agent: Agent, run_id: str) -> RunRecord:
    return _answerable(await agent.run_record(run_id))


def _answerable(run: RunRecord) -> RunRecord:
    """Refuse a failed run: it is an error here, never an answer without masks."""
    if run.status is Status.FAILED:
        raise RunFailed(run.id, run.error_kind)
    return run

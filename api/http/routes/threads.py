"""GET and DELETE /agent/threads/{thread_id}: a conversation, and its erasure."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.http.auth import authenticated
from api.http.dependencies import UsedParts
from api.http.openapi.document import problems
from api.render.runs import to_thread_answer
from api.schemas.run_answers import ThreadAnswer

router = APIRouter(
    prefix="/agent/threads/{thread_id}", tags=["agent"], dependencies=[Depends(authenticated)]
)
ThreadId = Annotated[str, Path(pattern=r"^thr_[A-Za-z0-9]{1,64}$")]


@router.get(
    "",
    operation_id="getThread",
    summary="Read a thread",
    responses=problems(404, 422, 503),
)
async def get_thread(thread_id: ThreadId, parts: UsedParts) -> ThreadAnswer:
    """Its runs, requests and accepted targets."""
    return to_thread_answer(await parts.agent.thread_record(thread_id))


@router.delete(
    "",
    operation_id="eraseThread",
    summary="Erase a thread",
    status_code=204,
    responses=problems(404, 409, 422, 503),
)
async def erase_thread(thread_id: ThreadId, parts: UsedParts) -> None:
    """Erase the conversation with its runs and its image."""
    await parts.agent.erase_thread(thread_id)

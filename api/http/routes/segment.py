"""POST /segment: direct prompts, each with its own result."""

from fastapi import APIRouter, Depends, Request

from api.http.auth import authenticated
from api.http.bodies import read_body
from api.http.dependencies import UsedParts, settings_of
from api.http.intake import unless_gone
from api.http.openapi.bodies import SEGMENT_BODY
from api.http.openapi.document import problems
from api.operations import answer_prompts
from api.schemas.answers import SegmentAnswer
from api.schemas.requests import SegmentBody

router = APIRouter(tags=["segment"], dependencies=[Depends(authenticated)])


@router.post(
    "/segment",
    operation_id="segment",
    summary="Segment concepts and boxes",
    responses=problems(400, 404, 408, 409, 413, 415, 422, 429, 502, 503, 504),
    openapi_extra=SEGMENT_BODY,
)
async def segment(request: Request, parts: UsedParts) -> SegmentAnswer:
    """Run direct prompts on one image. Several concepts give several results, never merged."""
    received = await read_body(request, SegmentBody)
    timeout_s = settings_of(request).segment_timeout_s
    answer = answer_prompts(parts, received.body, received.content, timeout_s=timeout_s)
    return await unless_gone(request, answer)

"""GET /capabilities, /openapi.json and /health: what the service can do, and whether it can."""

from fastapi import APIRouter, Depends, Request

from api.http.auth import authenticated
from api.http.dependencies import UsedParts, settings_of
from api.http.openapi.document import problems
from api.render.capabilities import to_capabilities
from api.schemas.answers import (
    CapabilitiesAnswer,
)

router = APIRouter(tags=["service"])
# A worker busy with a long job still answers within this.
CAPABILITIES_TIMEOUT_S = 20.0


@router.get(
    "/capabilities",
    operation_id="getCapabilities",
    summary="What can be asked for",
    dependencies=[Depends(authenticated)],
    responses=problems(503, 504),
)
async def get_capabilities(request: Request, parts: UsedParts) -> CapabilitiesAnswer:
    """Model, concepts, prompt kinds, formats, limits and planners."""
    found = await parts.segmenter.capabilities(timeout_s=CAPABILITIES_TIMEOUT_S)
    return to_capabilities(found, parts.planners, settings_of(request))

"""GET /capabilities: what the service can do."""

from fastapi import APIRouter, Depends, Request

from api.http.auth import authenticated
from api.http.dependencies import UsedParts, settings_of
from api.http.openapi.document import problems
from api.operations import describe_service
from api.schemas.answers import CapabilitiesAnswer

router = APIRouter(tags=["service"])


@router.get(
    "/capabilities",
    operation_id="getCapabilities",
    summary="What can be asked for",
    dependencies=[Depends(authenticated)],
    responses=problems(503, 504),
)
async def get_capabilities(request: Request, parts: UsedParts) -> CapabilitiesAnswer:
    """Model, concepts, prompt kinds, formats, limits and planners."""
    return await describe_service(parts, settings_of(request))

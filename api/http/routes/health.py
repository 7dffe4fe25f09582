"""GET /openapi.json and /health: the interface described, and whether the service can work."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from api.errors import NotReady
from api.http.auth import authenticated
from api.http.dependencies import UsedParts
from api.http.openapi.document import problems
from api.schemas.answers import LiveAnswer, ReadyAnswer
from segmenter.errors import TransportDown

router = APIRouter(tags=["service"])


@router.get("/openapi.json", include_in_schema=False, dependencies=[Depends(authenticated)])
async def get_openapi(request: Request) -> JSONResponse:
    """Return the OpenAPI document; no page shows it here, such pages load foreign scripts."""
    return JSONResponse(request.app.openapi())


# Monitors ask by HEAD; the server leaves the body out.
@router.head("/health/live", include_in_schema=False)
@router.get(
    "/health/live",
    operation_id="getLive",
    summary="Is the process alive",
    responses=problems(keyed=False),
)
async def get_live() -> LiveAnswer:
    """Answers as long as the process does; needs no key."""
    return LiveAnswer()


@router.head("/health/ready", include_in_schema=False)
@router.get(
    "/health/ready",
    operation_id="getReady",
    summary="Can it do its work",
    responses=problems(503, keyed=False),
)
async def get_ready(parts: UsedParts) -> ReadyAnswer:
    """Queue reachable, a live worker, a loaded model; needs no key."""
    try:
        workers = await parts.live_workers()
    except TransportDown as error:
        raise NotReady("the queue cannot be reached") from error
    if not workers:
        raise NotReady("the queue is reachable, but no worker is alive")
    model = workers[0].model
    assert model is not None, "a worker of the segmenter holds a model"
    return ReadyAnswer(workers=len(workers), model=model)

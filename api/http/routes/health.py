"""GET /openapi.json and /health: the interface described, and whether the service can work."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from api.errors import NotReady
from api.http.auth import authenticated
from api.http.dependencies import UsedParts
from api.http.openapi.document import problems
from api.problem_kinds import START_AGENT, START_WORKER, kind_of
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
    """The queue takes jobs, and workers and agent workers live; needs no key."""
    try:
        workers, agent_workers = await parts.look_alive()
    except TransportDown as error:
        kind = kind_of(error)
        raise NotReady(f"{kind.title}: {kind.detail}") from error
    if not workers or agent_workers == 0:
        raise NotReady(_missing(len(workers), agent_workers))
    model = workers[0].model
    assert model is not None, "a worker of the segmenter holds a model"
    return ReadyAnswer(workers=len(workers), agent_workers=agent_workers, model=model)


def _missing(workers: int, agent_workers: int) -> str:
    """Say how many of each live, and what to start."""
    starts = [START_WORKER] * (workers == 0) + [START_AGENT] * (agent_workers == 0)
    return (
        f"the queue takes jobs; workers alive: {workers}, agent workers alive: {agent_workers};"
        f" start {'; and '.join(starts)}"
    )

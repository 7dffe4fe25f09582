"""GET /capabilities, /openapi.json and /health: what the service can do, and whether it can."""

from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from agent.schemas.runs import MAX_REQUEST_CHARS, MAX_ROUNDS, MAX_TARGETS
from api import VERSION
from api.errors import NotReady
from api.http.auth import authenticated
from api.http.dependencies import AppServices, parts_of, settings_of
from api.http.openapi.document import DISCLAIMER, problems
from api.render.segment import to_model
from api.schemas.answers import (
    CapabilitiesAnswer,
    LimitsOut,
    LiveAnswer,
    PlannersOut,
    ReadyAnswer,
)
from api.schemas.requests import MAX_EDITS
from api.settings import Settings
from segmenter.contract import (
    MAX_BOXES,
    MAX_MASKS,
    MAX_POINTS,
    MAX_PROMPTS,
    MAX_TEXT_CHARS,
    Capabilities,
)
from segmenter.errors import TransportDown
from segmenter.formats.limits import DEFAULT_LIMITS
from segmenter.formats.sniff import Format

router = APIRouter(tags=["service"])
MASK_FORMATS = ("coco-rle", "png")
# A worker busy with a long job still answers within this.
CAPABILITIES_TIMEOUT_S = 20.0
UsedParts = Annotated[AppServices, Depends(parts_of)]


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


def to_capabilities(
    found: Capabilities, planners: tuple[str, ...], settings: Settings
) -> CapabilitiesAnswer:
    """Join what the model says and what this service allows."""
    return CapabilitiesAnswer(
        version=VERSION,
        model=to_model(found.model),
        concepts=found.concepts,
        prompts=found.prompts,
        negative_boxes=found.negative_boxes,
        threshold=found.threshold,
        thresholds=found.thresholds,
        adapters=found.adapters,
        postprocess=found.postprocess,
        planners=PlannersOut(available=planners, default=planners[0]),
        egress=settings.egress,
        image_formats=get_args(Format),
        mask_formats=MASK_FORMATS,
        limits=_limits(settings),
        disclaimer=DISCLAIMER,
    )


def _limits(settings: Settings) -> LimitsOut:
    return LimitsOut(
        max_upload_bytes=settings.max_upload_bytes,
        max_pixels=DEFAULT_LIMITS.max_pixels,
        max_side=DEFAULT_LIMITS.max_side,
        max_prompts=MAX_PROMPTS,
        max_boxes=MAX_BOXES,
        max_points=MAX_POINTS,
        max_masks=MAX_MASKS,
        max_text_chars=MAX_TEXT_CHARS,
        max_request_chars=MAX_REQUEST_CHARS,
        max_targets=MAX_TARGETS,
        max_edits=MAX_EDITS,
        max_rounds=MAX_ROUNDS,
        segment_timeout_s=settings.segment_timeout_s,
        run_timeout_s=settings.run_timeout_s,
        image_ttl_s=settings.image_ttl_s,
        record_ttl_s=settings.record_ttl_s,
    )


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
    return ReadyAnswer(workers=len(workers), model=to_model(workers[0].model))

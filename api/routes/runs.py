"""GET /agent/runs/{run_id} and its pictures."""

from collections.abc import Awaitable
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from agent.errors import InvalidRequest
from api.answers_run import RunAnswer
from api.auth import authenticated
from api.errors import PictureGone, PictureNotFound
from api.openapi import png_response, problems
from api.parts import Parts, parts_of
from api.render_run import to_run_answer
from segmenter.errors import ImageNotFound

router = APIRouter(
    prefix="/agent/runs/{run_id}", tags=["agent"], dependencies=[Depends(authenticated)]
)
RunId = Annotated[str, Path(pattern=r"^run_[A-Za-z0-9]{1,64}$")]
MaskId = Annotated[str, Path(pattern=r"^m[1-9][0-9]{0,5}$")]
RoundNumber = Annotated[int, Path(ge=1, le=99)]
UsedParts = Annotated[Parts, Depends(parts_of)]


class Png(Response):
    """A picture."""

    media_type = "image/png"


@router.get(
    "",
    operation_id="getRun",
    summary="Read a run",
    responses=problems(404, 422, 503),
)
async def get_run(run_id: RunId, parts: UsedParts) -> RunAnswer:
    """Status, plan, rounds, targets and usage of a run."""
    return to_run_answer(await parts.agent.run_record(run_id))


@router.get(
    "/masks/{mask_id}.png",
    operation_id="getMask",
    summary="One mask as a picture",
    response_class=Png,
    responses=png_response() | problems(404, 422, 503),
)
async def get_mask(run_id: RunId, mask_id: MaskId, parts: UsedParts) -> Response:
    """8-bit PNG at the size of the original image, 255 inside the mask and 0 outside."""
    return Png(await _drawn(parts.agent.mask_png(run_id, mask_id), "the run has no such mask"))


@router.get(
    "/overlay.png",
    operation_id="getOverlay",
    summary="The result drawn on the image",
    response_class=Png,
    responses=png_response() | problems(404, 410, 422, 503),
)
async def get_overlay(run_id: RunId, parts: UsedParts) -> Response:
    """Every returned mask as a labelled contour."""
    return Png(await _drawn(parts.agent.overlay_png(run_id), "the run has no overlay"))


@router.get(
    "/rounds/{number}.png",
    operation_id="getRound",
    summary="A round's masks drawn on the image",
    response_class=Png,
    responses=png_response() | problems(404, 410, 422, 503),
)
async def get_round(run_id: RunId, number: RoundNumber, parts: UsedParts) -> Response:
    """What the inspector judged in this round."""
    return Png(await _drawn(parts.agent.round_png(run_id, number), "the run has no such round"))


async def _drawn(picture: Awaitable[bytes], missing: str) -> bytes:
    try:
        return await picture
    except InvalidRequest as error:
        raise PictureNotFound(missing) from error
    except ImageNotFound as error:
        raise PictureGone("the run is there, but its image has expired") from error

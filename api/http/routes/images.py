"""POST /images, GET and DELETE /images/{image_id}: upload once, refer by id, erase."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from api.errors import FieldFault, InvalidFields
from api.http.auth import authenticated
from api.http.bodies import read_body
from api.http.dependencies import UsedParts
from api.http.intake import unless_gone
from api.http.openapi.bodies import IMAGE_BODY
from api.http.openapi.document import problems
from api.render.segment import to_image
from api.schemas.answers import ImageOut
from api.schemas.requests import ImageBody

router = APIRouter(tags=["images"], dependencies=[Depends(authenticated)])
ImageIdPath = Annotated[str, Path(pattern=r"^img_[0-9a-f]{64}$")]


@router.post(
    "/images",
    operation_id="uploadImage",
    summary="Upload an image",
    status_code=201,
    responses=problems(400, 408, 413, 415, 422, 429, 503),
    openapi_extra=IMAGE_BODY,
)
async def upload_image(request: Request, response: Response, parts: UsedParts) -> ImageOut:
    """Store an image under an id of its own; it expires after its last use."""
    received = await read_body(request, ImageBody)
    if received.content is None:
        raise InvalidFields(FieldFault("image", "an image is needed"))
    ref = await unless_gone(request, parts.images.put(received.content))
    response.headers["Location"] = f"/images/{ref.id}"
    return to_image(ref)


@router.get(
    "/images/{image_id}",
    operation_id="getImage",
    summary="Describe an image",
    responses=problems(404, 422, 503),
)
async def get_image(image_id: ImageIdPath, parts: UsedParts) -> ImageOut:
    """Describe a stored image; that counts as a use."""
    return to_image(await parts.images.ref(image_id))


@router.delete(
    "/images/{image_id}",
    operation_id="eraseImage",
    summary="Erase an image",
    status_code=204,
    responses=problems(404, 422, 503),
)
async def erase_image(image_id: ImageIdPath, parts: UsedParts) -> None:
    """Erase what was uploaded under this id; another upload of the same bytes stays."""
    await parts.images.delete(await parts.images.ref(image_id))

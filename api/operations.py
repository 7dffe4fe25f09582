"""What routes and command line do alike: find the image, check boxes, run direct prompts."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

from api.bootstrap.parts import AppServices
from api.errors import FieldFault, InvalidFields
from api.render.capabilities import to_capabilities
from api.render.segment import masks_by_id, to_segment_answer
from api.schemas.answers import CapabilitiesAnswer, SegmentAnswer
from api.schemas.requests import AgentBody, SegmentBody
from api.settings import Settings
from segmenter.contract import Box, Hold, ImageRef, ImageStore, SegmentResult
from segmenter.errors import TransportDown
from segmenter.formats.raster.image import encode_mask_png
from segmenter.masks import rle
from segmenter.masks.geometry import clip_box
from segmenter.measuring import measured
from segmenter.memory_budget import DRAWING, drawing_bytes

# A worker busy with a long job still answers within this.
CAPABILITIES_TIMEOUT_S = 20.0


async def stored_image(
    images: ImageStore, content: bytes | None, image_id: str | None, *, hold: Hold | None = None
) -> ImageRef | None:
    """Store what was sent, or look up what was sent before; None if the request names no image.

    Raises:
        InvalidFields: both are given.
        UnsupportedImage, BrokenImage, ImageTooLarge, ImageNotFound, StoreFull: see
            `segmenter.errors`.
    """
    if content is not None and image_id is not None:
        raise InvalidFields(FieldFault("image_id", "give image or image_id, not both"))
    if content is not None:
        return await images.put(content, hold=hold)
    return None if image_id is None else await images.ref(image_id, hold=hold)


@asynccontextmanager
async def image_in_use(
    images: ImageStore, content: bytes | None, image_id: str | None, *, within_s: float
) -> AsyncIterator[ImageRef | None]:
    """Open the image of a request, as `stored_image`: meanwhile it stays, whatever others store.

    An upload is dropped again if the request fails: nobody was told its id, and nothing needs it.

    Args:
        images: where it is stored.
        content: what was sent.
        image_id: of what was sent before.
        within_s: the request ends by then.
    """
    hold = Hold(f"request:{uuid4().hex}", within_s)
    image = await stored_image(images, content, image_id, hold=hold)
    try:
        yield image
    except TransportDown:
        # A run may have been taken on with it; if not, it expires.
        raise
    except BaseException:
        if image is not None and content is not None:
            await asyncio.shield(drop_image(images, image))
        raise
    finally:
        if image is not None:
            with suppress(TransportDown):
                await images.release(hold.holder)


async def drop_image(images: ImageStore, image: ImageRef) -> None:
    """Forget an upload that nobody needs; it expires if the store is out of reach."""
    with suppress(TransportDown):
        await images.delete(image)


async def answer_prompts(
    parts: AppServices, body: SegmentBody, content: bytes | None, *, timeout_s: float
) -> SegmentAnswer:
    """Run direct prompts on one image.

    Raises:
        InvalidFields: no image, or two of them.
        SegmenterError: see `segmenter.errors`; a box that misses the image is an InvalidPrompt.
    """
    started = time.monotonic()
    async with image_in_use(parts.images, content, body.image_id, within_s=timeout_s) as image:
        if image is None:
            raise InvalidFields(FieldFault("image", "an image or an image_id is needed"))
        asked = body.to_request(image)
        result = await parts.segmenter.segment(asked, timeout_s=timeout_s)
        pngs = await _drawn(parts, image, result) if body.include_png else {}
        measures = await measured(masks_by_id(result), image, parts.images, parts.memory)
        return to_segment_answer(
            asked, result, seconds=time.monotonic() - started, pngs=pngs, measures=measures
        )


async def _drawn(parts: AppServices, image: ImageRef, result: SegmentResult) -> dict[str, str]:
    room = drawing_bytes(image.width * image.height, masks=1)
    async with parts.memory.hold(room, what=DRAWING):
        return await asyncio.to_thread(_pngs, result)


async def describe_service(parts: AppServices, settings: Settings) -> CapabilitiesAnswer:
    """Say what can be asked for here; raises NoWorker where no model answers."""
    found = await parts.segmenter.capabilities(timeout_s=CAPABILITIES_TIMEOUT_S)
    return to_capabilities(found, parts.planners, settings)


def check_request(body: AgentBody, image: ImageRef | None) -> None:
    """Refuse a request without image or thread, and boxes that miss the image.

    Raises:
        InvalidFields: names each such field.
    """
    if image is not None:
        _check_boxes(_request_boxes(body), image)
    elif body.thread_id is None:
        raise InvalidFields(FieldFault("image", "an image, an image_id or a thread_id is needed"))


def _request_boxes(body: AgentBody) -> Iterable[tuple[str, Box]]:
    if body.box is not None:
        yield "box", body.box
    for index, edit in enumerate(body.edits):
        if edit.box is not None:
            yield f"edits[{index}].box", edit.box


def _check_boxes(boxes: Iterable[tuple[str, Box]], image: ImageRef) -> None:
    """Refuse boxes, each given with the path of its field, that miss the image altogether."""
    outside = [
        FieldFault(field, f"lies outside of the image of {image.width} x {image.height} pixels")
        for field, box in boxes
        if clip_box(box, width=image.width, height=image.height) is None
    ]
    if outside:
        raise InvalidFields(*outside)


def _pngs(result: SegmentResult) -> dict[str, str]:
    return {
        mask_id: base64.b64encode(encode_mask_png(rle.decode(mask.rle))).decode("ascii")
        for mask_id, mask in masks_by_id(result).items()
    }

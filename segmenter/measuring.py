"""Measures the masks of a stored picture: off the event loop, and in memory that is asked for.

A result does not fail for want of its measures: where there is no room, or the picture has gone,
they are left out, and the log says so.
"""

import asyncio
import logging
from collections.abc import Mapping

from segmenter.contract import ImageRef, ImageStore, Mask, Measures, PixelValues
from segmenter.errors import ImageTooLarge, MemoryBusy, SegmenterError
from segmenter.masks import rle
from segmenter.measures.mask import measure
from segmenter.memory_budget import MEASURING, WorkingMemory, measuring_bytes

logger = logging.getLogger(__name__)


async def measured(
    masks: Mapping[str, Mask], image: ImageRef, images: ImageStore, memory: WorkingMemory
) -> dict[str, Measures]:
    """Measure masks of one picture.

    Args:
        masks: by id.
        image: that they are of.
        images: where its values are read; without them a mask has no intensity.
        memory: that measuring takes.

    Returns:
        The measures by the same ids; nothing where there is no room to measure in.
    """
    if not masks:
        return {}
    values = await _values(image, images)
    try:
        async with memory.hold(measuring_bytes(image.width * image.height), what=MEASURING):
            return await asyncio.to_thread(_measure_each, masks, image, values)
    except (ImageTooLarge, MemoryBusy) as error:
        _log_missing("masks are not measured", image, error)
        return {}


async def _values(image: ImageRef, images: ImageStore) -> PixelValues | None:
    try:
        return await images.values(image)
    except SegmenterError as error:
        _log_missing("values are not read", image, error)
        return None


def _log_missing(what: str, image: ImageRef, error: SegmenterError) -> None:
    logger.warning(what, extra={"image": image.sha256[:12], "error": type(error).__name__})


def _measure_each(
    masks: Mapping[str, Mask], image: ImageRef, values: PixelValues | None
) -> dict[str, Measures]:
    return {
        mask_id: measure(rle.decode(mask.rle), image.spacing, values)
        for mask_id, mask in masks.items()
    }

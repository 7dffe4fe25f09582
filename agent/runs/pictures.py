"""Pictures of a run that is kept: single masks, the result on its image, a round."""

import asyncio
from contextlib import AbstractAsyncContextManager

from agent.drawing.overlay import draw_overlay
from agent.drawing.tiles import draw_tiles
from agent.errors import InvalidRequest, ThreadNotFound
from agent.runs.captions import result_masks, round_tiles, round_title
from agent.runs.threads import Threads
from agent.schemas.rounds import Candidate
from agent.schemas.runs import RunRecord
from segmenter.contract import ImageStore
from segmenter.formats.raster.image import encode_mask_png
from segmenter.masks.rle import decode
from segmenter.memory_budget import DRAWING, WorkingMemory, drawing_bytes


class Pictures:
    """Draws what records hold."""

    def __init__(self, threads: Threads, images: ImageStore, memory: WorkingMemory) -> None:
        self._threads = threads
        self._images = images
        self._memory = memory

    async def mask_png(self, run_id: str, mask_id: str) -> bytes:
        """Draw one mask of a run, 255 inside and 0 outside; raises RunNotFound, InvalidRequest."""
        run = await self._threads.run(run_id)
        candidate = next(
            (candidate for candidate in run.candidates if candidate.id == mask_id), None
        )
        candidate = candidate or await self._earlier(run, mask_id)
        if candidate is None:
            raise InvalidRequest(f"run has no mask {mask_id[:40]!r}", field="mask")
        async with self._room(run, masks=1):
            return await asyncio.to_thread(lambda: encode_mask_png(decode(candidate.mask.rle)))

    async def overlay_png(self, run_id: str, *, labels: bool = True, scale: bool = True) -> bytes:
        """Draw the result on its image; raises RunNotFound, ImageNotFound.

        Args:
            run_id: of a run that ended.
            labels: write beside each mask what it is.
            scale: draw a scale bar where the pixel size is known.
        """
        run = await self._threads.run(run_id)
        pixels = await self._images.pixels(run.image)
        spacing = run.image.spacing if scale else None

        def draw() -> bytes:
            return draw_overlay(pixels, result_masks(run), labels=labels, spacing=spacing)

        async with self._room(run, masks=sum(len(result.masks) for result in run.targets)):
            return await asyncio.to_thread(draw)

    async def round_png(self, run_id: str, number: int) -> bytes:
        """Draw what a round gave; raises RunNotFound, InvalidRequest, ImageNotFound."""
        run = await self._threads.run(run_id)
        if not 1 <= number <= len(run.rounds):
            raise InvalidRequest(f"run has no round {number}", field="number")
        done = run.rounds[number - 1]
        pixels = await self._images.pixels(run.image)

        def draw() -> bytes:
            tiles = round_tiles(run, done, pixels)
            return draw_tiles(round_title(run, done), tiles, spacing=run.image.spacing)

        async with self._room(run, masks=len(done.candidates)):
            return await asyncio.to_thread(draw)

    def _room(self, run: RunRecord, *, masks: int) -> AbstractAsyncContextManager[object]:
        """Hold what drawing masks of a run takes; raises ImageTooLarge, MemoryBusy."""
        size = drawing_bytes(run.image.width * run.image.height, masks=masks)
        return self._memory.hold(size, what=DRAWING)

    async def _earlier(self, run: RunRecord, mask_id: str) -> Candidate | None:
        """Return a mask of an earlier run: it keeps its id for the life of its thread."""
        try:
            thread = await self._threads.thread(run.thread_id)
        except ThreadNotFound:
            return None
        return next((candidate for candidate in thread.candidates if candidate.id == mask_id), None)

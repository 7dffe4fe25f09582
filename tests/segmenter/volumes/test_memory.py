"""A long sequence takes no more memory than a short one: one frame is held at a time."""

import asyncio
import tracemalloc
from collections.abc import Sequence
from uuid import uuid4

import numpy as np

from segmenter.contract import RgbImage
from segmenter.formats.frames import ReadOptions, SequenceReader
from segmenter.services import SegmenterServices, open_embedded
from segmenter.settings import QueueSettings, SegmenterSettings
from segmenter.volumes.contract import VolumeRequest
from tests.doubles import BRIGHT, ThresholdBackend, decode_raw
from tests.segmenter.volumes.sequences import ArrayFrames

FRAMES, SIDE = 240, 256
FRAME_BYTES = SIDE * SIDE * 3


class Endless(ArrayFrames):
    """Makes each frame when it is asked for, as a video does."""

    def __init__(self) -> None:
        super().__init__(np.zeros((1, SIDE, SIDE, 3), dtype=np.uint8))
        self.count = FRAMES

    def frame(self, index: int) -> RgbImage:
        pixels = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
        pixels[20:60, 20 + index % 100 : 60 + index % 100] = 255
        return pixels


def _open(files: Sequence[bytes], options: ReadOptions) -> Endless:
    return Endless()


open_endless = SequenceReader(lambda files, options: FRAME_BYTES, _open)


async def reached(services: SegmenterServices, job: str, done: int) -> None:
    while True:
        if (await services.volumes.status(job)).done >= done:
            return
        await asyncio.sleep(0.005)


def test_memory_does_not_grow_with_the_frames_that_are_done():
    settings = SegmenterSettings(queue=QueueSettings(poll_s=0.05))

    async def read(size: int) -> bytes:
        return b""

    async def within() -> list[int]:
        opened = open_embedded(ThresholdBackend(), decode_raw, settings, opener=open_endless)
        taken = []
        async with asyncio.timeout(60), opened as services:
            request = VolumeRequest(text=BRIGHT)
            job = (await services.volumes.create(uuid4().hex, [read], request)).record.public_id
            for done in (40, FRAMES - 20):
                await reached(services, job, done)
                taken.append(tracemalloc.get_traced_memory()[0])
            await services.volumes.cancel(job)
        return taken

    tracemalloc.start()
    try:
        early, late = asyncio.run(within())
    finally:
        tracemalloc.stop()
    # What was found is kept in this process's record store, and the model may be at work just now;
    # a tenth of the 180 frames in between is far above both.
    assert late - early < (FRAMES - 60) / 10 * FRAME_BYTES

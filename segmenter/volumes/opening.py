"""Opens the files of a volume job within the memory of the process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from segmenter.formats.frames import Frames, SequenceReader
from segmenter.memory_budget import WorkingMemory, looking_bytes
from segmenter.volumes.contract import Upload, VolumeRequest
from segmenter.volumes.plan import options_of
from segmenter.volumes.store import PIECE_BYTES, VolumeStore

OPENING = "opening this volume"


@dataclass(frozen=True)
class VolumeOpener:
    """Reads uploads and opens them, once their share of the memory is there.

    Attributes:
        memory: of which all files of an upload, what reading its frames takes, and looking at one
            of them are held as long as the frames are in use.
    """

    store: VolumeStore
    reader: SequenceReader
    memory: WorkingMemory

    @asynccontextmanager
    async def opened(self, upload: Upload, request: VolumeRequest) -> AsyncIterator[Frames]:
        """Open the frames of an upload.

        Raises:
            VolumeNotFound, UnsupportedImage, BrokenImage, ImageTooLarge, InvalidPrompt, MemoryBusy,
            TransportDown.
        """
        # A file is put together of its pieces in room that grows by an eighth.
        kept = sum(upload.sizes) + max(upload.sizes) // 8 + PIECE_BYTES
        async with self.memory.hold(kept, what=OPENING, long=True) as held:
            files = await self.store.read_upload(upload)
            options = options_of(request)
            await held.grow(await asyncio.to_thread(self.reader.working_bytes, files, options))
            frames = await asyncio.to_thread(self.reader.open, files, options)
            # Of a file that stands alone the frames have kept what they need.
            del files
            await held.grow(looking_bytes(frames.height * frames.width, boxes=1))
            yield frames

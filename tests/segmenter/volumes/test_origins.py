"""Where frames come from is kept in pieces, and read for a page."""

import asyncio

from segmenter.contract import ModelInfo
from segmenter.formats.frames import FrameOrigin
from segmenter.storage.contract import BlobStore
from segmenter.storage.memory import MemoryStore
from segmenter.volumes.contract import VolumeResult
from segmenter.volumes.store import ORIGINS_A_RECORD, VolumeStore

COUNT = 4000
# Records of Redis and SQL hold more; each piece is far below.
PIECE_BYTES = 64 * 1024
RESULT = VolumeResult(
    concept=None,
    known=True,
    reason=None,
    objects=(),
    label_map_bytes=1,
    model=ModelInfo(kind="test", weights_id="test", weights_sha256="0" * 64),
    seconds=0.0,
)


def origin(index: int) -> FrameOrigin:
    return FrameOrigin(index + 1, None, index, (-123.456, -234.567, 0.625 * index), 40.0 * index)


def test_origins_of_thousands_of_frames_are_read_by_page() -> None:
    async def scenario() -> None:
        memory = MemoryStore(max_bytes=8 * 2**20, max_item_bytes=PIECE_BYTES)
        store = VolumeStore(memory, BlobStore(memory, ttl_s=60.0), max_bytes=1000, ttl_s=60.0)
        origins = [origin(index) for index in range(COUNT)]
        await store.put_result("a" * 32, RESULT, [], b"x", origins)
        edge = ORIGINS_A_RECORD
        for first, last in (
            (0, 63),
            (edge - 1, edge),
            (edge - 10, 3 * edge),
            (COUNT - 1, COUNT - 1),
        ):
            assert await store.origins("a" * 32, first, last) == origins[first : last + 1]

    asyncio.run(scenario())


def test_what_an_earlier_version_kept_has_no_origins() -> None:
    async def scenario() -> None:
        memory = MemoryStore(max_bytes=2**20, max_item_bytes=PIECE_BYTES)
        store = VolumeStore(memory, BlobStore(memory, ttl_s=60.0), max_bytes=1000, ttl_s=60.0)
        await store.put_result("a" * 32, RESULT, [], b"x")
        assert await store.origins("a" * 32, 2, 4) == [None, None, None]

    asyncio.run(scenario())

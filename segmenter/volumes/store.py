"""What is kept of volume jobs: uploads and label maps in pieces, a small record per frame.

Everything expires, and nothing is changed once it is complete. The worker writes frames and result;
the job's record and how far it is are in `segmenter.queue.records`. Writing a frame again changes
nothing, so a frame whose progress was lost costs time only.
"""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import TypeVar
from uuid import uuid4

from pydantic import BaseModel, TypeAdapter, ValidationError

from segmenter.contract import FrameMasks, RecordStore
from segmenter.errors import ImageTooLarge, VolumeNotFound
from segmenter.formats.frames import FrameOrigin
from segmenter.queue.records import JobStore
from segmenter.storage.contract import BlobStore
from segmenter.volumes.contract import (
    MAX_FILES,
    Upload,
    VolumeRecord,
    VolumeResult,
)

# One command of Redis moves a piece within a tenth of a second (reference/queue.md, 5.7).
PIECE_BYTES = 8 * 2**20

# Reads so many bytes of a file, fewer only at its end.
ReadSome = Callable[[int], Awaitable[bytes]]
Kept = TypeVar("Kept", bound=BaseModel)
ORIGINS: TypeAdapter[tuple[FrameOrigin, ...]] = TypeAdapter(tuple[FrameOrigin, ...])
# Some 60 KiB: a page of frames needs two of them at most.
ORIGINS_A_RECORD = 512
OBJECT_IDS: TypeAdapter[tuple[tuple[int, ...], ...]] = TypeAdapter(tuple[tuple[int, ...], ...])


class VolumeStore:
    """Volume jobs over the service's stores; how far each is, is in its `jobs`.

    Args:
        max_bytes: of one upload, all files together.
        ttl_s: life of what is kept, after it was written; of pieces after their last use.
    """

    def __init__(
        self, records: RecordStore, blobs: BlobStore, *, max_bytes: int, ttl_s: float
    ) -> None:
        self.jobs = JobStore(records, ttl_s=ttl_s)
        self._records = records
        self._blobs = blobs
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s

    async def put_upload(self, files: Sequence[ReadSome]) -> Upload:
        """Store files piece by piece; never holds more than one piece.

        Raises:
            ImageTooLarge, TransportDown.
        """
        if len(files) > MAX_FILES:
            raise ImageTooLarge(f"{len(files)} files, the limit is {MAX_FILES}", field="files")
        digest, sizes, upload_id = hashlib.sha256(), [0] * len(files), uuid4().hex
        for number, read in enumerate(files):
            digest.update(b"file")
            async for piece in _pieces(read):
                if sum(sizes) + len(piece) > self._max_bytes:
                    await self._drop_upload(upload_id, sizes)
                    message = f"more than {self._max_bytes} bytes, which is the limit"
                    raise ImageTooLarge(message, field="files")
                await self._blobs.put(_piece(upload_id, number, sizes[number]), piece)
                await asyncio.to_thread(digest.update, piece)
                sizes[number] += len(piece)
        return Upload(id=upload_id, sizes=tuple(sizes), sha256=digest.hexdigest())

    async def copy_upload(self, upload: Upload) -> Upload:
        """Store the files of an upload again, piece by piece, as one of its own.

        Raises:
            VolumeNotFound: a piece has expired.
            TransportDown.
        """
        copy = upload.model_copy(update={"id": uuid4().hex})
        try:
            for number, size in enumerate(upload.sizes):
                for start in _starts(size):
                    piece = await self._piece(upload.id, number, start)
                    await self._blobs.put(_piece(copy.id, number, start), piece)
        except VolumeNotFound:
            await self.drop_upload(copy)
            raise
        return copy

    async def read_upload(self, upload: Upload) -> list[bytes]:
        """Return all files; that counts as a use.

        Raises:
            VolumeNotFound: a piece has expired.
        """
        return [
            await self._join(upload.id, number, size) for number, size in enumerate(upload.sizes)
        ]

    async def drop_upload(self, upload: Upload) -> None:
        """Forget the files."""
        await self._drop_upload(upload.id, upload.sizes)

    async def put_frame(self, job_id: str, masks: FrameMasks) -> None:
        """Keep what was found on a frame."""
        await self._write(_key(job_id, "frame", masks.index), masks)

    async def frame(self, job_id: str, index: int) -> FrameMasks:
        """Return what was found on a frame.

        Raises:
            VolumeNotFound.
        """
        masks = await self._read(_key(job_id, "frame", index), FrameMasks)
        if masks is None:
            raise VolumeNotFound(f"frame {index} has expired")
        return masks

    async def put_result(
        self,
        job_id: str,
        result: VolumeResult,
        object_ids: Sequence[tuple[int, ...]],
        label_map: bytes,
        origins: Sequence[FrameOrigin] = (),
    ) -> None:
        """Keep what a finished job found, the result last.

        Args:
            job_id: of the job.
            result: says how long `label_map` is.
            object_ids: per frame looked at, in order of their index, of each mask.
            label_map: the file.
            origins: per frame looked at, where it comes from.
        """
        for start in _starts(len(label_map)):
            piece = label_map[start : start + PIECE_BYTES]
            await self._blobs.put(_piece(job_id, 0, start), piece)
        for start in range(0, len(origins), ORIGINS_A_RECORD):
            some = ORIGINS.dump_json(tuple(origins[start : start + ORIGINS_A_RECORD]))
            await self._records.put(_key(job_id, "origins", start), some, ttl_s=self._ttl_s)
        content = OBJECT_IDS.dump_json(tuple(object_ids))
        await self._records.put(_key(job_id, "ids"), content, ttl_s=self._ttl_s)
        await self._write(_key(job_id, "result"), result)

    async def result(self, job_id: str) -> VolumeResult | None:
        """Return what a finished job found; None before its end."""
        return await self._read(_key(job_id, "result"), VolumeResult)

    async def object_ids(self, job_id: str) -> tuple[tuple[int, ...], ...]:
        """Return, per frame looked at, the object of each mask.

        Raises:
            VolumeNotFound.
        """
        content = await self._records.get(_key(job_id, "ids"))
        if content is None:
            raise VolumeNotFound("the job has no objects, or they have expired")
        return OBJECT_IDS.validate_json(content)

    async def origins(self, job_id: str, first: int, last: int) -> list[FrameOrigin | None]:
        """Return where frames come from, None where that is not kept.

        Args:
            job_id: of the job.
            first: place among the frames looked at, from 0.
            last: the last of them, included.
        """
        found: list[FrameOrigin | None] = []
        start = first - first % ORIGINS_A_RECORD
        for piece in range(start, last + 1, ORIGINS_A_RECORD):
            content = await self._records.get(_key(job_id, "origins", piece))
            kept = () if content is None else ORIGINS.validate_json(content)
            found += [*kept, *[None] * (ORIGINS_A_RECORD - len(kept))]
        return found[first - start : last + 1 - start]

    async def label_map(self, job_id: str, size: int) -> bytes:
        """Return the label map of a finished job.

        Raises:
            VolumeNotFound: it has expired.
        """
        return await self._join(job_id, 0, size)

    async def erase(self, record: VolumeRecord) -> None:
        """Forget everything about a job, its files too; the record goes first."""
        await self.jobs.forget(record.public_id)
        result = await self.result(record.id)
        for name in ("ids", "result"):
            await self._records.delete(_key(record.id, name))
        for index in range(record.first, record.last + 1):
            await self._records.delete(_key(record.id, "frame", index))
        for start in range(0, record.total, ORIGINS_A_RECORD):
            await self._records.delete(_key(record.id, "origins", start))
        await self.drop_upload(record.upload)
        if result is not None:
            await self._drop_upload(record.id, (result.label_map_bytes,))

    async def _join(self, owner: str, number: int, size: int) -> bytes:
        # Joined at the end, pieces and file would be in memory together.
        joined = io.BytesIO()
        for start in _starts(size):
            joined.write(await self._piece(owner, number, start))
        return joined.getvalue()

    async def _piece(self, owner: str, number: int, start: int) -> bytes:
        piece = await self._blobs.get(_piece(owner, number, start))
        if piece is None:
            raise VolumeNotFound("the stored files have expired; send them again")
        return piece

    async def _drop_upload(self, owner: str, sizes: Iterable[int]) -> None:
        for number, size in enumerate(sizes):
            for start in _starts(size):
                await self._blobs.delete(_piece(owner, number, start))

    async def _write(self, key: str, kept: BaseModel) -> None:
        await self._records.put(key, kept.model_dump_json().encode(), ttl_s=self._ttl_s)

    async def _read(self, key: str, model: type[Kept]) -> Kept | None:
        content = await self._records.get(key)
        try:
            return None if content is None else model.model_validate_json(content)
        except ValidationError:
            # Written by another version; the text holds a request and must not travel on.
            raise VolumeNotFound("the volume was kept by another version") from None


async def _pieces(read: ReadSome) -> AsyncIterator[bytes]:
    while piece := await read(PIECE_BYTES):
        yield piece


def _starts(size: int) -> range:
    return range(0, size, PIECE_BYTES)


def _piece(owner: str, number: int, start: int) -> str:
    return f"volume:{owner}:{number}:{start}"


def _key(job_id: str, *parts: str | int) -> str:
    return ":".join(("volume", job_id, *map(str, parts)))

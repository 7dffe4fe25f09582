"""`Volumes`: what callers do with volume jobs; the queue carries ids, the stores carry the rest.

Shared: one by all requests of one event loop. Guaranteed: nothing is queued that does not open; a
job whose caller goes away goes on; its state can be read in every process that shares the stores.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from segmenter.contract import JobEvent
from segmenter.errors import InputError, TransportDown, VolumeNotDone, VolumeNotFound
from segmenter.formats.archive import base_name
from segmenter.formats.frames import SequenceReader
from segmenter.memory_budget import WorkingMemory
from segmenter.queue.contract import Accept, Producer
from segmenter.queue.jobs import Jobs
from segmenter.volumes.contract import (
    FrameResult,
    Upload,
    VolumeRecord,
    VolumeRequest,
    VolumeResult,
    VolumeShape,
    VolumeStatus,
)
from segmenter.volumes.opening import VolumeOpener
from segmenter.volumes.plan import frame_range, named, shape_of
from segmenter.volumes.store import ReadSome, VolumeStore
from segmenter.volumes.summary import to_frame_result

# One keeps a core busy; more would only wait for memory.
MAX_OPENINGS = 1
# Fields of errors about the files themselves, which readers of one image call so.
FILE_FIELD = "image"


class Taken(NamedTuple):
    """A job that was taken on.

    Attributes:
        replayed: it was there already, under the same id.
        same: with the same files and the same request.
    """

    record: VolumeRecord
    replayed: bool
    same: bool


class Volumes:
    """Volume jobs over a queue and the stores.

    Args:
        timeout_s: a job that has not ended by then is not begun again.
        memory: that opening files takes.
    """

    def __init__(
        self,
        queue: Producer,
        accepted: Accept,
        store: VolumeStore,
        reader: SequenceReader,
        *,
        timeout_s: float,
        memory: WorkingMemory,
    ) -> None:
        self.jobs = Jobs(store.jobs, queue, accepted, timeout_s)
        self._store = store
        self._opener = VolumeOpener(store, reader, memory)
        self._openings = asyncio.Semaphore(MAX_OPENINGS)

    async def create(
        self,
        job_id: str,
        files: Sequence[ReadSome],
        request: VolumeRequest,
        names: Sequence[str | None] = (),
    ) -> Taken:
        """Store files, check that they open, and queue a job; the same id again changes nothing.

        Args:
            job_id: of the job.
            files: in the order sent.
            request: what is asked.
            names: of the files as their sender calls them, to tell which ones are skipped.

        Raises:
            UnsupportedImage, BrokenImage, ImageTooLarge, InvalidPrompt, QueueFull, TransportDown.
        """
        called = {i: base_name(name) for i, name in enumerate(names, 1) if name}
        return await self._create(job_id, await self._store.put_upload(files), request, called)

    async def create_again(self, job_id: str, source: str, request: VolumeRequest) -> Taken:
        """Queue a job on the files of another one, given by its public id: on its own copy.

        Raises:
            VolumeNotFound, UnsupportedImage, BrokenImage, ImageTooLarge, InvalidPrompt, QueueFull,
            TransportDown.
        """
        record = await self.record(source)
        called = {each.file: each.name for each in record.shape.skipped if each.name}
        # Erasing either of the two takes nothing from the other.
        upload = await self._store.copy_upload(record.upload)
        return await self._create(job_id, upload, request, called)

    async def status(self, public_id: str) -> VolumeStatus:
        """Return how far a job is.

        Raises:
            VolumeNotFound, TransportDown.
        """
        record = await self.record(public_id)
        _, event = await self.jobs.last(record)
        return await self._status(record, event)

    async def record(self, public_id: str) -> VolumeRecord:
        """Return a job as it was taken on.

        Raises:
            VolumeNotFound, TransportDown.
        """
        record = await self.jobs.store.record(public_id, VolumeRecord)
        if record is None:
            raise VolumeNotFound("there is no such volume, or it has expired")
        return record

    async def frames(self, public_id: str, first: int, last: int) -> list[FrameResult]:
        """Return the frames from `first` to `last`, both included, that a finished job looked at.

        Raises:
            VolumeNotFound, VolumeNotDone, TransportDown.
        """
        record, _ = await self._finished(public_id)
        ids = await self._store.object_ids(record.id)
        page = range(max(first, record.first), min(last, record.last) + 1)
        places = [index - record.first for index in page]
        if not places:
            return []
        origins = await self._store.origins(record.id, places[0], places[-1])
        return [
            to_frame_result(await self._store.frame(record.id, index), ids[place], origin)
            for index, place, origin in zip(page, places, origins, strict=True)
        ]

    async def label_map(self, public_id: str) -> bytes:
        """Return the label map of a finished job: ``.nii.gz``, uint16, object ids.

        Raises:
            VolumeNotFound, VolumeNotDone, TransportDown.
        """
        record, result = await self._finished(public_id)
        return await self._store.label_map(record.id, result.label_map_bytes)

    async def cancel(self, public_id: str) -> VolumeStatus:
        """Give a job up; one that has ended stays as it is.

        Raises:
            VolumeNotFound, TransportDown.
        """
        record = await self.record(public_id)
        return await self._status(record, await self.jobs.cancel(record))

    async def erase(self, public_id: str) -> None:
        """Give a job up and forget all about it, its files too.

        Raises:
            VolumeNotFound, TransportDown.
        """
        record = await self.record(public_id)
        await self.jobs.queue.cancel(record.id)
        await self._store.erase(record)

    async def _create(
        self, job_id: str, upload: Upload, request: VolumeRequest, called: Mapping[int, str]
    ) -> Taken:
        """Queue a job on files that are its own; they are dropped if it is not taken on."""
        try:
            taken = await self._take(await self._describe(job_id, upload, request, called))
        except TransportDown:
            # The job may have been taken on; if not, its files expire.
            raise
        except BaseException:
            await self._store.drop_upload(upload)
            raise
        if taken.replayed:
            await self._store.drop_upload(upload)
        return taken

    async def _take(self, record: VolumeRecord) -> Taken:
        created = JobEvent(name="volume.created", state="queued")
        kept, _ = await self.jobs.accept(record, events=[created])
        is_new, same = kept is record, kept.fingerprint == record.fingerprint
        if same and not is_new:
            # Queues it again if the queue has lost it.
            await self.jobs.last(kept)
        return Taken(kept, replayed=not is_new, same=same)

    async def relay(self) -> None:
        """Queue again what was taken on and has not ended; raises QueueFull, TransportDown."""
        await self.jobs.relay("volume", VolumeRecord)

    async def _describe(
        self, job_id: str, upload: Upload, request: VolumeRequest, called: Mapping[int, str]
    ) -> VolumeRecord:
        shape = named(await self._shape(upload, request), called)
        first, last = frame_range(request, shape)
        text = upload.sha256 + repr(upload.sizes) + request.model_dump_json()
        return VolumeRecord(
            id=job_id,
            created_at=datetime.now(UTC),
            upload=upload,
            request=request,
            shape=shape,
            first=first,
            last=last,
            fingerprint=hashlib.sha256(text.encode()).hexdigest(),
        )

    async def _shape(self, upload: Upload, request: VolumeRequest) -> VolumeShape:
        async with self._openings:
            try:
                async with self._opener.opened(upload, request) as frames:
                    return shape_of(frames)
            except InputError as error:
                error.field = "files" if error.field == FILE_FIELD else error.field
                raise

    async def _status(self, record: VolumeRecord, event: JobEvent | None) -> VolumeStatus:
        state = "queued" if event is None else event.state
        return VolumeStatus(
            record=record,
            state=state,
            done=0 if event is None else event.number,
            result=await self._store.result(record.id) if state == "done" else None,
            failure=None if event is None else event.failure,
        )

    async def _finished(self, public_id: str) -> tuple[VolumeRecord, VolumeResult]:
        status = await self.status(public_id)
        if status.result is None:
            raise VolumeNotDone(f"the job is {status.state}, {status.done} frames are done")
        return status.record, status.result

"""The worker's side of volume jobs: frame after frame, each kept before the next is begun.

Shared: nothing; one `VolumeRunner` belongs to one worker, which runs one volume at a time.
Guaranteed: a worker that dies loses the frame it was at, no more: whoever takes the job over goes
on after the frames that are kept. Between two frames a job that was given up is dropped and a
stopping worker hands its job back; `go_on` also lets the worker serve what else is queued, so that
an image waits for one frame at most.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from segmenter.backends.sequence import FrameStep, SequenceBackend
from segmenter.contract import FrameMasks, JobEvent, JobState, ModelInfo, PromptResult
from segmenter.errors import JobCancelled, SegmenterError, TransportDown, VolumeNotFound
from segmenter.formats.frames import Frames, SequenceReader
from segmenter.formats.volumes.labels import write_labels
from segmenter.memory_budget import WorkingMemory
from segmenter.queue.contract import Requeue
from segmenter.queue.messages import Answer, failed, to_failure
from segmenter.queue.records import PREFIXES, JobWriter
from segmenter.volumes.contract import VolumeRecord
from segmenter.volumes.opening import VolumeOpener
from segmenter.volumes.plan import needed, plan, prompt_of
from segmenter.volumes.store import VolumeStore
from segmenter.volumes.summary import Findings

# Tells whether the job is still wanted; may raise `Requeue`.
GoOn = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class VolumeRunner:
    """Runs volume jobs with one model.

    Attributes:
        reader: of the files of an upload.
        model: the weights that `backend` holds.
        memory: that the files and the frame that is looked at take.
    """

    store: VolumeStore
    backend: SequenceBackend
    reader: SequenceReader
    model: ModelInfo
    memory: WorkingMemory

    async def answer(self, job_id: str, go_on: GoOn) -> Answer:
        """Run a job to its end.

        Args:
            job_id: of the job.
            go_on: awaited after each frame.

        Raises:
            Requeue: the worker stops, or a store is out.
            SegmenterError: the job failed; that is noted.
        """
        record = None
        try:
            record = await self._record(job_id)
            if record is None:
                raise VolumeNotFound("there is no such volume, or it has expired")
            return await self._run(record, go_on)
        except TransportDown as error:
            raise Requeue from error
        except SegmenterError as error:
            if record is not None:
                await self.store.jobs.end(record, "failed", to_failure(error))
            raise

    async def _record(self, job_id: str) -> VolumeRecord | None:
        return await self.store.jobs.record(PREFIXES["volume"] + job_id, VolumeRecord)

    async def _run(self, record: VolumeRecord, go_on: GoOn) -> Answer:
        opener = VolumeOpener(self.store, self.reader, self.memory)
        async with opener.opened(record.upload, record.request) as frames:
            log = await self.store.jobs.writer(record.public_id)
            finished = await self._look(record, frames, log, go_on)
            finished = finished and await self._finish(record, frames, log)
        if await self._record(record.id) is None:
            # What was written after the job was erased.
            await self.store.erase(record)
            await self.store.jobs.forget(record.public_id, events=len(log.events))
        given_up = failed(JobCancelled("the job was given up before it finished"))
        return Answer(volume=record.id) if finished else given_up

    async def _look(
        self, record: VolumeRecord, frames: Frames, log: JobWriter, go_on: GoOn
    ) -> bool:
        """Look at the frames that are left; False if the job was given up."""
        if not await log.tell(_event(record, "progress", 0, seconds=0.0)):
            return False
        done, seconds = log.events[-1].number, float(log.events[-1].facts["seconds"])
        steps = plan(record)[done:]
        known = await self._known(record, steps)
        looking = self.backend.segment_sequence(
            frames, prompt_of(record.request), steps, known=known
        )
        for number in range(done + 1, done + len(steps) + 1):
            started = time.monotonic()
            masks = await asyncio.to_thread(_next, looking)
            seconds += time.monotonic() - started
            await self.store.put_frame(record.id, masks)
            progress = _event(record, "progress", number, seconds=seconds)
            if not await log.tell(progress) or not await go_on():
                return False
        return True

    async def _known(
        self, record: VolumeRecord, steps: Sequence[FrameStep]
    ) -> Mapping[int, PromptResult]:
        return {index: (await self.store.frame(record.id, index)).result for index in needed(steps)}

    async def _finish(self, record: VolumeRecord, frames: Frames, log: JobWriter) -> bool:
        """Keep what was found; False if the job was given up."""
        findings = Findings(record.shape)
        for index in range(record.first, record.last + 1):
            masks = await self.store.frame(record.id, index)
            await asyncio.to_thread(findings.add, masks)
        label_map = await asyncio.to_thread(write_labels, findings.labels, frames)
        seconds = float(log.events[-1].facts["seconds"])
        # Diameters of many objects through a thousand frames take a second.
        summary = await asyncio.to_thread(
            findings.summary, label_map_bytes=len(label_map), model=self.model, seconds=seconds
        )
        origins = frames.origins[record.first : record.last + 1]
        await self.store.put_result(record.id, summary, findings.object_ids, label_map, origins)
        message = summary.reason or f"objects: {len(summary.objects)}"
        return await log.tell(_event(record, "completed", record.total, message=message))


def _event(record: VolumeRecord, name: str, done: int, **facts: str | float) -> JobEvent:
    state: JobState = "done" if name == "completed" else "running"
    known = {"frames_total": record.total, **facts}
    return JobEvent(name=f"volume.{name}", number=done, state=state, facts=known)


def _next(looking: Iterator[FrameMasks]) -> FrameMasks:
    return next(looking)

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
from segmenter.contract import FrameMasks, ModelInfo, PromptResult
from segmenter.errors import JobCancelled, SegmenterError, TransportDown, VolumeNotFound
from segmenter.formats.frames import Frames, OpenFrames
from segmenter.formats.nifti import write_labels
from segmenter.queue.contract import Requeue
from segmenter.queue.messages import Answer, failed, to_failure
from segmenter.volumes.contract import Ending, Progress, VolumeRecord
from segmenter.volumes.plan import needed, plan, prompt_of, window_of
from segmenter.volumes.store import VolumeStore
from segmenter.volumes.summary import Findings

# Tells whether the job is still wanted; may raise `Requeue`.
GoOn = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class VolumeRunner:
    """Runs volume jobs with one model.

    Attributes:
        open_frames: reads the files of an upload.
        model: the weights that `backend` holds.
    """

    store: VolumeStore
    backend: SequenceBackend
    open_frames: OpenFrames
    model: ModelInfo

    async def answer(self, job_id: str, go_on: GoOn) -> Answer:
        """Run a job to its end.

        Args:
            job_id: of the job.
            go_on: awaited after each frame.

        Raises:
            Requeue: the worker stops, or a store is out.
            SegmenterError: the job failed; that is noted in the store.
        """
        try:
            return await self._run(await self.store.record(job_id), go_on)
        except TransportDown as error:
            raise Requeue from error
        except SegmenterError as error:
            ending = Ending(state="failed", failure=to_failure(error))
            await self.store.put_ending(job_id, ending)
            raise

    async def _run(self, record: VolumeRecord, go_on: GoOn) -> Answer:
        frames = await self._open(record)
        finished = await self._look(record, frames, go_on)
        if finished:
            await self._finish(record, frames)
        await self._forget_erased(record)
        given_up = failed(JobCancelled("the job was given up before it finished"))
        return Answer(volume=record.id) if finished else given_up

    async def _open(self, record: VolumeRecord) -> Frames:
        files = await self.store.read_upload(record.upload)
        request = record.request
        return await asyncio.to_thread(
            self.open_frames, files, window=window_of(request), preset=request.preset
        )

    async def _look(self, record: VolumeRecord, frames: Frames, go_on: GoOn) -> bool:
        """Look at the frames that are left; False if the job was given up."""
        progress = await self.store.progress(record.id) or Progress()
        await self.store.put_progress(record.id, progress)
        steps = plan(record)[progress.done :]
        known = await self._known(record, steps)
        looking = self.backend.segment_sequence(
            frames, prompt_of(record.request), steps, known=known
        )
        for _ in steps:
            started = time.monotonic()
            masks = await asyncio.to_thread(_next, looking)
            seconds = progress.seconds + time.monotonic() - started
            progress = Progress(done=progress.done + 1, seconds=seconds)
            await self.store.put_frame(record.id, masks)
            await self.store.put_progress(record.id, progress)
            if not await go_on():
                return False
        return True

    async def _known(
        self, record: VolumeRecord, steps: Sequence[FrameStep]
    ) -> Mapping[int, PromptResult]:
        return {index: (await self.store.frame(record.id, index)).result for index in needed(steps)}

    async def _finish(self, record: VolumeRecord, frames: Frames) -> None:
        findings = Findings(record.shape)
        for index in range(record.first, record.last + 1):
            masks = await self.store.frame(record.id, index)
            await asyncio.to_thread(findings.add, masks)
        label_map = await asyncio.to_thread(write_labels, findings.labels, frames)
        progress = await self.store.progress(record.id) or Progress()
        summary = findings.summary(
            label_map_bytes=len(label_map), model=self.model, seconds=progress.seconds
        )
        await self.store.put_result(record.id, summary, findings.object_ids, label_map)

    async def _forget_erased(self, record: VolumeRecord) -> None:
        """Erase what was written after the job was erased."""
        try:
            await self.store.record(record.id)
        except VolumeNotFound:
            await self.store.erase(record)


def _next(looking: Iterator[FrameMasks]) -> FrameMasks:
    return next(looking)

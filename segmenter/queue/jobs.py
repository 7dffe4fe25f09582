"""Long work as its callers see it: accepted, queued, looked up and given up.

A job is accepted in one step: its record, a mark that it is under way, what else it needs, and the
queue's own entry. Where records and queue lie on different servers the mark is what brings a job
into the queue again (`Jobs.relay`), should its process die between the two.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from segmenter.contract import Entry, JobEvent, RecordStore
from segmenter.errors import JobFailed, QueueFull, TransportDown
from segmenter.queue.contract import Accept, Producer, cancelled
from segmenter.queue.messages import Answer, Job, failed
from segmenter.queue.records import JobEnd, JobKind, JobRecord, JobStore, Kept

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredThenQueued:
    """`Accept` for records and a queue that share no server."""

    records: RecordStore
    queue: Producer

    async def __call__(self, entries: Sequence[Entry], job: Job, *, timeout_s: float) -> str | None:
        """See `segmenter.queue.contract.Accept`."""
        if await self.records.get(entries[0].key) == entries[0].record:
            # It was accepted before; queued anew it would run twice.
            return None
        taken = await self.records.put_together(entries)
        if taken is not None:
            return taken
        try:
            await self.queue.submit(job, timeout_s=timeout_s, anew=True)
        except QueueFull:
            for entry in entries:
                await self.records.delete(entry.key)
            raise
        except TransportDown:
            # It is kept, and `Jobs.relay` brings it into the queue.
            logger.warning("job queued later", extra={"job_id": job.id})
        return None


@dataclass(frozen=True)
class Jobs:
    """The callers' side of one kind of jobs: what is kept of them, and their queue.

    Attributes:
        timeout_s: a job that has not begun by then, or of which nothing was heard for so long, is
            not begun any more.
    """

    store: JobStore
    queue: Producer
    accepted: Accept
    timeout_s: float

    async def accept(
        self, record: Kept, *, events: Sequence[JobEvent] = (), beside: Sequence[Entry] = ()
    ) -> tuple[Kept, str | None]:
        """Take a job on, in one step.

        Args:
            record: of the job.
            events: its first ones.
            beside: what else is kept in the same step.

        Returns:
            The job that stands, `record` itself or an earlier one of its id; and the key of an
            entry beside it that was taken, so that nothing was kept.

        Raises:
            QueueFull: nothing is kept.
            TransportDown: all is kept, or nothing.
        """
        entries = [*self.store.opening(record, *events), *beside]
        job = Job(id=record.id, kind=record.kind)
        taken = await self.accepted(entries, job, timeout_s=self.timeout_s)
        if taken != entries[0].key:
            return record, taken
        earlier = await self.store.record(record.public_id, type(record))
        if earlier is None:
            # It has expired meanwhile, or another version wrote it; next time its key is free.
            await self.store.forget(record.public_id)
            raise TransportDown("a job was there and is gone")
        return earlier, None

    async def submit(self, record: JobRecord) -> None:
        """Queue a job that was taken on; again changes nothing.

        Raises:
            QueueFull, TransportDown.
        """
        await self.queue.submit(Job(id=record.id, kind=record.kind), timeout_s=self.timeout_s)

    async def relay(self, kind: JobKind, model: type[JobRecord]) -> None:
        """Queue every job again that is under way; the queue knows most of them already.

        Raises:
            QueueFull, TransportDown: some may be queued.
        """
        for job_id in await self.store.all_under_way(kind):
            record = await self.store.record(job_id, model)
            if record is None:
                await self.store.over(job_id)
                continue
            await self.submit(record)
            # Also notes an end that only the queue knows.
            await self.last(record)

    async def last(self, record: JobRecord) -> tuple[int, JobEvent | None]:
        """Return a job's latest event, as `JobStore.last`; an end the queue gave it is noted.

        A job that the queue has lost is queued again, or has failed if its time is over.

        Raises:
            QueueFull, TransportDown.
        """
        number, event = await self.store.last(record.public_id)
        if event is not None and event.is_end:
            return number, event
        answer = await self._answer(record)
        if answer is None:
            return number, event
        await self.store.end(record, _end_of(answer), answer.failure)
        return await self.store.last(record.public_id)

    async def cancel(self, record: JobRecord) -> JobEvent:
        """Give a job up; returns how it ended: one that has ended before stays as it is.

        Raises:
            TransportDown.
        """
        if await self.store.end(record, "cancelled", cancelled().failure):
            await self.queue.cancel(record.id)
        _, event = await self.store.last(record.public_id)
        assert event is not None
        return event

    async def _answer(self, record: JobRecord) -> Answer | None:
        try:
            return await self.queue.look(record.id)
        except JobFailed:
            if (datetime.now(UTC) - record.created_at).total_seconds() > self.timeout_s:
                return failed(JobFailed("the job was lost"))
            await self.submit(record)
            return None


def _end_of(answer: Answer) -> JobEnd:
    if answer.failure is None:
        return "done"
    return "cancelled" if answer.failure.error == "JobCancelled" else "failed"

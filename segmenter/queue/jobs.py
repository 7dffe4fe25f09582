"""Long work, agent runs and volume jobs alike: one record of each job, one log of its events.

Shared: the record store, so that any process sees, follows and ends what another one runs. A log
only grows: an event goes under the next free number (`put_new`), and none comes after the one that
ends the job. So whoever ends a job first has ended it: the process that runs it, a caller that
gives it up, or the queue. The others are told, and a result that comes later is void.

A job is accepted in one step: its record, a mark that it is under way, what else it needs, and the
queue's own entry. Where records and queue lie on different servers the mark is what brings a job
into the queue again (`Jobs.relay`), should its process die between the two.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeVar

from pydantic import ValidationError

from segmenter.contract import Entry, Failure, Frozen, JobEvent, RecordStore
from segmenter.errors import JobFailed, QueueFull, TransportDown
from segmenter.queue.contract import Accept, Producer, cancelled
from segmenter.queue.messages import Answer, Job, JobId, failed

logger = logging.getLogger(__name__)

JobKind = Literal["run", "volume"]
JobEnd = Literal["done", "failed", "cancelled"]
PREFIXES: Mapping[JobKind, str] = {"run": "run_", "volume": "vol_"}
END_NAMES: Mapping[JobEnd, str] = {
    "done": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}
# Before the public id of a job that was accepted and has not ended.
UNDER_WAY = "under-way:"


class JobRecord(Frozen):
    """A job as it was taken on.

    Attributes:
        fingerprint: digest of what is asked, to tell a repeated request from another one; empty
            where no key lets a request be repeated.
    """

    id: JobId
    kind: JobKind
    created_at: datetime
    fingerprint: str

    @property
    def public_id(self) -> str:
        """Name of the job in the HTTP interface: a prefix and its id."""
        return PREFIXES[self.kind] + self.id


Kept = TypeVar("Kept", bound=JobRecord)


class JobStore:
    """Records and events of jobs, by public id.

    Attributes:
        records: where they lie.
    """

    def __init__(self, records: RecordStore, *, ttl_s: float) -> None:
        self.records = records
        self._ttl_s = ttl_s

    def opening(self, record: JobRecord, *events: JobEvent) -> list[Entry]:
        """Return what is kept of a job that is accepted: its record first, its first events."""
        job_id = record.public_id
        return [
            self._entry(_key(job_id), record, new=True),
            self.under_way(job_id),
            *(self._entry(_key(job_id, n), event) for n, event in enumerate(events, start=1)),
        ]

    def under_way(self, job_id: str) -> Entry:
        """Return the mark of a job that somebody has to carry out."""
        return Entry(UNDER_WAY + job_id, b"1", self._ttl_s)

    async def all_under_way(self, kind: JobKind) -> list[str]:
        """Return the public ids of jobs that were accepted and have not ended."""
        keys = await self.records.keys(UNDER_WAY + PREFIXES[kind])
        return [key.removeprefix(UNDER_WAY) for key in keys]

    async def over(self, job_id: str) -> None:
        """Note that nobody has to carry a job out any more."""
        await self.records.delete(UNDER_WAY + job_id)

    async def replace(self, record: JobRecord) -> None:
        """Write a job's record anew."""
        entry = self._entry(_key(record.public_id), record)
        await self.records.put(entry.key, entry.record, ttl_s=entry.ttl_s)

    async def record(self, job_id: str, model: type[Kept]) -> Kept | None:
        """Return a job as it was taken on, None if there is none, or not any more."""
        content = await self.records.get(_key(job_id))
        try:
            return None if content is None else model.model_validate_json(content)
        except ValidationError:
            # Written by another version; the text holds a request and must not travel on.
            return None

    async def events(self, job_id: str, *, after: int = 0) -> list[JobEvent]:
        """Return the events beyond number `after`; they count from 1."""
        found: list[JobEvent] = []
        while (event := await self._event(job_id, after + len(found) + 1)) is not None:
            found.append(event)
        return found

    async def last(self, job_id: str) -> tuple[int, JobEvent | None]:
        """Return the number of the latest event and the event; 0 and None before the first."""
        low, high, latest = 0, 1, None
        while (event := await self._event(job_id, high)) is not None:
            low, high, latest = high, 2 * high, event
        while high - low > 1:
            middle = (low + high) // 2
            event = await self._event(job_id, middle)
            low, high, latest = (low, middle, latest) if event is None else (middle, high, event)
        return low, latest

    async def append(self, job_id: str, event: JobEvent, *, after: int) -> int | None:
        """Keep an event, the next one beyond number `after`.

        Returns:
            Its number; None if the job has ended before.

        Raises:
            TransportDown: it may be kept, or not.
        """
        number = after + 1
        while (there := await self._claim(job_id, number, event)) != event:
            if there.is_end:
                return None
            number += 1
        if event.is_end:
            # If not, whoever finds the mark sees that the job has ended.
            with suppress(TransportDown):
                await self.over(job_id)
        return number

    async def end(self, record: JobRecord, state: JobEnd, failure: Failure | None = None) -> bool:
        """End a job that this process does not run; False if it has ended before."""
        number, last = await self.last(record.public_id)
        if last is not None and last.is_end:
            return False
        counted = 0 if last is None else last.number
        name = f"{record.kind}.{END_NAMES[state]}"
        event = JobEvent(name=name, number=counted, state=state, failure=failure)
        return await self.append(record.public_id, event, after=number) is not None

    async def writer(self, job_id: str) -> "JobWriter":
        """Return what writes the events of a job that this process runs, or goes on with."""
        return JobWriter(self, job_id, await self.events(job_id))

    async def forget(self, job_id: str, *, events: int = 0) -> None:
        """Forget a job; `events`: so many there are at least, also with gaps between them."""
        await self.over(job_id)
        await self.records.delete(_key(job_id))
        number = 1
        while number <= events or await self._event(job_id, number) is not None:
            await self.records.delete(_key(job_id, number))
            number += 1

    def _entry(self, key: str, kept: Frozen, *, new: bool = False) -> Entry:
        return Entry(key, kept.model_dump_json().encode(), self._ttl_s, new)

    async def _event(self, job_id: str, number: int) -> JobEvent | None:
        content = await self.records.get(_key(job_id, number))
        return None if content is None else JobEvent.model_validate_json(content)

    async def _claim(self, job_id: str, number: int, event: JobEvent) -> JobEvent:
        """Return the event that stands under a number, `event` itself if the number was free."""
        key, content = _key(job_id, number), event.model_dump_json().encode()
        for may_fail in (True, False):
            # An answer that was lost tells nothing; a look, which is retried, does.
            with suppress(TransportDown) if may_fail else nullcontext():
                if await self.records.put_new(key, content, ttl_s=self._ttl_s):
                    return event
            if (there := await self._event(job_id, number)) is not None:
                return there
        raise TransportDown("an event was there and is gone")


class JobWriter:
    """Writes one job's events, for the one process that runs it; see `JobStore.writer`.

    Attributes:
        events: those that are known here.
    """

    def __init__(self, store: JobStore, job_id: str, events: Sequence[JobEvent]) -> None:
        self._store = store
        self._job_id = job_id
        self._number = len(events)
        self._is_ending = False
        self.events = list(events)

    async def tell(self, event: JobEvent) -> bool:
        """Keep an event; one that was told before is not new. False if the job had ended."""
        if self.events and self.events[-1].is_end:
            return self.events[-1].name == event.name
        if any((told.name, told.number) == (event.name, event.number) for told in self.events):
            return True
        self._is_ending = event.is_end
        number = await self._store.append(self._job_id, event, after=self._number)
        if number is None:
            return False
        self._number = number
        self.events.append(event)
        return True

    async def is_ended(self) -> bool:
        """Tell whether another process has ended the job."""
        news = await self._store.events(self._job_id, after=self._number)
        return not self._is_ending and any(event.is_end for event in news)


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


def _key(job_id: str, *event: int) -> str:
    return ":".join(("job", job_id, *map(str, event)))

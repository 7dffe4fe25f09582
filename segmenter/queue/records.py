"""Long work, agent runs and volume jobs alike: one record of each job, one log of its events.

Shared: the record store, so that any process sees, follows and ends what another one runs. A log
only grows: an event goes under the next free number (`put_new`), and none comes after the one that
ends the job. So whoever ends a job first has ended it: the process that runs it, a caller that
gives it up, or the queue. The others are told, and a result that comes later is void.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime
from typing import Literal, TypeVar

from pydantic import ValidationError

from segmenter.contract import Entry, Failure, Frozen, JobEvent, RecordStore
from segmenter.errors import TransportDown
from segmenter.queue.messages import JobId

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


def _key(job_id: str, *event: int) -> str:
    return ":".join(("job", job_id, *map(str, event)))

"""The queue on Redis as an API process sees it; see `segmenter.queue.contract.Producer`.

Shared: one `RedisCaller` by all requests of one event loop. It has a reply stream of its own and
one task that reads it; each waiting request owns one future. Guaranteed: a notice names an answer
that is stored already; after an outage every pending answer is looked up, so a lost notice costs
time but no answer. Submitting, cancelling and reading may run twice and are retried. No deadline
depends on cancelling a command: a cancellation can get lost on the way through redis-py (seen with
Python 3.11.7 and redis-py 8.1.0 on a reader that had just been started).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast
from uuid import uuid4

from redis.asyncio import Redis
from redis.exceptions import RedisError

from segmenter.contract import Entry
from segmenter.errors import DeadlineExceeded, JobFailed, SegmenterError
from segmenter.queue.contract import cancelled, queue_full, refusal
from segmenter.queue.messages import Answer, Job, MalformedMessage, WorkerInfo, failed, read_answer
from segmenter.queue.redis.entries import read_entries
from segmenter.queue.redis.scripts import (
    FINISH,
    LOOK,
    MAX_NOTICES,
    SUBMIT,
    WORKERS,
    Keys,
)
from segmenter.redis_connection import Backoff, open_client, retried
from segmenter.settings import QueueSettings
from segmenter.storage.redis import RedisStore

logger = logging.getLogger(__name__)

# A job may have hours, but somebody waits until it is queued.
SUBMIT_TIMEOUT_S = 120.0
# Whoever waits for "accepted" can ask again.
ACCEPT_TIMEOUT_S = 10.0
# Cancelling after the deadline is a courtesy to the workers; the caller waits no longer for it.
CANCEL_TIMEOUT_S = 1.0
# Whoever asks how a job is doing can ask again.
LOOK_TIMEOUT_S = 5.0
# The answer of a job that another process queued is noticed there.
LOOK_AGAIN_S = 5.0
# What a probe writes is of no use a moment later.
PROBE_TTL_MS = 60_000
# Notices read at once; bounds one answer of Redis, nothing else.
NOTICES_A_READ = 256


@asynccontextmanager
async def open_caller(url: str, settings: QueueSettings) -> AsyncIterator["RedisCaller"]:
    """Open the caller's side; closes its reader and connections on leaving."""
    commands = open_client(url)
    reading = open_client(url, blocking_s=settings.poll_s)
    caller = RedisCaller(commands, reading, settings)
    stop = asyncio.Event()
    reader = asyncio.create_task(caller.read_replies(stop))
    try:
        yield caller
    finally:
        stop.set()
        reader.cancel()
        await asyncio.wait({reader})
        await reading.aclose()
        await commands.aclose()


class RedisCaller:
    """Caller's side over Redis Streams; made by `open_caller`."""

    def __init__(self, commands: Redis, reading: Redis, settings: QueueSettings) -> None:
        self._commands = commands
        self._reading = reading
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._id = uuid4().hex
        self._pending: dict[str, asyncio.Future[Answer]] = {}
        self._submit = commands.register_script(SUBMIT)
        self._look = commands.register_script(LOOK)
        self._finish = commands.register_script(FINISH)
        self._workers = commands.register_script(WORKERS)

    async def submit(self, job: Job, *, timeout_s: float, anew: bool = False) -> None:
        """See `segmenter.queue.contract.Producer`."""
        await self._submit_with([], [], job, timeout_s, anew=anew)

    async def accept(
        self, store: RedisStore, entries: Sequence[Entry], job: Job, *, timeout_s: float
    ) -> str | None:
        """See `segmenter.queue.contract.Accept`: one step, of a store on the same server."""
        keys, arguments = store.arguments(entries)
        taken = await self._submit_with(keys, arguments, job, timeout_s, anew=True)
        return entries[taken - 1].key if taken > 0 else None

    async def _submit_with(
        self,
        records: list[str],
        contents: list[bytes | int],
        job: Job,
        timeout_s: float,
        *,
        anew: bool,
    ) -> int:
        """Queue a job together with records; returns which one's key is taken, 0 if none is."""
        limit = self._settings.max_depth
        keys = [*self._keys.of_job(job.id), self._keys.heartbeats, *records]
        timeout_ms = round(timeout_s * 1000)
        ttl_ms = max(round(self._settings.job_ttl_s * 1000), timeout_ms)
        arguments: list[str | bytes | int] = [job.id, job.model_dump_json(), self._id]
        arguments += [timeout_ms, limit, ttl_ms, self._alive_ms, int(anew), *contents]
        stored, depth, workers = cast(
            "list[int]",
            await retried(
                lambda: self._submit(keys=keys, args=arguments),
                timeout_s=min(timeout_s, ACCEPT_TIMEOUT_S if records else SUBMIT_TIMEOUT_S),
            ),
        )
        if stored < 0:
            raise queue_full(depth, limit, workers)
        return max(stored - 1, 0)

    async def wait(self, job_id: str, *, timeout_s: float) -> Answer:
        """See `segmenter.queue.contract.Producer`."""
        assert job_id not in self._pending
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        # Before the look-up: an answer between the two would go unnoticed the other way round.
        self._pending[job_id] = future
        look_up = asyncio.create_task(self._look_up(job_id, timeout_s))
        try:
            await asyncio.wait({future}, timeout=timeout_s)
        finally:
            del self._pending[job_id]
            look_up.cancel()
        if future.done():
            return future.result()
        # Raises TransportDown when it was Redis that kept the answer back.
        await self.cancel(job_id)
        raise DeadlineExceeded(f"no answer within {timeout_s:.1f} s")

    async def look(self, job_id: str) -> Answer | None:
        """See `segmenter.queue.contract.Producer`."""
        _, *keys = self._keys.of_job(job_id)
        text, state = cast(
            "tuple[bytes | None, int]",
            await retried(
                lambda: self._look(keys=[*keys, self._keys.heartbeats], args=[self._alive_ms]),
                timeout_s=LOOK_TIMEOUT_S,
            ),
        )
        if text is not None:
            return _read(text)
        if state == 0:
            raise JobFailed(f"there is no job {job_id!r}")
        if state == 1:
            return None
        late = refusal("late", max_attempts=self._settings.max_attempts)
        await self._end(job_id, late)
        return late

    async def cancel(self, job_id: str) -> None:
        """See `segmenter.queue.contract.Producer`."""
        await self._end(job_id, cancelled())

    async def _end(self, job_id: str, answer: Answer) -> None:
        keys = [*self._keys.of_job(job_id), self._keys.replies(self._id)]
        content, ttl_ms = answer.model_dump_json(), round(self._settings.job_ttl_s * 1000)
        arguments: list[str | int] = ["", "", content, job_id, ttl_ms, MAX_NOTICES]
        await retried(lambda: self._finish(keys=keys, args=arguments), timeout_s=CANCEL_TIMEOUT_S)

    async def workers(self, *, timeout_s: float) -> tuple[WorkerInfo, ...]:
        """See `segmenter.queue.contract.Producer`."""
        keys = [self._keys.heartbeats, self._keys.presences]
        rows = cast(
            "list[bytes | None]",
            await retried(
                lambda: self._workers(keys=keys, args=[self._alive_ms]), timeout_s=timeout_s
            ),
        )
        return tuple(WorkerInfo.model_validate_json(row) for row in rows if row is not None)

    async def probe(self, *, timeout_s: float) -> None:
        """See `segmenter.queue.contract.Producer`."""
        await retried(
            lambda: self._commands.set(self._keys.probe, b"", px=PROBE_TTL_MS), timeout_s=timeout_s
        )

    async def read_replies(self, stop: asyncio.Event) -> None:
        """Hand answers to their waiters until stopped; an outage is waited out."""
        last_id, backoff, interrupted = "0-0", Backoff(), False
        while not stop.is_set():
            try:
                if interrupted:
                    await self._collect(list(self._pending))
                    interrupted = False
                last_id, noticed = await self._read_notices(last_id)
                await self._collect(noticed)
                # Not before: a server that closes every connection accepts them too.
                backoff = Backoff()
            except RedisError as error:
                logger.warning("replies interrupted", extra={"error": type(error).__name__})
                interrupted = True
                await asyncio.sleep(backoff.next_s())

    @property
    def _alive_ms(self) -> int:
        return round(self._settings.lease_s * 1000)

    async def _look_up(self, job_id: str, timeout_s: float) -> None:
        key = self._keys.job(job_id)
        try:
            if not await retried(lambda: self._commands.exists(key), timeout_s=timeout_s):
                raise JobFailed(f"there is no job {job_id!r}")
            while True:
                await retried(lambda: self._collect([job_id]), timeout_s=timeout_s)
                await asyncio.sleep(LOOK_AGAIN_S)
        except SegmenterError as error:
            future = self._pending.get(job_id)
            if future is not None and not future.done():
                future.set_exception(error)

    async def _read_notices(self, last_id: str) -> tuple[str, list[str]]:
        reply = await self._reading.xread(
            {self._keys.replies(self._id): last_id},
            count=NOTICES_A_READ,
            block=round(self._settings.poll_s * 1000),
        )
        entries = read_entries(reply)
        if not entries:
            return last_id, []
        return entries[-1][0], [fields["id"].decode() for _, fields in entries if "id" in fields]

    async def _collect(self, job_ids: list[str]) -> None:
        waited_for = [job_id for job_id in job_ids if job_id in self._pending]
        if not waited_for:
            return
        texts = await self._commands.mget([self._keys.answer(job_id) for job_id in waited_for])
        for job_id, text in zip(waited_for, cast("list[bytes | None]", texts), strict=True):
            future = self._pending.get(job_id)
            if text is not None and future is not None and not future.done():
                future.set_result(_read(text))


def _read(text: bytes) -> Answer:
    try:
        return read_answer(text)
    except MalformedMessage as error:
        return failed(JobFailed(str(error)))

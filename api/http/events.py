"""The events of a job as server-sent events, from any process, with resume.

FastAPI writes the stream, and a comment while nothing happens.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import Header
from fastapi.sse import ServerSentEvent

from api.problem_kinds import kind_named
from segmenter.contract import Failure, JobEvent
from segmenter.errors import TEMPORARY
from segmenter.queue.jobs import Jobs
from segmenter.queue.records import JobRecord

POLL_S = 0.2
# How late a watcher learns that the queue gave a job up.
LOOK_S = 5.0

LastEventId = Annotated[int, Header(ge=0, le=10**6)]


async def follow(jobs: Jobs, job: JobRecord, *, after: int) -> AsyncIterator[ServerSentEvent]:
    """Yield events beyond number `after` as they come, until the terminal one.

    A job that nobody works on any more fails in its time, here and wherever else it is looked at.
    An outage ends the stream; the client comes again with the last id it saw.
    """
    with suppress(*TEMPORARY):
        number, last = await jobs.last(job)
        if last is None or not last.is_end or after < number:
            async for event in _events(jobs, job, min(after, number)):
                yield event


async def _events(jobs: Jobs, job: JobRecord, number: int) -> AsyncIterator[ServerSentEvent]:
    looked = time.monotonic()
    while True:
        for event in await jobs.store.events(job.public_id, after=number):
            number, looked = number + 1, time.monotonic()
            yield to_event(job, number, event)
            if event.is_end:
                return
        if time.monotonic() - looked > LOOK_S:
            looked = time.monotonic()
            # Ends it, if the queue has given it up.
            await jobs.last(job)
        await asyncio.sleep(POLL_S)


def to_event(job: JobRecord, number: int, event: JobEvent) -> ServerSentEvent:
    """Write one event: its number as id, its name, its facts; the last one says how it ended."""
    names = ("run_id", "round") if job.kind == "run" else ("volume_id", "frames_done")
    found: dict[str, str | int | float] = {names[0]: job.public_id, names[1]: event.number}
    if event.is_end:
        found |= {"status": event.state, "message": ""}
    if event.failure is not None:
        found |= {"error": event.failure.error, "message": _message(event.failure)}
    return ServerSentEvent(id=str(number), event=event.name, data=found | event.facts)


def _message(failure: Failure) -> str:
    """Say why there is no result: not in the error's own words where these may hold internals."""
    kind = kind_named(failure.error)
    return failure.message if kind is None or kind.detail is None else kind.title

"""Idempotency-Key: the same request sent twice is one job, also across processes.

The id of a job is made from its caller and key, so the job's own record says whether the key came
before. A run whose request was answered with an error frees its key: the next one makes another id.

Source: IETF draft-ietf-httpapi-idempotency-key-header.
"""

import hashlib
from contextlib import suppress
from itertools import count
from typing import Annotated

from pydantic import Field

from agent.queued import Accepted, QueuedAgent
from agent.runs.events import RunJob
from agent.schemas.runs import AgentRequest
from api.errors import KeyReused
from segmenter.errors import TransportDown
from segmenter.queue.records import JobKind

IdempotencyKey = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
REUSED = "this key came with another payload before; use a new one"


def job_id_of(kind: JobKind, caller: str, key: str, attempt: int = 0) -> str:
    """Name a caller's job by its key; what a client sent never becomes a part of it."""
    text = f"{kind}\n{caller}\n{key}\n{attempt}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def fingerprint_of(request: AgentRequest) -> str:
    """Return what a request has in common with its repetition: the image counts by its content."""
    text = request.model_dump_json(exclude={"image": {"upload"}})
    return hashlib.sha256(text.encode()).hexdigest()


async def take_on(
    agent: QueuedAgent, request: AgentRequest, caller: str, key: str | None, *, now: bool
) -> Accepted:
    """Take a run on, or find the one that was taken on under its key; see `QueuedAgent.accept`.

    Raises:
        KeyReused: the key came with another payload before.
        AgentError, SegmenterError: see `QueuedAgent.accept`; the key stays free.
    """
    if key is None:
        return await agent.accept(request, now=now)
    fingerprint = fingerprint_of(request)
    for attempt in count():
        job_id = job_id_of("run", caller, key, attempt)
        accepted = await agent.accept(request, job_id=job_id, fingerprint=fingerprint, now=now)
        if accepted.is_new or not await _is_void(agent, accepted.job):
            break
    if accepted.job.fingerprint != fingerprint:
        raise KeyReused(REUSED)
    return accepted


async def _is_void(agent: QueuedAgent, job: RunJob) -> bool:
    """Tell whether a key's run came to nothing, so that its request may be made again.

    One that the queue has lost is queued again by the look.
    """
    if job.gone is not None:
        return job.gone == "failed"
    _, event = await agent.jobs.last(job)
    # Whoever carries a run out keeps a record and no failure beside it.
    return event is not None and event.state == "failed" and event.failure is not None


async def free_key(agent: QueuedAgent, job: RunJob) -> None:
    """Let a run's key make another run; if the store is out too, the key stays taken."""
    if job.fingerprint:
        with suppress(TransportDown):
            await agent.jobs.store.replace(job.model_copy(update={"gone": "failed"}))

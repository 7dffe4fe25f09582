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

from agent.queued import QueuedAgent
from agent.runs.events import RunJob
from agent.schemas.runs import AgentRequest
from api.errors import KeyReused
from segmenter.errors import TransportDown
from segmenter.queue.jobs import JobKind

IdempotencyKey = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
REUSED = "this key came with another payload before; use a new one"


def job_id_of(kind: JobKind, caller: str, key: str, attempt: int = 0) -> str:
    """Name a caller's job by its key; what a client sent never becomes a part of it."""
    text = f"{kind}\n{caller}\n{key}\n{attempt}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


async def take_on(
    agent: QueuedAgent, request: AgentRequest, caller: str, key: str | None
) -> tuple[RunJob, bool]:
    """Take a run on, or find the one that was taken on under its key; then the bool is true.

    Raises:
        KeyReused: the key came with another payload before.
    """
    store = agent.jobs.store
    if key is None:
        return await store.begin(agent.new_job(request)), False
    # The image counts by its content.
    fingerprint = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
    for attempt in count():
        job_id = job_id_of("run", caller, key, attempt)
        job = agent.new_job(request, job_id=job_id, fingerprint=fingerprint)
        kept = await store.begin(job)
        if kept is job:
            return job, False
        if kept.gone != "failed" and not await agent.is_lost(kept):
            break
    if kept.fingerprint != fingerprint:
        raise KeyReused(REUSED)
    return kept, True


async def free_key(agent: QueuedAgent, job: RunJob) -> None:
    """Let a run's key make another run; if the store is out too, the key stays taken."""
    if job.fingerprint:
        with suppress(TransportDown):
            await agent.jobs.store.replace(job.model_copy(update={"gone": "failed"}))

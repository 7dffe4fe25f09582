"""Idempotency-Key: the same request sent twice runs once, also across processes.

Shared: one record per caller and key. `put_new` decides which of two simultaneous requests runs;
the other one gets the same run, 409 while it runs, or 422 for another payload. The claim names its
run before that starts: a run that was recorded is found, even if its process died right after.
A process that dies earlier leaves a claim behind, which outlives the run's deadline only shortly.

Source: IETF draft-ietf-httpapi-idempotency-key-header.
"""

import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from agent.errors import RunNotFound
from agent.runs.threads import new_run_id
from agent.schemas.runs import AgentRequest, RunRecord
from api.errors import KeyInUse, KeyReused
from segmenter.contract import Frozen, RecordStore
from segmenter.errors import SegmenterError, TransportDown

# Between a run's deadline and the release of a key whose process died.
GRACE_S = 30.0
IdempotencyKey = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]


class KeyRecord(Frozen):
    """What is kept under a key; `done` tells a run that was erased from one that still runs."""

    fingerprint: str
    run_id: str
    done: bool = False


@dataclass(frozen=True)
class IdempotencyStore:
    """Runs a request once per key.

    Attributes:
        running_ttl_s: how long a key stays taken if its process dies.
        done_ttl_s: how long the answer is remembered; as long as the run itself.
    """

    records: RecordStore
    running_ttl_s: float
    done_ttl_s: float

    async def run(
        self,
        key: str,
        fingerprint: str,
        *,
        start: Callable[[str], Awaitable[RunRecord]],
        recall: Callable[[str], Awaitable[RunRecord]],
    ) -> tuple[RunRecord, bool]:
        """Return the run of this key, and whether it is a replay.

        `key` is from `record_key`, `fingerprint` of the payload from `fingerprint_of`. `start`
        makes the run with the id it is given; if it raises, the key is free again. `recall` reads
        a run that was made before.

        Raises:
            KeyInUse: the first request still runs.
            KeyReused: the key came with another payload before.
            RunNotFound: the run was erased.
        """
        record = KeyRecord(fingerprint=fingerprint, run_id=new_run_id())
        if not await self._claim(key, record):
            known = await self._known(key, fingerprint)
            return await self._replay(key, known, recall), True
        try:
            run = await start(record.run_id)
        except BaseException:
            await self.release(key)
            raise
        await self._note_done(key, record)
        return run, False

    async def begin(self, key: str, fingerprint: str) -> tuple[str, bool]:
        """Return the id of the one run of this key, for a caller that does not wait for it.

        The second value says whether it was begun before.

        Raises:
            KeyInUse, KeyReused.
        """
        record = KeyRecord(fingerprint=fingerprint, run_id=new_run_id())
        content = record.model_dump_json().encode()
        if await self.records.put_new(key, content, ttl_s=self.done_ttl_s):
            return record.run_id, False
        return (await self._known(key, fingerprint)).run_id, True

    async def release(self, key: str) -> None:
        """Free a key whose run was not begun; if the store is out too, it lapses by itself."""
        with contextlib.suppress(SegmenterError):
            await self.records.delete(key)

    async def _claim(self, key: str, record: KeyRecord) -> bool:
        return await self.records.put_new(
            key, record.model_dump_json().encode(), ttl_s=self.running_ttl_s
        )

    async def _note_done(self, key: str, record: KeyRecord) -> None:
        done = record.model_copy(update={"done": True}).model_dump_json().encode()
        # The run is there and its claim names it: an outage must not turn it into an error.
        with contextlib.suppress(TransportDown):
            await self.records.put(key, done, ttl_s=self.done_ttl_s)

    async def _replay(
        self, key: str, known: KeyRecord, recall: Callable[[str], Awaitable[RunRecord]]
    ) -> RunRecord:
        if known.done:
            return await recall(known.run_id)
        try:
            run = await recall(known.run_id)
        except RunNotFound:
            raise KeyInUse("the first request with this key still runs") from None
        await self._note_done(key, known)
        return run

    async def _known(self, key: str, fingerprint: str) -> KeyRecord:
        known = await self.records.get(key)
        if known is None:
            # It ended in an error or expired between our two looks.
            raise KeyInUse("the first request with this key has just ended; send it again")
        record = KeyRecord.model_validate_json(known)
        if record.fingerprint != fingerprint:
            raise KeyReused("this key came with another payload before; use a new one")
        return record


def record_key(caller: str, key: str) -> str:
    """Name the record of a caller's key; what a client sent never becomes a part of it."""
    return "idempotency:" + hashlib.sha256(f"{caller}\n{key}".encode()).hexdigest()


def fingerprint_of(request: AgentRequest) -> str:
    """Digest a payload; the image counts by its content."""
    return hashlib.sha256(request.model_dump_json().encode()).hexdigest()

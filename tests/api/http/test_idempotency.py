"""One key, one run: whatever the store and the process do in between."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from agent.errors import RunNotFound
from agent.schemas.runs import RunRecord
from api.errors import KeyInUse
from api.http.idempotency import IdempotencyStore
from segmenter.errors import TransportDown
from segmenter.storage.memory import MemoryStore

KEY = "idempotency:0"


@dataclass
class Runs:
    """Runs that were made; `broken` is raised by the next one after it was recorded."""

    made: dict[str, RunRecord] = field(default_factory=dict)
    broken: BaseException | None = None

    async def start(self, run_id: str) -> RunRecord:
        self.made[run_id] = RunRecord.model_construct(id=run_id)
        if self.broken is not None:
            raise self.broken
        return self.made[run_id]

    async def recall(self, run_id: str) -> RunRecord:
        if run_id not in self.made:
            raise RunNotFound(f"no run {run_id!r}")
        return self.made[run_id]


class FailingStore(MemoryStore):
    """Cannot be written to or deleted from any more once a key is claimed."""

    async def put(self, key: str, record: bytes, *, ttl_s: float) -> None:
        raise TransportDown("out")

    async def put_new(self, key: str, record: bytes, *, ttl_s: float) -> bool:
        if key in self._items:
            return False
        await super().put(key, record, ttl_s=ttl_s)
        return True

    async def delete(self, key: str) -> None:
        raise TransportDown("out")


def once(store: Callable[..., MemoryStore] = MemoryStore) -> IdempotencyStore:
    records = store(max_bytes=100_000, max_item_bytes=10_000)
    return IdempotencyStore(records, running_ttl_s=60.0, done_ttl_s=600.0)


async def ask(keys: IdempotencyStore, runs: Runs) -> tuple[RunRecord, bool]:
    return await keys.run(KEY, "payload", start=runs.start, recall=runs.recall)


def test_a_run_is_answered_and_replayed_although_its_end_could_not_be_noted() -> None:
    keys, runs = once(FailingStore), Runs()

    async def twice() -> list[tuple[RunRecord, bool]]:
        return [await ask(keys, runs), await ask(keys, runs)]

    [(first, replayed), (second, replayed_again)] = asyncio.run(twice())
    assert (first.id, replayed) == (second.id, False)
    assert replayed_again
    assert len(runs.made) == 1


def test_a_run_that_was_recorded_before_its_process_died_is_replayed() -> None:
    keys, runs = once(FailingStore), Runs(broken=KeyboardInterrupt())

    async def scenario() -> tuple[RunRecord, bool]:
        with pytest.raises(KeyboardInterrupt):
            await ask(keys, runs)
        return await ask(keys, runs)

    run, replayed = asyncio.run(scenario())
    assert replayed
    assert list(runs.made) == [run.id]


def test_a_key_is_taken_while_its_run_is_not_recorded_yet() -> None:
    keys, runs = once(), Runs()

    async def nested(run_id: str) -> RunRecord:
        with pytest.raises(KeyInUse, match="still runs"):
            await ask(keys, runs)
        return await runs.start(run_id)

    asyncio.run(keys.run(KEY, "payload", start=nested, recall=runs.recall))
    assert len(runs.made) == 1


def test_an_erased_run_is_not_made_again() -> None:
    keys, runs = once(), Runs()

    async def scenario() -> None:
        await ask(keys, runs)
        runs.made.clear()
        with pytest.raises(RunNotFound):
            await ask(keys, runs)

    asyncio.run(scenario())
    assert runs.made == {}

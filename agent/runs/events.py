"""The steps of runs as they happen, and the wish to stop one: small expiring records.

Shared: the record store, so that any process may read what another one runs, and stop it. A run's
events are written by the one process that runs it, in their order. An outage of the store loses
events, never a run.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from pydantic import TypeAdapter

from agent.errors import RunCancelled, RunNotFound
from agent.schemas.runs import RunEvent, Watch
from segmenter.contract import RecordStore
from segmenter.errors import TransportDown

logger = logging.getLogger(__name__)

# How late a wish to stop is seen.
POLL_S = 0.25
TERMINAL = frozenset({"run.completed", "run.failed", "run.cancelled"})
_EVENTS = TypeAdapter(tuple[RunEvent, ...])


class EventLog:
    """Keeps the events of runs for as long as their records."""

    def __init__(self, records: RecordStore, *, ttl_s: float) -> None:
        self._records = records
        self._ttl_s = ttl_s

    async def open(self, run_id: str) -> None:
        """Make a run known that has not begun yet."""
        await self._records.put(_events_key(run_id), b"[]", ttl_s=self._ttl_s)

    async def read(self, run_id: str) -> tuple[RunEvent, ...]:
        """Return what a run has done so far.

        Raises:
            RunNotFound: never there, or expired.
        """
        record = await self._records.get(_events_key(run_id))
        if record is None:
            raise RunNotFound(f"run {run_id[:40]!r} is not here, or not any more")
        return _EVENTS.validate_json(record)

    async def end(self, event: RunEvent) -> None:
        """Note how a run ended that never began."""
        await (await self.resume(event.run_id))(event)

    async def resume(self, run_id: str) -> Watch:
        """Return a watch that goes on after the events there are; a step told again is not new."""
        try:
            return self.watcher(await self.read(run_id))
        except RunNotFound:
            return self.watcher()

    def watcher(self, before: tuple[RunEvent, ...] = ()) -> Watch:
        """Return a watch that writes one run's events."""
        events = list(before)

        async def watch(event: RunEvent) -> None:
            if any((one.name, one.number) == (event.name, event.number) for one in events):
                return
            events.append(event)
            content = _EVENTS.dump_json(tuple(events))
            try:
                await self._records.put(_events_key(event.run_id), content, ttl_s=self._ttl_s)
            except TransportDown:
                logger.warning("event not kept", extra={"run": event.run_id, "event": event.name})

        return watch

    async def ask_to_stop(self, run_id: str) -> None:
        """Stop a run at its next breath, wherever it runs; one that has ended stays as it is.

        Raises:
            RunNotFound: never there, or expired.
        """
        await self.read(run_id)
        await self._records.put(_stop_key(run_id), b"1", ttl_s=self._ttl_s)

    async def forget(self, run_id: str) -> None:
        """Forget a run's events."""
        await self._records.delete(_events_key(run_id))
        await self._records.delete(_stop_key(run_id))

    @asynccontextmanager
    async def stoppable(self, run_id: str) -> AsyncIterator[asyncio.Event]:
        """Cancel what runs inside when somebody asks to stop the run; the event says so.

        Raises:
            RunCancelled: somebody did.
        """
        task = asyncio.current_task()
        assert task is not None
        asked = asyncio.Event()

        async def poll() -> None:
            # The wish comes from any process, by way of the store: there is no event to wait for.
            while not await self._is_stopped(run_id):  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
            asked.set()
            task.cancel()

        poller = asyncio.create_task(poll())
        try:
            yield asked
        except asyncio.CancelledError:
            if not asked.is_set():
                raise
            task.uncancel()
            raise RunCancelled("the run was cancelled") from None
        finally:
            poller.cancel()
            with suppress(asyncio.CancelledError):
                await poller

    async def _is_stopped(self, run_id: str) -> bool:
        try:
            return await self._records.get(_stop_key(run_id)) is not None
        except TransportDown:
            return False


def _events_key(run_id: str) -> str:
    return f"events:{run_id}"


def _stop_key(run_id: str) -> str:
    return f"stop:{run_id}"

"""Agent runs as jobs on the same transport as segmentation, in a queue of their own.

Shared: nothing; one `RunWorker` belongs to one event loop. What a run is stands under its id in the
stores of whoever carries it out, so a job is an id and nothing else. A worker that dies loses no
run: its leases lapse and others go on with what it had begun. One that stops hands its runs back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

from agent.runs.events import GotOn
from segmenter.errors import TransportDown
from segmenter.queue.contract import Consumer, Lease
from segmenter.queue.messages import Answer, WorkerInfo
from segmenter.queue.settle import settle

# Carries the run of a job out; is given whom to tell that it has come further.
CarryOut: TypeAlias = Callable[[Lease, GotOn], Awaitable[Answer]]


class RunWorker:
    """Carries runs out, several at once, until told to stop.

    Args:
        carry_out: a run of the queue.
        slots: runs at once.
        poll_s: longest wait for a job, so also how late a stop is seen.
    """

    def __init__(
        self,
        queue: Consumer,
        carry_out: CarryOut,
        *,
        worker_id: str,
        slots: int,
        poll_s: float,
    ) -> None:
        self._queue = queue
        self._carry_out = carry_out
        self._info = WorkerInfo(worker_id=worker_id)
        self._slots = slots
        self._poll_s = poll_s
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Carry runs out until `stop` is set; then hand back what is still going on."""
        async with self._queue.alive(self._info):
            try:
                while not stop.is_set():
                    await self._take()
            finally:
                for task in self._running:
                    task.cancel()
                await asyncio.gather(*self._running, return_exceptions=True)

    async def _take(self) -> None:
        free = self._slots - len(self._running)
        if free == 0:
            await asyncio.wait(
                self._running, timeout=self._poll_s, return_when=asyncio.FIRST_COMPLETED
            )
            return
        for lease in await self._queue.lease(limit=free, wait_s=self._poll_s):
            task = asyncio.create_task(settle(self._queue, lease, self._perform))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _perform(self, lease: Lease) -> Answer:
        async def got_on() -> None:
            # If the queue is out, the lease is renewed when it is back.
            with suppress(TransportDown):
                await self._queue.progressed(lease)

        return await self._carry_out(lease, got_on)

"""Agent runs as jobs on the same transport as segmentation, in a queue of their own.

Shared: nothing; one `RunWorker` belongs to one event loop. What a run is stands under its id in the
stores of whoever carries it out, so a job is an id and nothing else. A worker that dies loses no
run: its leases lapse and others go on with what it had begun. One that stops hands its runs back.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from segmenter.contract import ModelInfo
from segmenter.errors import JobFailed, TransportDown
from segmenter.queue.contract import Consumer, Lease, Requeue
from segmenter.queue.messages import Answer, Failure, WorkerInfo, failed

logger = logging.getLogger(__name__)

# Carries a job's run out; returns why it failed, None if it ended by itself.
CarryOut = Callable[[str], Awaitable[Failure | None]]
# What a worker of runs shows of itself: it holds no weights.
NO_MODEL = ModelInfo(kind="agent", weights_id="none", weights_sha256="0" * 64)


class RunWorker:
    """Carries runs out, several at once, until told to stop.

    Args:
        carry_out: may raise `Requeue`: another worker, or this one later, goes on with the run.
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
        self._presence = WorkerInfo(worker_id=worker_id, model=NO_MODEL)
        self._slots = slots
        self._poll_s = poll_s
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Carry runs out until `stop` is set; then hand back what is still going on."""
        async with self._queue.alive(self._presence):
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
            task = asyncio.create_task(self._settle(lease))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _settle(self, lease: Lease) -> None:
        try:
            if await self._queue.wanted(lease):
                answer = await self._answer(lease)
            else:
                answer = failed(JobFailed("the job was answered before"))
            await self._queue.answer(lease, answer)
        except (Requeue, asyncio.CancelledError):
            await asyncio.shield(self._queue.release(lease))
        except TransportDown as error:
            # Nobody can be told; the lease lapses and the run goes to whoever is there then.
            logger.warning("run not settled", extra={"job_id": lease.job.id, "error": str(error)})

    async def _answer(self, lease: Lease) -> Answer:
        if lease.job.kind != "run":
            return failed(JobFailed("this queue is for runs"))
        logger.info("run taken", extra={"job_id": lease.job.id, "attempt": lease.attempt})
        try:
            failure = await self._carry_out(lease.job.id)
        except (Requeue, TransportDown):
            raise
        except Exception as error:  # noqa: BLE001 - a bad run is answered; the worker lives on
            # The message may hold a patient's data, the class does not.
            logger.error("run broke off", extra={"error": type(error).__name__})
            return failed(JobFailed(f"the run broke off with {type(error).__name__}"))
        return Answer(run=lease.job.id) if failure is None else Answer(failure=failure)

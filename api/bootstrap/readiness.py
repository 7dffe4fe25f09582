"""Who is there to do the work, looked up for whoever asks: readiness, doctor, the start."""

import asyncio
import time
from dataclasses import dataclass
from typing import NamedTuple

from segmenter.client import QueuedSegmenter
from segmenter.errors import TransportDown
from segmenter.queue.contract import Producer
from segmenter.queue.messages import WorkerInfo

# Whoever asks whether the service is ready wants to know soon.
QUEUE_TIMEOUT_S = 3.0
# Readiness needs no key: however often it is asked for, the queue is asked and written to so often.
FRESH_S = 1.0


class Alive(NamedTuple):
    """Who lives.

    Attributes:
        workers: hold a model.
        agent_workers: processes that carry agent runs out.
    """

    workers: tuple[WorkerInfo, ...]
    agent_workers: int


async def look_alive(segmenter: QueuedSegmenter, runs: Producer) -> Alive:
    """Look who lives, and whether the queue takes jobs.

    Raises:
        TransportDown: it does not; says why.
    """
    # First: a queue that takes no writes shows no heartbeats either.
    await segmenter.probe(timeout_s=QUEUE_TIMEOUT_S)
    workers = await segmenter.workers(timeout_s=QUEUE_TIMEOUT_S)
    return Alive(workers, len(await runs.workers(timeout_s=QUEUE_TIMEOUT_S)))


@dataclass
class Lookout:
    """Looks at most once in `FRESH_S`, one look at a time; failures are remembered too."""

    segmenter: QueuedSegmenter
    runs: Producer

    def __post_init__(self) -> None:
        """Start without a look."""
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._found: Alive | TransportDown = Alive((), 0)

    async def look(self) -> Alive:
        """Return who lives; raises TransportDown."""
        async with self._looking:
            if time.monotonic() - self._looked_at >= FRESH_S:
                try:
                    self._found = await look_alive(self.segmenter, self.runs)
                except TransportDown as error:
                    self._found = error
                self._looked_at = time.monotonic()
        if isinstance(self._found, TransportDown):
            raise type(self._found)(str(self._found))
        return self._found

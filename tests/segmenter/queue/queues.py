"""Runs a scenario over one of the two queues, behind the protocols both implement."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from segmenter.contract import Capabilities, ModelInfo
from segmenter.queue.contract import Consumer, Producer
from segmenter.queue.memory import MemoryTransport
from segmenter.queue.messages import Answer, Job, WorkerInfo
from segmenter.queue.redis.consumer import open_worker
from segmenter.queue.redis.producer import open_caller
from segmenter.queue.redis.scripts import Keys
from segmenter.redis_connection import open_client
from segmenter.settings import QueueSettings

MODEL = ModelInfo(kind="double", weights_id="w", weights_sha256="0" * 64)
# Long enough for a busy machine, short enough to fail within a test's patience.
PATIENCE_S = 10.0


@dataclass
class Queue:
    """One queue: its caller's side, as many workers as asked for, and a look at the dead."""

    caller: Producer
    worker: Callable[[str], Awaitable[Consumer]]
    dead_letters: Callable[[], Awaitable[int]]


Scenario = Callable[[Queue], Awaitable[None]]


@asynccontextmanager
async def memory_queue(settings: QueueSettings) -> AsyncIterator[Queue]:
    transport = MemoryTransport(settings)

    async def worker(worker_id: str) -> Consumer:
        return transport.worker(worker_id)

    async def dead_letters() -> int:
        return len(transport.dead_letters)

    yield Queue(transport, worker, dead_letters)


@asynccontextmanager
async def redis_queue(url: str, settings: QueueSettings) -> AsyncIterator[Queue]:
    async with AsyncExitStack() as stack:
        caller = await stack.enter_async_context(open_caller(url, settings))

        async def worker(worker_id: str) -> Consumer:
            return await stack.enter_async_context(open_worker(url, settings, worker_id))

        async def dead_letters() -> int:
            async with open_client(url) as client:
                return int(await client.xlen(Keys(settings.prefix).dead_letters))

        yield Queue(caller, worker, dead_letters)


def run(scenario: Scenario, queue: Callable[[], AbstractAsyncContextManager[Queue]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(3 * PATIENCE_S), queue() as opened:
            await scenario(opened)

    asyncio.run(within())


def new_job() -> Job:
    return Job(id=uuid4().hex, kind="capabilities")


def some_answer(concept: str = "liver") -> Answer:
    return Answer(
        capabilities=Capabilities(
            model=MODEL,
            concepts=(concept,),
            prompts=("text",),
            negative_boxes=False,
            threshold=0.5,
        )
    )


def presence(worker_id: str) -> WorkerInfo:
    return WorkerInfo(worker_id=worker_id, model=MODEL)


async def lease_one(worker: Consumer, *, wait_s: float = PATIENCE_S):
    """Lease one job, asking again until `wait_s` is over; None if none came."""
    deadline = asyncio.get_running_loop().time() + wait_s
    while asyncio.get_running_loop().time() < deadline:
        leases = await worker.lease(limit=1, wait_s=0.05)
        if leases:
            return leases[0]
    return None

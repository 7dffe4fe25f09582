"""Puts the parts together for entry points: everything in one process, or around one Redis.

Pictures, records and volume jobs lie in one place: in the PostgreSQL that the state URL names; else
in Redis, if that carries the queue; else in the SQLite file that the state URL names; else in
memory. A file is one process's alone, so beside Redis it stays unused.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import NamedTuple
from uuid import uuid4

from segmenter.backends.contract import Backend, Embedding
from segmenter.backends.sequence import sequence_backend
from segmenter.client import QueuedSegmenter
from segmenter.contract import ImageRef, ImageStore, RecordStore, RgbImage
from segmenter.formats.decode import describe, read_header
from segmenter.formats.frames import SequenceReader
from segmenter.formats.limits import Limits
from segmenter.formats.sequences import open_frames, working_bytes
from segmenter.memory_budget import WorkingMemory
from segmenter.queue.contract import Accept, Consumer, Producer, RunQueue
from segmenter.queue.jobs import StoredThenQueued
from segmenter.queue.memory import MemoryTransport
from segmenter.queue.redis.consumer import open_worker
from segmenter.queue.redis.producer import RedisCaller, open_caller
from segmenter.settings import QueueSettings, SegmenterSettings, VolumeSettings
from segmenter.storage.contract import BlobStore, Bounds, Room, Store
from segmenter.storage.database import is_file, open_database
from segmenter.storage.images import MAX_HOLDERS_BYTES, ReadHeader, StoredImages, Undecoded
from segmenter.storage.memory import MemoryStore
from segmenter.storage.redis import RedisStore, open_store_client
from segmenter.storage.sql import SqlStore
from segmenter.volumes.jobs import Volumes
from segmenter.volumes.runner import VolumeRunner
from segmenter.volumes.store import PIECE_BYTES, VolumeStore
from segmenter.worker import Worker

logger = logging.getLogger(__name__)

# `EX_SOFTWARE` of sysexits.h; any end but 0 makes the supervisor start the worker again.
HANG_EXIT_STATUS = 70
OpenRoom = Callable[[Room, Bounds], Store]


class SegmenterServices(NamedTuple):
    """What an API process works with."""

    segmenter: QueuedSegmenter
    images: ImageStore
    records: RecordStore
    volumes: Volumes
    memory: WorkingMemory


class _Stores(NamedTuple):
    images: StoredImages
    records: RecordStore
    volumes: VolumeStore
    memory: WorkingMemory


def decoder(limits: Limits) -> ReadHeader:
    """Return the reader of all formats under these limits."""

    def read(content: bytes) -> Undecoded:
        upload = read_header(content, limits)

        def decode() -> tuple[ImageRef, RgbImage]:
            decoded = upload.decode()
            return describe(content, decoded), decoded.pixels

        return Undecoded(upload.working_bytes, decode, upload.values)

    return read


def frames_opener(settings: VolumeSettings) -> SequenceReader:
    """Return the reader of all sequence formats under the bounds of volume jobs."""
    limits = Limits(max_bytes=settings.max_bytes)
    return SequenceReader(
        lambda files, options: working_bytes(files, limits, options),
        lambda files, options: open_frames(files, limits, options),
    )


@asynccontextmanager
async def open_embedded(
    backend: Backend[Embedding],
    read: ReadHeader,
    settings: SegmenterSettings,
    *,
    opener: SequenceReader | None = None,
    state_url: str | None = None,
) -> AsyncIterator[SegmenterServices]:
    """Run the worker in this process; without a `state_url` nothing outlives the context.

    Raises:
        OSError: the database cannot be opened, or another process has it.
    """
    opener = opener or frames_opener(settings.volume)
    transport, stop = MemoryTransport(settings.queue), asyncio.Event()
    async with _open_stores(read, settings, None, state_url) as stores:
        worker_id = new_worker_id()
        queue = transport.worker(worker_id)
        worker = _make_worker(queue, backend, stores, settings, opener, worker_id)
        running = asyncio.create_task(worker.run(stop))
        running.add_done_callback(_report)
        try:
            yield _services(transport, stores, settings, opener)
        finally:
            stop.set()
            await running


@asynccontextmanager
async def open_redis(
    url: str,
    read: ReadHeader,
    settings: SegmenterSettings,
    *,
    opener: SequenceReader | None = None,
    state_url: str | None = None,
) -> AsyncIterator[SegmenterServices]:
    """Connect an API process; workers run elsewhere. Does not wait for Redis to be there.

    Raises:
        OSError: the database cannot be opened.
    """
    async with (
        open_caller(url, settings.queue) as caller,
        _open_stores(read, settings, url, state_url) as stores,
    ):
        yield _services(caller, stores, settings, opener or frames_opener(settings.volume))


async def run_worker(
    url: str,
    backend: Backend[Embedding],
    read: ReadHeader,
    settings: SegmenterSettings,
    *,
    stop: asyncio.Event,
    worker_id: str | None = None,
    opener: SequenceReader | None = None,
    state_url: str | None = None,
) -> None:
    """Answer jobs from Redis until `stop` is set; the caller sets it on SIGTERM.

    Ends the process at once when the model hangs (`QueueSettings.max_hold_s`).

    Raises:
        OSError: the database cannot be opened.
    """
    worker_id = worker_id or new_worker_id()
    opener = opener or frames_opener(settings.volume)
    async with (
        open_worker(url, settings.queue, worker_id, on_hang=_end_process) as queue,
        _open_stores(read, settings, url, state_url) as stores,
    ):
        worker = _make_worker(queue, backend, stores, settings, opener, worker_id)
        await worker.run(stop)


@asynccontextmanager
async def open_runs(
    url: str | None, settings: QueueSettings, worker_id: str
) -> AsyncIterator[RunQueue]:
    """Open both ends of the queue of runs: on Redis, or inside this process without a URL."""
    if url is None:
        transport = MemoryTransport(settings)
        yield RunQueue(transport, transport.worker(worker_id))
        return
    async with (
        open_caller(url, settings) as caller,
        open_worker(url, settings, worker_id, on_hang=_end_process) as worker,
    ):
        yield RunQueue(caller, worker)


def new_worker_id() -> str:
    """Return an id no other worker has."""
    return f"worker-{uuid4().hex[:12]}"


def _end_process() -> None:
    # A thread inside the model cannot be stopped. Its leases lapse like those of any crash.
    logger.critical("worker process ends", extra={"exit_status": HANG_EXIT_STATUS})
    os._exit(HANG_EXIT_STATUS)


def _report(running: asyncio.Task[None]) -> None:
    # The process goes on without a worker, and readiness says so; the error itself is raised when
    # the context is left.
    if not running.cancelled() and (error := running.exception()) is not None:
        logger.error("worker ended", extra={"error": type(error).__name__})


@asynccontextmanager
async def _open_stores(
    read: ReadHeader, settings: SegmenterSettings, redis_url: str | None, state_url: str | None
) -> AsyncIterator[_Stores]:
    async with AsyncExitStack() as stack:
        if state_url is not None and not (redis_url and is_file(state_url)):
            opened = open_database(state_url, alone=redis_url is None)
            open_room: OpenRoom = partial(SqlStore, await stack.enter_async_context(opened))
        elif redis_url is not None:
            client = await stack.enter_async_context(open_store_client(redis_url))
            open_room = partial(RedisStore, client, settings.queue.prefix)
        else:
            open_room = _in_memory
        yield _stores(open_room, read, settings)


def _in_memory(room: Room, bounds: Bounds) -> Store:
    return MemoryStore(max_bytes=bounds.max_bytes, max_item_bytes=bounds.max_item_bytes)


def _stores(open_room: OpenRoom, read: ReadHeader, settings: SegmenterSettings) -> _Stores:
    store, volume = settings.store, settings.volume
    memory = WorkingMemory(settings.working_bytes)
    item_bytes = max(store.max_image_bytes, MAX_HOLDERS_BYTES)
    blobs = open_room("blobs", Bounds(store.max_images_bytes, item_bytes))
    pieces = open_room("volume_blobs", Bounds(volume.max_volumes_bytes, PIECE_BYTES))
    records = Bounds(store.max_records_bytes, store.max_record_bytes)
    return _Stores(
        images=StoredImages(
            BlobStore(blobs, ttl_s=store.image_ttl_s),
            read,
            max_pixels_bytes=store.max_pixels_bytes,
            memory=memory,
        ),
        records=open_room("records", records),
        volumes=VolumeStore(
            open_room("volume_records", records),
            BlobStore(pieces, ttl_s=volume.ttl_s),
            max_bytes=volume.max_bytes,
            ttl_s=volume.ttl_s,
        ),
        memory=memory,
    )


def accept_in(queue: Producer, store: RecordStore) -> Accept:
    """Return what takes jobs on, in one step where their records and the queue are on one server.

    Both must have been opened with the same address of Redis, if they are on it.
    """
    if isinstance(queue, RedisCaller) and isinstance(store, RedisStore):
        return partial(queue.accept, store)
    return StoredThenQueued(store, queue)


def _services(
    queue: Producer, stores: _Stores, settings: SegmenterSettings, opener: SequenceReader
) -> SegmenterServices:
    accepted = accept_in(queue, stores.volumes.jobs.records)
    timeout_s, memory = settings.volume.timeout_s, stores.memory
    jobs = Volumes(queue, accepted, stores.volumes, opener, timeout_s=timeout_s, memory=memory)
    return SegmenterServices(QueuedSegmenter(queue), stores.images, stores.records, jobs, memory)


def _make_worker(
    queue: Consumer,
    backend: Backend[Embedding],
    stores: _Stores,
    settings: SegmenterSettings,
    opener: SequenceReader,
    worker_id: str,
) -> Worker[Embedding]:
    model = backend.capabilities.model
    return Worker(
        queue,
        backend,
        stores.images,
        settings.worker,
        volumes=VolumeRunner(
            stores.volumes, sequence_backend(backend), opener, model, stores.memory
        ),
        memory=stores.memory,
        worker_id=worker_id,
        poll_s=settings.queue.poll_s,
    )

"""Puts the parts together for entry points: everything in one process, or around one Redis."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from segmenter.backends.contract import Backend, Embedding
from segmenter.backends.sequence import sequence_backend
from segmenter.client import QueuedSegmenter
from segmenter.contract import ImageRef, ImageStore, RecordStore, RgbImage
from segmenter.formats.decode import decode, describe
from segmenter.formats.frames import SequenceFormats
from segmenter.formats.limits import Limits
from segmenter.formats.volume_files import all_formats
from segmenter.queue.contract import Consumer, Producer, RunQueue
from segmenter.queue.memory import MemoryTransport
from segmenter.queue.redis.consumer import open_worker
from segmenter.queue.redis.producer import open_caller
from segmenter.settings import QueueSettings, SegmenterSettings
from segmenter.storage.images import BlobStore, Decode, StoredImages
from segmenter.storage.memory import MemoryBlobStore, MemoryRecordStore
from segmenter.storage.redis import (
    RedisBlobStore,
    RedisClient,
    RedisRecordStore,
    open_store_client,
)
from segmenter.storage.sql import SqliteBlobStore, SqliteFile, SqliteRecordStore, open_file
from segmenter.volumes.jobs import Volumes
from segmenter.volumes.runner import VolumeRunner
from segmenter.volumes.store import PIECE_BYTES, VolumeStore
from segmenter.worker import Worker

logger = logging.getLogger(__name__)

# `EX_SOFTWARE` of sysexits.h; any end but 0 makes the supervisor start the worker again.
HANG_EXIT_STATUS = 70


class SegmenterServices(NamedTuple):
    """What an API process works with."""

    segmenter: QueuedSegmenter
    images: ImageStore
    records: RecordStore
    volumes: Volumes


def decoder(limits: Limits) -> Decode:
    """Return the decoder of all formats under these limits."""

    def read(content: bytes) -> tuple[ImageRef, RgbImage]:
        decoded = decode(content, limits)
        return describe(content, decoded), decoded.pixels

    return read


@asynccontextmanager
async def open_embedded(
    backend: Backend[Embedding],
    read: Decode,
    settings: SegmenterSettings,
    *,
    formats: SequenceFormats | None = None,
    file: Path | None = None,
) -> AsyncIterator[SegmenterServices]:
    """Run the worker in this process; without a `file` nothing outlives the context.

    In it images and records are kept; volume jobs live in memory. `formats` are by default all
    formats under the bounds of `settings`.

    Raises:
        OSError: the file cannot be opened, or another process has it.
    """
    formats = formats or all_formats(settings.volume)
    async with AsyncExitStack() as stack:
        images, volumes = _memory_stores(read, settings)
        records: RecordStore = volumes.records
        if file is not None:
            images, records = _file_stores(
                await stack.enter_async_context(open_file(file)), read, settings
            )
        async with _embedded(backend, images, records, volumes, settings, formats) as services:
            yield services


@asynccontextmanager
async def _embedded(
    backend: Backend[Embedding],
    images: StoredImages,
    records: RecordStore,
    volumes: "_Volumes",
    settings: SegmenterSettings,
    formats: SequenceFormats,
) -> AsyncIterator[SegmenterServices]:
    transport, worker_id = MemoryTransport(settings.queue), new_worker_id()
    queue = transport.worker(worker_id)
    runner = _runner(backend, volumes.store, formats)
    worker = _make_worker(queue, backend, images, settings, volumes=runner, worker_id=worker_id)
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    running.add_done_callback(_report)
    try:
        client = _volumes(transport, volumes.store, settings, formats)
        yield SegmenterServices(QueuedSegmenter(transport), images, records, client)
    finally:
        stop.set()
        await running


@asynccontextmanager
async def open_redis(
    url: str,
    read: Decode,
    settings: SegmenterSettings,
    *,
    formats: SequenceFormats | None = None,
) -> AsyncIterator[SegmenterServices]:
    """Connect an API process; workers run elsewhere. Does not wait for Redis to be there."""
    formats = formats or all_formats(settings.volume)
    async with open_caller(url, settings.queue) as caller, open_store_client(url) as client:
        images, volumes = _redis_images(client, read, settings), _redis_volumes(client, settings)
        jobs = _volumes(caller, volumes.store, settings, formats)
        yield SegmenterServices(QueuedSegmenter(caller), images, volumes.records, jobs)


async def run_worker(
    url: str,
    backend: Backend[Embedding],
    read: Decode,
    settings: SegmenterSettings,
    *,
    stop: asyncio.Event,
    worker_id: str | None = None,
    formats: SequenceFormats | None = None,
) -> None:
    """Answer jobs from Redis until `stop` is set; the caller sets it on SIGTERM.

    Ends the process at once when the model hangs (`QueueSettings.max_hold_s`).
    """
    worker_id = worker_id or new_worker_id()
    async with (
        open_worker(url, settings.queue, worker_id, on_hang=_end_process) as queue,
        open_store_client(url) as client,
    ):
        images, volumes = _redis_images(client, read, settings), _redis_volumes(client, settings)
        runner = _runner(backend, volumes.store, formats or all_formats(settings.volume))
        worker = _make_worker(queue, backend, images, settings, volumes=runner, worker_id=worker_id)
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


class _Volumes(NamedTuple):
    records: RecordStore
    store: VolumeStore


def _memory_stores(read: Decode, settings: SegmenterSettings) -> tuple[StoredImages, _Volumes]:
    store, volume = settings.store, settings.volume
    blobs = MemoryBlobStore(
        max_bytes=store.max_images_bytes,
        max_item_bytes=store.max_image_bytes,
        ttl_s=store.image_ttl_s,
    )
    pieces = MemoryBlobStore(
        max_bytes=volume.max_volumes_bytes, max_item_bytes=PIECE_BYTES, ttl_s=volume.ttl_s
    )
    records = MemoryRecordStore(
        max_bytes=store.max_records_bytes, max_item_bytes=store.max_record_bytes
    )
    images = StoredImages(blobs, read, max_pixels_bytes=store.max_pixels_bytes)
    return images, _Volumes(records, _volume_store(records, pieces, settings))


def _file_stores(
    file: SqliteFile, read: Decode, settings: SegmenterSettings
) -> tuple[StoredImages, SqliteRecordStore]:
    store = settings.store
    blobs = SqliteBlobStore(
        file,
        max_bytes=store.max_images_bytes,
        max_item_bytes=store.max_image_bytes,
        ttl_s=store.image_ttl_s,
    )
    records = SqliteRecordStore(
        file, max_bytes=store.max_records_bytes, max_item_bytes=store.max_record_bytes
    )
    return StoredImages(blobs, read, max_pixels_bytes=store.max_pixels_bytes), records


def _redis_images(client: RedisClient, read: Decode, settings: SegmenterSettings) -> StoredImages:
    store = settings.store
    blobs = RedisBlobStore(
        client,
        prefix=settings.queue.prefix,
        max_item_bytes=store.max_image_bytes,
        ttl_s=store.image_ttl_s,
    )
    return StoredImages(blobs, read, max_pixels_bytes=store.max_pixels_bytes)


def _redis_volumes(client: RedisClient, settings: SegmenterSettings) -> _Volumes:
    prefix = settings.queue.prefix
    pieces = RedisBlobStore(
        client, prefix=prefix, max_item_bytes=PIECE_BYTES, ttl_s=settings.volume.ttl_s
    )
    limit = settings.store.max_record_bytes
    records = RedisRecordStore(client, prefix=prefix, max_item_bytes=limit)
    return _Volumes(records, _volume_store(records, pieces, settings))


def _volume_store(
    records: RecordStore, pieces: BlobStore, settings: SegmenterSettings
) -> VolumeStore:
    volume = settings.volume
    return VolumeStore(records, pieces, max_bytes=volume.max_bytes, ttl_s=volume.ttl_s)


def _volumes(
    queue: Producer, store: VolumeStore, settings: SegmenterSettings, formats: SequenceFormats
) -> Volumes:
    return Volumes(queue, store, formats, timeout_s=settings.volume.timeout_s)


def _runner(
    backend: Backend[Embedding], store: VolumeStore, formats: SequenceFormats
) -> VolumeRunner:
    return VolumeRunner(store, sequence_backend(backend), formats, backend.capabilities.model)


def _make_worker(
    queue: Consumer,
    backend: Backend[Embedding],
    images: ImageStore,
    settings: SegmenterSettings,
    *,
    volumes: VolumeRunner,
    worker_id: str,
) -> Worker[Embedding]:
    return Worker(
        queue,
        backend,
        images,
        settings.worker,
        volumes=volumes,
        worker_id=worker_id,
        poll_s=settings.queue.poll_s,
    )

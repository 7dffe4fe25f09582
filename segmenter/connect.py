"""Puts the parts together for entry points: everything in one process, or around one Redis."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import uuid4

from segmenter.backends.contract import Backend, Embedding
from segmenter.client import QueuedSegmenter
from segmenter.contract import ImageRef, ImageStore, RecordStore, RgbImage
from segmenter.formats.decode import decode, describe
from segmenter.formats.limits import Limits
from segmenter.images import Decode, StoredImages
from segmenter.memory_transport import MemoryTransport
from segmenter.redis_caller import open_caller
from segmenter.redis_stores import (
    RedisBlobStore,
    RedisClient,
    RedisRecordStore,
    open_store_client,
)
from segmenter.redis_worker import open_worker
from segmenter.settings import SegmenterSettings
from segmenter.stores import MemoryBlobStore, MemoryRecordStore
from segmenter.transport import WorkerSide
from segmenter.worker import Worker

logger = logging.getLogger(__name__)

# `EX_SOFTWARE` of sysexits.h; any end but 0 makes the supervisor start the worker again.
HANG_EXIT_STATUS = 70


class Services(NamedTuple):
    """What an API process works with."""

    segmenter: QueuedSegmenter
    images: ImageStore
    records: RecordStore


def decoder(limits: Limits) -> Decode:
    """Return the decoder of all formats under these limits."""

    def read(content: bytes) -> tuple[ImageRef, RgbImage]:
        decoded = decode(content, limits)
        return describe(content, decoded), decoded.pixels

    return read


@asynccontextmanager
async def open_embedded(
    backend: Backend[Embedding], read: Decode, settings: SegmenterSettings
) -> AsyncIterator[Services]:
    """Run the worker in this process; nothing outlives the context."""
    store = settings.store
    blobs = MemoryBlobStore(
        max_bytes=store.max_images_bytes,
        max_item_bytes=store.max_image_bytes,
        ttl_s=store.image_ttl_s,
    )
    records = MemoryRecordStore(
        max_bytes=store.max_records_bytes, max_item_bytes=store.max_record_bytes
    )
    images = StoredImages(blobs, read, max_pixels_bytes=store.max_pixels_bytes)
    transport, worker_id = MemoryTransport(settings.queue), new_worker_id()
    queue = transport.worker(worker_id)
    worker = _make_worker(queue, backend, images, settings, worker_id=worker_id)
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    running.add_done_callback(_report)
    try:
        yield Services(QueuedSegmenter(transport), images, records)
    finally:
        stop.set()
        await running


@asynccontextmanager
async def open_redis(
    url: str, read: Decode, settings: SegmenterSettings
) -> AsyncIterator[Services]:
    """Connect an API process; workers run elsewhere. Does not wait for Redis to be there."""
    async with open_caller(url, settings.queue) as caller, open_store_client(url) as client:
        limit = settings.store.max_record_bytes
        records = RedisRecordStore(client, prefix=settings.queue.prefix, max_item_bytes=limit)
        yield Services(QueuedSegmenter(caller), _redis_images(client, read, settings), records)


async def run_worker(
    url: str,
    backend: Backend[Embedding],
    read: Decode,
    settings: SegmenterSettings,
    *,
    stop: asyncio.Event,
    worker_id: str | None = None,
) -> None:
    """Answer jobs from Redis until `stop` is set; the caller sets it on SIGTERM.

    Ends the process at once when the model hangs (`QueueSettings.max_hold_s`).
    """
    worker_id = worker_id or new_worker_id()
    async with (
        open_worker(url, settings.queue, worker_id, on_hang=_end_process) as queue,
        open_store_client(url) as client,
    ):
        images = _redis_images(client, read, settings)
        await _make_worker(queue, backend, images, settings, worker_id=worker_id).run(stop)


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


def _redis_images(client: RedisClient, read: Decode, settings: SegmenterSettings) -> StoredImages:
    store = settings.store
    blobs = RedisBlobStore(
        client,
        prefix=settings.queue.prefix,
        max_item_bytes=store.max_image_bytes,
        ttl_s=store.image_ttl_s,
    )
    return StoredImages(blobs, read, max_pixels_bytes=store.max_pixels_bytes)


def _make_worker(
    queue: WorkerSide,
    backend: Backend[Embedding],
    images: ImageStore,
    settings: SegmenterSettings,
    *,
    worker_id: str,
) -> Worker[Embedding]:
    return Worker(
        queue,
        backend,
        images,
        settings.worker,
        worker_id=worker_id,
        poll_s=settings.queue.poll_s,
    )

"""The thread that keeps a worker alive in Redis: heartbeats, and renewal of what it holds.

A thread with a client of its own, because a model that holds the event loop's thread or the
interpreter for long would starve a task, and its jobs would be given to others while they run.

Shared: the table of held entries, under a lock, between this thread and the event loop. Guaranteed:
when nothing was taken or let go for `max_step_s`, callers see no worker, but it keeps its jobs;
for `max_hold_s` (a hanging model), `on_hang` is called; if it returns, nothing is renewed and the
heartbeat stops, so that the jobs go to others.
"""

import logging
import threading
import time
from collections.abc import Callable

import redis
from redis.exceptions import RedisError

from segmenter.queue.messages import WorkerInfo
from segmenter.queue.redis.scripts import BEAT, GROUP, Keys
from segmenter.redis_connection import open_sync_client
from segmenter.settings import QueueSettings

logger = logging.getLogger(__name__)

# Two beats may fail before the lease is lost.
BEATS_A_LEASE = 3
# After an outage leases should be renewed before others claim them.
RETRY_S = 0.5
# Tests have leases of a fraction of a second; no server answers always as fast as that.
MIN_TIMEOUT_S = 1.0
# Workers silent for so many leases are removed from the tables.
FORGET_LEASES = 20


class Heartbeat:
    """Keeps one worker's heartbeat and leases; `start`, `hold` and `drop`, `stop`.

    Args:
        on_hang: called in the thread when a job hangs; may end the process.
    """

    def __init__(
        self,
        url: str,
        presence: WorkerInfo,
        settings: QueueSettings,
        *,
        on_hang: Callable[[], None] | None = None,
    ) -> None:
        # A beat that hangs fails in time for the next one.
        interval_s = settings.lease_s / BEATS_A_LEASE
        self._client: redis.Redis = open_sync_client(url, timeout_s=max(interval_s, MIN_TIMEOUT_S))
        self._beat_script = self._client.register_script(BEAT)
        self._presence = presence
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._on_hang = on_hang
        self._held: set[str] = set()
        # One job runs at a time: the whole batch is as old as its last sign of progress.
        self._moved_at = time.monotonic()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)

    def start(self) -> None:
        """Beat once, so that callers see the worker at once, then go on in the thread."""
        self._beat()
        self._thread.start()

    def stop(self) -> None:
        """End the thread and sign the worker off; blocks for at most one command."""
        self._stopping.set()
        self._thread.join()
        worker_id = self._presence.worker_id
        try:
            self._client.zrem(self._keys.heartbeats, worker_id)
            self._client.hdel(self._keys.presences, worker_id)
        except RedisError as error:
            # The heartbeat lapses by itself.
            logger.warning("sign-off failed", extra={"error": type(error).__name__})
        self._client.close()

    def hold(self, entry_id: str) -> None:
        """Renew this entry from now on."""
        with self._lock:
            self._held.add(entry_id)
            self._moved_at = time.monotonic()

    def drop(self, entry_id: str) -> None:
        """Renew this entry no more, if it was held."""
        with self._lock:
            self._held.discard(entry_id)
            self._moved_at = time.monotonic()

    def renews(self, entry_id: str) -> bool:
        """Tell whether this entry is held, and has not hung."""
        with self._lock:
            still_s = time.monotonic() - self._moved_at
            return entry_id in self._held and still_s <= self._settings.max_hold_s

    def _run(self) -> None:
        interval_s = self._settings.lease_s / BEATS_A_LEASE
        pause_s = interval_s
        while not self._stopping.wait(pause_s):
            pause_s = interval_s if self._beat() else min(RETRY_S, interval_s)

    def _beat(self) -> bool:
        with self._lock:
            held, still_s = list(self._held), time.monotonic() - self._moved_at
        if held and still_s > self._settings.max_hold_s:
            logger.error("a job hangs", extra={"held": len(held), "seconds": round(still_s)})
            if self._on_hang is not None:
                self._on_hang()
            return True
        try:
            self._send(held, counts=not held or still_s <= self._settings.max_step_s)
        except RedisError as error:
            logger.warning("heartbeat failed", extra={"error": type(error).__name__})
            return False
        return True

    def _send(self, held: list[str], *, counts: bool) -> None:
        forget_ms = round(self._settings.lease_s * 1000) * FORGET_LEASES
        worker_id = self._presence.worker_id
        presence = self._presence.model_dump_json() if counts else ""
        self._beat_script(
            keys=[self._keys.queue, self._keys.heartbeats, self._keys.presences],
            args=[GROUP, worker_id, presence, forget_ms, *held],
        )

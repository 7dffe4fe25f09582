"""The thread that keeps a worker alive in Redis: heartbeats, and renewal of what it holds.

A thread with a client of its own, because a model that holds the event loop's thread or the
interpreter for long would starve a task, and its jobs would be given to others while they run.

Shared: the table of held entries, under a lock, between this thread and the event loop. Guaranteed:
an entry held longer than `max_hold_s` (a hanging model) is renewed no more, and the heartbeat stops
with it; callers then see no worker and the job goes to another one.
"""

import logging
import threading
import time

import redis
from redis.exceptions import RedisError

from segmenter.messages import Presence
from segmenter.redis_link import open_sync_client
from segmenter.redis_scripts import BEAT, GROUP, Keys
from segmenter.settings import QueueSettings

logger = logging.getLogger(__name__)

# Two beats may fail before the lease is lost.
BEATS_A_LEASE = 3
# After an outage callers should see the worker again before they turn requests away.
RETRY_S = 1.0
# Workers silent for so many leases are removed from the tables.
FORGET_LEASES = 20


class LeaseKeeper:
    """Keeps one worker's heartbeat and leases; `start`, `hold` and `drop`, `stop`."""

    def __init__(self, url: str, presence: Presence, settings: QueueSettings) -> None:
        self._client: redis.Redis = open_sync_client(url)
        self._beat_script = self._client.register_script(BEAT)
        self._presence = presence
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._held: dict[str, float] = {}
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
            self._held[entry_id] = time.monotonic()

    def drop(self, entry_id: str) -> None:
        """Renew this entry no more."""
        with self._lock:
            self._held.pop(entry_id, None)

    def _run(self) -> None:
        interval_s = self._settings.lease_s / BEATS_A_LEASE
        pause_s = interval_s
        while not self._stopping.wait(pause_s):
            pause_s = interval_s if self._beat() else min(RETRY_S, interval_s)

    def _beat(self) -> bool:
        with self._lock:
            held = list(self._held)
            oldest = min(self._held.values(), default=time.monotonic())
        if time.monotonic() - oldest > self._settings.max_hold_s:
            logger.error("a job hangs", extra={"held": len(held)})
            return True
        try:
            self._send(held)
        except RedisError as error:
            logger.warning("heartbeat failed", extra={"error": type(error).__name__})
            return False
        return True

    def _send(self, held: list[str]) -> None:
        forget_ms = round(self._settings.lease_s * 1000) * FORGET_LEASES
        worker_id, presence = self._presence.worker_id, self._presence.model_dump_json()
        self._beat_script(
            keys=[self._keys.queue, self._keys.heartbeats, self._keys.presences],
            args=[GROUP, worker_id, presence, forget_ms, *held],
        )

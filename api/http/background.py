"""Work that outlives its request, in this process: bounded, and ended with the app."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from api.errors import TooManyRequests


class Background:
    """Tasks of one app."""

    def __init__(self, limit: int) -> None:
        """Allow so many at once."""
        self._limit = limit
        self._tasks: set[asyncio.Task[Any]] = set()

    def check_room(self) -> None:
        """Refuse more than is allowed; raises TooManyRequests."""
        if len(self._tasks) >= self._limit:
            raise TooManyRequests(f"{self._limit} runs are under way, the most at once")

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin; the work answers for its own errors."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""Takes bodies in: how many, how large and how slow they may be, of all clients and of each.

Shared: one `Intake` by all requests of one app, on its event loop; the threads that parse bodies.
Guaranteed: what a request took is given back when it ends; a body lies in memory up to
`MEMORY_BYTES` and in a file beyond; a place among the requests that are worked on is taken once the
body has arrived; nothing whose time grows with a body runs on the loop.
"""

import asyncio
import math
import mmap
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, TypeVar

from starlette.requests import Request
from starlette.types import Receive

from api.errors import BodyTooSlow, ClientLeft, TooManyRequests

# Some pictures of an ordinary camera's size fit; a file is written and read at memory's speed.
MEMORY_BYTES = 1024 * 1024
# Each may hold a body, its text and its content at once, three times the largest image.
PARSERS = 2
# Uploads wait for the network, not for the processor.
UPLOADS_PER_REQUEST = 4

Value = TypeVar("Value")
Buffer = bytes | mmap.mmap


@dataclass
class Shares:
    """Units of something that all clients share, and of which one client may have a part.

    Attributes:
        name: what the units are, for the error.
        total: of all clients together.
        each: of one client.
    """

    name: str
    total: int
    each: int
    taken: int = 0
    by_client: Counter[str] = field(default_factory=Counter)

    def check(self, client: str, units: int) -> None:
        """Refuse more than there are; raises TooManyRequests."""
        if self.taken + units > self.total:
            raise TooManyRequests(f"all clients together may have {self.total} {self.name}")
        if self.by_client[client] + units > self.each:
            raise TooManyRequests(f"one client may have {self.each} {self.name}")


@dataclass
class Part:
    """What one request took of the shares; given back on leaving."""

    shares: Shares
    client: str
    units: int = 0

    def take(self, units: int) -> None:
        """Take more; raises TooManyRequests."""
        self.shares.check(self.client, units)
        self.shares.taken += units
        self.shares.by_client[self.client] += units
        self.units += units

    def __enter__(self) -> "Part":
        return self

    def __exit__(self, *_: object) -> None:
        self.shares.taken -= self.units
        self.shares.by_client[self.client] -= self.units
        if not self.shares.by_client[self.client]:
            del self.shares.by_client[self.client]


@dataclass(frozen=True)
class Pace:
    """How slow a body may come.

    Attributes:
        grace_s: the first seconds, in which nothing need come.
        bytes_per_s: on average after them.
    """

    grace_s: float
    bytes_per_s: int


class Intake:
    """What bodies of all requests take.

    Args:
        max_requests: worked on at once.
        largest: bytes of the largest body; all together may have twice as many.
        client_share: of everything, what one client may have.
    """

    def __init__(self, *, max_requests: int, largest: int, client_share: float, pace: Pace) -> None:
        def shares(name: str, total: int, least: int = 1) -> Shares:
            return Shares(name, total, max(least, math.ceil(total * client_share)))

        self.requests = shares("requests worked on at once", max_requests)
        self.uploads = shares("uploads at once", UPLOADS_PER_REQUEST * max_requests)
        self.bytes = shares("bytes of uploads at once", 2 * largest, largest)
        self.pace = pace
        self._parsers = ThreadPoolExecutor(PARSERS, thread_name_prefix="bodies")

    async def read(self, request: Request, held: ExitStack, *, timeout_s: float) -> "Body":
        """Receive a body, then take a place among the requests that are worked on.

        Args:
            request: of a client that was let in.
            held: gives all back when the request ends.
            timeout_s: for the whole body, whatever its pace.

        Raises:
            TooManyRequests, BodyTooLarge, BodyTooSlow, ClientLeft: see `api.errors`.
        """
        client: str = request.state.client
        self.bytes.check(client, _declared_bytes(request))
        body, room = held.enter_context(Body()), held.enter_context(Part(self.bytes, client))
        with Part(self.uploads, client) as coming:
            coming.take(1)
            async for piece in _pieces(request.receive, self.pace, timeout_s):
                room.take(len(piece))
                await body.add(piece)
        held.enter_context(Part(self.requests, client)).take(1)
        return body

    async def parse(self, request: Request, work: Callable[[], Value]) -> Value:
        """Run what looks at a body in a thread; not at all if the client left before its turn.

        Raises:
            ClientLeft, and what `work` raises.
        """
        loop = asyncio.get_running_loop()
        return await unless_gone(request, loop.run_in_executor(self._parsers, work))

    def close(self) -> None:
        """Drop what waits for a thread."""
        self._parsers.shutdown(wait=False, cancel_futures=True)


class Body:
    """The bytes of a body as they came, in a file if they are many."""

    def __init__(self) -> None:
        self._last = bytearray()
        self._file: IO[bytes] | None = None
        self._map: mmap.mmap | None = None

    def __enter__(self) -> "Body":
        return self

    def __exit__(self, *_: object) -> None:
        if self._map is not None:
            self._map.close()
        if self._file is not None:
            self._file.close()

    async def add(self, piece: bytes) -> None:
        """Append what came."""
        self._last += piece
        if len(self._last) > MEMORY_BYTES:
            await asyncio.to_thread(self._write)

    def buffer(self) -> Buffer:
        """Return all of it; not for the event loop, and valid until the request ends."""
        if self._file is None:
            return bytes(self._last)
        self._write()
        if self._map is None:
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map

    def _write(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the body
        self._file.write(self._last)
        self._file.flush()
        self._last = bytearray()


async def unless_gone(request: Request, work: Awaitable[Value]) -> Value:
    """Wait for work on a request whose body has arrived; cancel it when the client leaves.

    Raises:
        ClientLeft, and what the work raises.
    """
    task = asyncio.ensure_future(work)
    left = asyncio.create_task(_until_gone(request.receive))
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientLeft("the client left before the answer")
        return task.result()
    finally:
        for each in (task, left):
            each.cancel()
        await asyncio.wait({task, left})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _pieces(receive: Receive, pace: Pace, timeout_s: float) -> AsyncIterator[bytes]:
    """Yield a body's bytes as they come, none later than its pace and its whole time allow."""
    started, count, more = time.monotonic(), 0, True
    while more:
        late_s = min(pace.grace_s + count / pace.bytes_per_s, timeout_s)
        try:
            async with asyncio.timeout(started + late_s - time.monotonic()):
                message = await receive()
        except TimeoutError as error:
            raise _too_slow(pace, timeout_s, late_s) from error
        if message["type"] == "http.disconnect":
            # Nobody reads the answer; without it the log would tell of a failure of ours.
            raise ClientLeft("the body ended early")
        piece: bytes = message.get("body", b"")
        count, more = count + len(piece), message.get("more_body", False)
        yield piece


def _too_slow(pace: Pace, timeout_s: float, late_s: float) -> BodyTooSlow:
    if late_s >= timeout_s:
        return BodyTooSlow(f"the body did not arrive within {timeout_s:g} s, the limit")
    return BodyTooSlow(
        f"the body came slower than {pace.bytes_per_s} bytes a second, the least"
        f" after {pace.grace_s:g} s"
    )


def _declared_bytes(request: Request) -> int:
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else 0

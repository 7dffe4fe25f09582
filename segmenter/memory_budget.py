"""How much memory a process may take beside the model and the libraries, and who takes it.

A budget is shared out once: to stores and caches, which make room in their own share, to what the
model computes with, and the rest to `WorkingMemory`, out of which whatever decodes, draws or
searches a picture takes what it needs before it begins.

Shared: one `WorkingMemory` by all tasks of one event loop. Guaranteed: what is held at once stays
within its bound; who came first is served first; every wait ends. What stays for minutes (a run's
picture, a volume that is being looked at) never takes more than half, so that whatever ends by
itself always finds the other half.
"""

import asyncio
import ctypes
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import NamedTuple

from segmenter.errors import ImageTooLarge, MemoryBusy

MEBIBYTE = 2**20
# Below it nothing but small pictures would fit.
LEAST_BUDGET_BYTES = 512 * MEBIBYTE
# What the bundled model computes with, beside the picture: measured with 16 prompts at once.
MODEL_BYTES = 192 * MEBIBYTE
# Bytes per pixel that the bundled model takes to look at a picture: three of the picture, four of
# the logits at its size, and where all of it is found as many twice more for their score. The mask
# of each box is one.
LOOKING_BYTES = 18
LOOKING = "looking at this picture"
# Bytes per pixel of a picture that is drawn: three, four of Pillow's and two of the mask at hand.
DRAWING_BYTES = 9
DRAWING = "drawing this picture"
# Bytes per pixel of masks that are measured, one at a time: four of the values, two of the mask,
# and twelve of what its outline is counted in.
MEASURING_BYTES = 18
MEASURING = "measuring the masks of this picture"
# Bytes per pixel of an agent run: three of the picture, eight of masks that are compared, and 40
# candidates of one bit.
RUN_BYTES = 16
RUNNING = "an agent run on this picture"
# For whoever puts the parts together without a budget.
PLENTY_BYTES = 2048 * MEBIBYTE
# Decoding the largest picture takes about 2 s, and two do so at once.
WAIT_S = 20.0
# Freed in pieces of the size of a picture's rows, memory stays with the process until it is asked
# to hand it back, which takes some milliseconds.
_WORTH_TRIMMING_BYTES = 32 * MEBIBYTE

SETTING = "MEDSAM3_MEMORY_MIB"


class Shares(NamedTuple):
    """Bytes of a budget, by what they are for.

    Attributes:
        working: decoding, drawing and looking at pictures.
        bodies: of requests, while they arrive and are read.
        model: what the model computes with; 0 where none is in the process.
        images: uploads as they came; 0 where another process keeps them.
        volumes: the same of volumes.
        records: runs and jobs; `volume_records` those of volumes.
        pixels: decoded pictures.
        embeddings: what the model keeps of pictures.
    """

    working: int
    bodies: int
    model: int
    images: int
    volumes: int
    records: int
    volume_records: int
    pixels: int
    embeddings: int


def share_out(
    budget_bytes: int,
    *,
    bodies_inside: bool,
    stores_inside: bool,
    model_inside: bool,
    most: Shares,
) -> Shares:
    """Share a budget out.

    Args:
        budget_bytes: at least `LEAST_BUDGET_BYTES`.
        bodies_inside: whether it receives requests.
        stores_inside: whether this process keeps uploads and records itself.
        model_inside: whether it holds a model.
        most: no share but `working` becomes larger.
    """

    def part(of: int, largest: int, *, inside: bool = True) -> int:
        return min(budget_bytes // of, largest) if inside else 0

    kept = Shares(
        working=0,
        bodies=part(8, most.bodies, inside=bodies_inside),
        model=most.model if model_inside else 0,
        images=part(16, most.images, inside=stores_inside),
        volumes=part(8, most.volumes, inside=stores_inside),
        records=part(64, most.records, inside=stores_inside),
        volume_records=part(64, most.volume_records, inside=stores_inside),
        pixels=part(32, most.pixels),
        embeddings=part(16, most.embeddings, inside=model_inside),
    )
    return kept._replace(working=budget_bytes - sum(kept))


class WorkingMemory:
    """Hands out bytes of one share, first come, first served.

    Args:
        max_bytes: held at once.
        wait_s: longest wait for a share.
    """

    def __init__(self, max_bytes: int, *, wait_s: float = WAIT_S) -> None:
        self.max_bytes = max_bytes
        self._wait_s = wait_s
        self._used = self._used_long = 0
        self._turn, self._long_turn = asyncio.Lock(), asyncio.Lock()
        self._freed = asyncio.Event()

    @property
    def used_bytes(self) -> int:
        """Bytes held now."""
        return self._used

    @asynccontextmanager
    async def hold(self, size: int, *, what: str, long: bool = False) -> AsyncIterator["Held"]:
        """Hold bytes, waiting for them if need be.

        Args:
            size: bytes.
            what: needs them, for the message; never text from a request.
            long: for work that does not end by itself within seconds.

        Raises:
            ImageTooLarge: more than there will ever be.
            MemoryBusy: others kept it for too long.
        """
        held = Held(self, what, is_long=long)
        try:
            await held.grow(size)
            yield held
        finally:
            self._give_back(held)

    async def take(self, size: int, held: "Held") -> None:
        """Add bytes to what is held; for `Held.grow`."""
        limit = self.max_bytes // 2 if held.is_long else self.max_bytes
        if held.size + size > limit:
            raise ImageTooLarge(
                f"{held.what} takes {_mib(held.size + size)} MiB of memory, and this service has "
                f"{_mib(limit)} MiB for it ({SETTING})"
            )
        try:
            async with asyncio.timeout(self._wait_s):
                await self._wait_for(size, held, limit)
        except TimeoutError:
            raise MemoryBusy(
                f"{held.what} takes {_mib(held.size + size)} MiB of memory, and of {_mib(limit)} "
                f"MiB others kept too much for {self._wait_s:.0f} s"
            ) from None

    async def _wait_for(self, size: int, held: "Held", limit: int) -> None:
        async with self._long_turn if held.is_long else self._turn:
            while self._used + size > self.max_bytes or (
                held.is_long and self._used_long + size > limit
            ):
                self._freed.clear()
                await self._freed.wait()
            self._used += size
            self._used_long += size if held.is_long else 0
            held.size += size

    def _give_back(self, held: "Held") -> None:
        self._used -= held.size
        self._used_long -= held.size if held.is_long else 0
        if held.size >= _WORTH_TRIMMING_BYTES:
            trim()
        self._freed.set()


class Held:
    """What one piece of work holds of a `WorkingMemory`."""

    def __init__(self, memory: WorkingMemory, what: str, *, is_long: bool) -> None:
        self.what = what
        self.is_long = is_long
        self.size = 0
        self._memory = memory

    async def grow(self, size: int) -> None:
        """Hold so many bytes more; raises what `WorkingMemory.hold` does."""
        await self._memory.take(size, self)


def looking_bytes(pixels: int, *, boxes: int) -> int:
    """Return the memory that a model takes to look at a picture.

    Args:
        pixels: of it.
        boxes: of the prompt that has most; each gives a mask of the picture's size.
    """
    return pixels * (LOOKING_BYTES + max(boxes, 1))


def drawing_bytes(pixels: int, *, masks: int) -> int:
    """Return the memory that drawing masks on a picture, or alone, takes."""
    return pixels * (DRAWING_BYTES + masks)


def measuring_bytes(pixels: int) -> int:
    """Return the memory that measuring the masks of a picture takes."""
    return pixels * MEASURING_BYTES


def run_bytes(pixels: int) -> int:
    """Return the memory that an agent run on a picture takes while it goes on."""
    return pixels * RUN_BYTES


def trim() -> None:
    """Hand freed memory back to the system, where the C library can do so."""
    release = _malloc_trim()
    if release is not None:
        release(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    return found


def _mib(size: int) -> int:
    return -(-size // MEBIBYTE)

"""What a run works with but does not keep in its state: pixels, masks, clients, the clock.

A context belongs to one run and one event loop. Candidates are only ever added. Decoded masks are
kept packed, one bit a pixel, so 80 masks of a 4-megapixel image take 40 MB.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.contract import Planner
from agent.conversation.opening import Opening
from agent.runs.log import RunLog
from agent.schemas.rounds import Candidate, Usage
from agent.schemas.runs import AgentRequest, RunEvent, RunStep, Watch
from agent.settings import AgentSettings, Budget
from segmenter.contract import (
    BinaryMask,
    Capabilities,
    ImageRef,
    ImageStore,
    ModelInfo,
    RgbImage,
    Segmenter,
)
from segmenter.masks.rle import decode


@dataclass(frozen=True)
class Tools:
    """What runs share.

    Attributes:
        clock: seconds, monotonic.
    """

    segmenter: Segmenter
    images: ImageStore
    rules: Planner
    settings: AgentSettings
    clock: Callable[[], float]


class RunContext:
    """One run's pixels, candidates and clients.

    Attributes:
        pixels: uint8, shape (H, W, 3), RGB; set by `prepare`.
        capabilities: of the tool; set by `prepare`.
        model: which weights answered last.
        candidates: every mask the run ever saw, by id.
        rejected: ids of what a person rejected; the same mask is not shown again.
        budget: what the run may spend; by default the settings' time.

    Without a log nobody can take the run over. It was taken on `spent_s` ago.
    """

    def __init__(
        self,
        *,
        run_id: str,
        request: AgentRequest,
        image: ImageRef,
        opening: Opening,
        planner: Planner,
        tools: Tools,
        watch: Watch | None = None,
        log: RunLog | None = None,
        budget: Budget | None = None,
        spent_s: float = 0.0,
    ) -> None:
        self.run_id = run_id
        self.request = request
        self.image = image
        self.opening = opening
        self.planner = planner
        self.tools = tools
        self.pixels: RgbImage | None = None
        self.capabilities: Capabilities | None = None
        self.model: ModelInfo | None = None
        self.candidates = {one.id: one for one in opening.candidates}
        words = {one.candidate: one for one in opening.verdicts}
        self.rejected = frozenset(
            name for name, word in words.items() if word.by == "client" and word.verdict == "reject"
        )
        self.next_mask = opening.next_mask
        self._watch = watch
        self._log = log
        self.budget = budget or Budget(seconds=tools.settings.run_timeout_s)
        self._fresh: set[str] = set()
        self._packed: dict[str, npt.NDArray[np.uint8]] = {}
        self._started = tools.clock() - spent_s

    def image_pixels(self) -> RgbImage:
        """Return the pixels `prepare` has read."""
        assert self.pixels is not None, "prepare comes first"
        return self.pixels

    def tool_capabilities(self) -> Capabilities:
        """Return what `prepare` has asked for."""
        assert self.capabilities is not None, "prepare comes first"
        return self.capabilities

    def add(self, candidate: Candidate) -> None:
        """Keep a candidate; known ones may only gain a quality."""
        self.candidates[candidate.id] = candidate
        self._fresh.add(candidate.id)

    async def lay_out(self) -> None:
        """Read the pixels and ask what the tool can do.

        Raises:
            ImageNotFound: the image has expired.
            TimeoutError: it could not be read in time.
            SegmenterError: the tool cannot be reached.
        """
        async with asyncio.timeout(self.step_s()):
            self.pixels = await self.tools.images.pixels(self.image)
        self.capabilities = await self.tools.segmenter.capabilities(timeout_s=self.step_s())

    async def keep(self, steps: int) -> int:
        """Keep what came since the last step that was kept; return how many are kept now."""
        if self._log is None or not self._fresh:
            return steps
        fresh = tuple(self.candidates[one] for one in sorted(self._fresh))
        step = RunStep(candidates=fresh, next_mask=self.next_mask, model=self.model)
        await self._log.put_step(self.run_id, steps + 1, step)
        self._fresh.clear()
        return steps + 1

    async def restore(self, steps: int) -> bool:
        """Lay the context out as it was after so many steps; False if one of them is lost.

        Raises:
            ImageNotFound, TimeoutError, SegmenterError: see `lay_out`.
        """
        kept = await self._log.steps(self.run_id, steps) if self._log else None
        if kept is None:
            return False
        await self.lay_out()
        for step in kept:
            self.candidates.update({one.id: one for one in step.candidates})
            self.next_mask, self.model = step.next_mask, step.model
        return True

    def new_id(self) -> str:
        """Return the next free mask id of the thread."""
        number = self.next_mask
        self.next_mask += 1
        return f"m{number}"

    def mask(self, candidate_id: str) -> BinaryMask:
        """Return a candidate's mask: bool, shape (H, W)."""
        shape = (self.image.height, self.image.width)
        packed = self._packed.get(candidate_id)
        if packed is None:
            mask = decode(self.candidates[candidate_id].mask.rle)
            self._packed[candidate_id] = np.packbits(mask)
            return mask
        return np.unpackbits(packed, count=shape[0] * shape[1]).astype(bool).reshape(shape)

    def union(self, ids: Iterable[str]) -> BinaryMask:
        """Return what a set of candidates covers: bool, shape (H, W)."""
        covered = np.zeros((self.image.height, self.image.width), dtype=bool)
        for one in ids:
            covered |= self.mask(one)
        return covered

    def seconds(self) -> float:
        """Return how long the run has been going."""
        return self.tools.clock() - self._started

    def seconds_left(self) -> float:
        """Return what is left of the run's time, never below 0."""
        return max(0.0, self.budget.seconds - self.seconds())

    def is_spent(self, usage: Usage) -> bool:
        """Tell whether the run has used up its tokens."""
        return self.budget.tokens is not None and usage.tokens >= self.budget.tokens

    def step_s(self) -> float:
        """Return what the next step may take."""
        return min(self.tools.settings.step_timeout_s, self.seconds_left())

    async def tell(self, name: str, number: int = 0, **facts: str | float) -> None:
        """Tell whoever watches the run."""
        if self._watch is not None:
            event = {"name": name, "run_id": self.run_id, "number": number, "facts": facts}
            await self._watch(RunEvent.model_validate(event))

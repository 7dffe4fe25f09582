"""What a run works with but does not keep in its state: pixels, masks, clients, the clock.

A context belongs to one run and one event loop. Candidates are only ever added. Decoded masks are
kept packed, one bit a pixel, so 80 masks of a 4-megapixel image take 40 MB.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from agent.contract import Planner, PlanQuestion
from agent.conversation.opening import Opening
from agent.policy.ledger import is_rejected_by_client
from agent.schemas.rounds import Candidate, Usage
from agent.schemas.runs import AgentRequest, ThreadRecord, Watch
from agent.settings import AgentSettings, Budget
from segmenter.contract import (
    BinaryMask,
    Capabilities,
    ImageRef,
    ImageStore,
    JobEvent,
    ModelInfo,
    RgbImage,
    Segmenter,
)
from segmenter.errors import TEMPORARY, SegmenterError
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


@dataclass(kw_only=True, eq=False)
class RunContext:
    """One run's pixels, candidates and clients.

    Attributes:
        thread: as it was before the run.
        watch: is told every step.
        spent_s: how long it was carried out before, by this process or others.
        is_resumed: somebody goes on with the run if it cannot go on now.
        pixels: uint8, shape (H, W, 3), RGB; set by `prepare`.
        capabilities: of the tool; set by `prepare`.
        model: which weights answered last.
        candidates: every mask the run ever saw, by id.
        rejected: ids of what a person rejected; the same mask is not shown again.
    """

    run_id: str
    request: AgentRequest
    image: ImageRef
    thread: ThreadRecord
    opening: Opening
    planner: Planner
    tools: Tools
    budget: Budget
    watch: Watch | None = None
    spent_s: float = 0.0
    is_resumed: bool = False
    pixels: RgbImage | None = field(default=None, init=False)
    capabilities: Capabilities | None = field(default=None, init=False)
    model: ModelInfo | None = field(default=None, init=False)
    candidates: dict[str, Candidate] = field(init=False)
    rejected: frozenset[str] = field(init=False)
    next_mask: int = field(init=False)
    _packed: dict[str, npt.NDArray[np.uint8]] = field(default_factory=dict, init=False)
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        """Start from the opening."""
        self._started = self.tools.clock() - self.spent_s
        self.start_from(self.opening)

    def start_from(self, opening: Opening) -> None:
        """Take up what a run starts from; before the first candidate of its own."""
        self.opening = opening
        self.candidates = {candidate.id: candidate for candidate in self.opening.candidates}
        verdicts = {verdict.candidate: verdict for verdict in self.opening.verdicts}
        self.rejected = frozenset(
            name for name in verdicts if is_rejected_by_client(name, verdicts)
        )
        self.next_mask = self.opening.next_mask

    def image_pixels(self) -> RgbImage:
        """Return the pixels `prepare` has read."""
        assert self.pixels is not None, "prepare comes first"
        return self.pixels

    def tool_capabilities(self) -> Capabilities:
        """Return what `prepare` has asked for."""
        assert self.capabilities is not None, "prepare comes first"
        return self.capabilities

    def question(self) -> PlanQuestion:
        """Return what a planner may know before the first call."""
        return PlanQuestion(
            request=self.request.request,
            intent=self.opening.intent.model_copy(update={"find": self.opening.looked_for}),
            image=self.image,
            pixels=self.image_pixels(),
            capabilities=self.tool_capabilities(),
            box=self.opening.box,
            drawn=self.opening.drawn(),
            kept=self.opening.kept,
            first_target=self.opening.next_target,
            modality=self.opening.modality,
        )

    def add(self, candidate: Candidate) -> None:
        """Keep a candidate; known ones may only gain a quality."""
        self.candidates[candidate.id] = candidate

    async def prepare(self) -> None:
        """Read the pixels and ask what the tool can do.

        Raises:
            ImageNotFound: the image has expired.
            TimeoutError: it could not be read in time.
            SegmenterError: the tool cannot be reached.
        """
        async with asyncio.timeout(self.step_s()):
            self.pixels = await self.tools.images.pixels(self.image)
        self.capabilities = await self.tools.segmenter.capabilities(timeout_s=self.step_s())

    def goes_on_after(self, error: SegmenterError) -> bool:
        """Tell whether an error holds the run up, instead of ending it."""
        return self.is_resumed and isinstance(error, TEMPORARY)

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
        for candidate_id in ids:
            covered |= self.mask(candidate_id)
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
        if self.watch is not None:
            await self.watch(JobEvent(name=name, number=number, facts=dict(facts)))

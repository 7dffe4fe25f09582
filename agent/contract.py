"""The planner's two questions, and what it must answer. Implemented by rules and by an MLLM."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from agent.schemas.intent import Intent
from agent.schemas.plan import Call, Plan
from agent.schemas.rounds import Candidate, Inspection, Round, Usage
from agent.schemas.runs import TargetResult
from segmenter.contract import BinaryMask, Box, Capabilities, ImageRef, RgbImage


@dataclass(frozen=True)
class PlanQuestion:
    """Everything a planner may know before the first call.

    Attributes:
        request: the caller's own words; data, never instructions to code.
        intent: what the rules made of them.
        pixels: uint8, shape (H, W, 3), RGB, upright.
        box: the caller's own box for what the request asks for, or None.
        drawn: a person's box for each target that is worked on again, None without one; the
            caller's box is not for these.
        kept: targets of earlier runs of the thread, which stay unless the request names them.
        first_target: number of the first new target id.
        modality: our name of it, as earlier runs of the thread knew it, or ``unknown``.
    """

    request: str
    intent: Intent
    image: ImageRef
    pixels: RgbImage
    capabilities: Capabilities
    box: Box | None = None
    kept: tuple[TargetResult, ...] = ()
    first_target: int = 1
    modality: str = "unknown"
    drawn: Mapping[str, Box | None] = field(default_factory=dict)

    def box_of(self, target_id: str) -> Box | None:
        """Return the box that a person drew for a target, None without one."""
        return self.drawn.get(target_id, self.box)


@dataclass(frozen=True)
class RoundView:
    """Everything a planner may know when it judges a round.

    Attributes:
        number: the round being judged, from 1.
        calls: the round's calls.
        candidates: the round's candidates, and the incumbents of earlier rounds.
        masks: decoded mask of each of them, bool, shape (H, W), by candidate id.
        incumbents: per target id the ids of its best set so far.
        history: earlier rounds.
        seed: made from the run id; the only source of shuffling.
        presence: per call, the model's belief that the concept is in the image, [0, 1].
        known: per call, False if the model cannot look for the concept at all.
        reasons: per call, why it gave no mask ("" if it gave one).
    """

    question: PlanQuestion
    plan: Plan
    number: int
    calls: tuple[Call, ...]
    candidates: tuple[Candidate, ...]
    masks: Mapping[str, BinaryMask]
    incumbents: Mapping[str, tuple[str, ...]]
    history: tuple[Round, ...]
    seed: int
    presence: tuple[float, ...] = ()
    known: tuple[bool, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Planned:
    """A plan and what it cost."""

    plan: Plan
    usage: Usage


@dataclass(frozen=True)
class Inspected:
    """An inspection and what it cost."""

    inspection: Inspection
    usage: Usage


class Planner(Protocol):
    """Plans once and inspects once per round."""

    @property
    def kind(self) -> Literal["rules", "gemini", "openai"]:
        """Who it is, for the provenance."""
        ...

    @property
    def model(self) -> str | None:
        """Model name, None for the rules."""
        ...

    async def plan(self, question: PlanQuestion, *, timeout_s: float) -> Planned:
        """Turn a request into targets and first calls.

        Raises:
            MllmError: the step failed; the rules take over.
        """
        ...

    async def inspect(self, view: RoundView, *, timeout_s: float) -> Inspected:
        """Judge a round's candidates and propose what is next.

        Raises:
            MllmError: the step failed; the rules take over.
        """
        ...

    async def compare(
        self,
        view: RoundView,
        first: tuple[str, ...],
        second: tuple[str, ...],
        *,
        timeout_s: float,
    ) -> tuple[Literal["first", "second", "same"], Usage]:
        """Say which of two sets of candidates outlines the target better.

        Raises:
            MllmError: the step failed; the incumbent stays.
        """
        ...

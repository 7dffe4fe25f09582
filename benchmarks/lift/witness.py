"""Shows the oracle what a model would see in the pictures, and passes every question on."""

from typing import Literal

import numpy as np

from agent.contract import Inspected, Planned, PlanQuestion, RoundView
from agent.planners.mllm import MllmPlanner
from agent.planners.panels import choose_panels
from agent.schemas.rounds import Usage
from benchmarks.lift.oracle import Oracle
from segmenter.contract import BinaryMask


class Witness:
    """An `agent.contract.Planner`: a real planner over a real wire, whose model is the oracle."""

    def __init__(self, planner: MllmPlanner, oracle: Oracle) -> None:
        """Watch a planner."""
        self._planner = planner
        self._oracle = oracle

    @property
    def kind(self) -> Literal["gemini", "openai"]:
        """See `Planner`."""
        return self._planner.kind

    @property
    def model(self) -> str:
        """See `Planner`."""
        return self._planner.model

    async def plan(self, question: PlanQuestion, *, timeout_s: float) -> Planned:
        """See `Planner`."""
        return await self._planner.plan(question, timeout_s=timeout_s)

    async def inspect(self, view: RoundView, *, timeout_s: float) -> Inspected:
        """See `Planner`."""
        self._oracle.panels = {
            panel.label: np.logical_or.reduce(panel.masks) for panel in choose_panels(view)
        }
        return await self._planner.inspect(view, timeout_s=timeout_s)

    async def compare(
        self, view: RoundView, first: tuple[str, ...], second: tuple[str, ...], *, timeout_s: float
    ) -> tuple[Literal["first", "second", "same"], Usage]:
        """See `Planner`."""
        self._oracle.comparison = (_union(view, first), _union(view, second))
        return await self._planner.compare(view, first, second, timeout_s=timeout_s)


def _union(view: RoundView, names: tuple[str, ...]) -> BinaryMask:
    whole: BinaryMask = np.logical_or.reduce([view.masks[name] for name in names])
    return whole

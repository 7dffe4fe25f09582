"""Limits and prices of the agent."""

from agent.schemas.rounds import Usage
from segmenter.contract import Frozen


class Prices(Frozen):
    """What an MLLM costs, in any currency, per million tokens."""

    input_per_million: float
    output_per_million: float

    def of(self, usage: Usage) -> float:
        """Return what so much costs."""
        return (
            usage.input_tokens * self.input_per_million
            + usage.output_tokens * self.output_per_million
        ) / 1e6


class AgentSettings(Frozen):
    """Limits of the agent.

    Attributes:
        run_timeout_s: what a whole run may take; then it ends with what it has.
        step_timeout_s: what one step of a planner or the tool may take.
        record_ttl_s: how long runs and threads are kept.
        prompts_version: for the provenance.
        run_tokens: what the MLLM of one run may read and write together; None for no limit.
        prices: what a million tokens cost; None where nobody said.
    """

    run_timeout_s: float = 120.0
    step_timeout_s: float = 60.0
    record_ttl_s: float = 24 * 3600.0
    prompts_version: str = "1"
    run_tokens: int | None = None
    prices: Prices | None = None


class Budget(Frozen):
    """What a run may spend.

    Attributes:
        seconds: from the moment the request was taken on, waiting included.
        tokens: of the MLLM, in and out together; None for no limit.
    """

    seconds: float
    tokens: int | None = None

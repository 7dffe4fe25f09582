"""The state of the loop: what its steps have made of a run so far, as frozen records."""

from collections.abc import Mapping
from typing import Literal, TypedDict

from agent.conversation.opening import Opening
from agent.policy.ledger import Ids
from agent.schemas.plan import Call, Plan, Target
from agent.schemas.rounds import Failure, Outcome, Round, Usage, Verdict
from agent.schemas.runs import TargetResult
from segmenter.contract import Fraction, Frozen


class RoundResult(Frozen):
    """What the tool answered to a round's calls, before anyone judged it.

    Attributes:
        candidates: ids, in the order of the calls.
        reasons: per call, why it gave no mask ("" if it gave one).
        presence: per call, [0, 1].
        known: per call, False if the model cannot look for the concept.
    """

    number: int
    calls: tuple[Call, ...]
    candidates: tuple[str, ...]
    reasons: tuple[str, ...]
    presence: tuple[Fraction, ...]
    known: tuple[bool, ...]


class AgentState(TypedDict, total=False):
    """LangGraph's state. What no step has made yet is not there.

    Masks, pixels and clients are in the run's context (`agent.loop.context`).

    Attributes:
        pending: the calls to make next.
        kept: targets of earlier runs that stay as they are.
        latest: what the tool answered last.
        incumbents: per target who stands for it.
        verdicts: the latest word on each candidate, by id.
        fallbacks: a sentence for every step that the rules took over.
        failures: failed judgements in a row.
        comparisons: asked so far.
        error: why the run failed.
        targets: by id, as they ended.
    """

    plan: Plan
    pending: tuple[Call, ...]
    kept: tuple[TargetResult, ...]
    latest: RoundResult
    rounds: tuple[Round, ...]
    incumbents: Mapping[str, Ids]
    verdicts: Mapping[str, Verdict]
    usage: Usage
    fallbacks: tuple[str, ...]
    failures: int
    step: Literal["refine", "finish"]
    comparisons: int
    error: Failure
    outcome: Outcome
    targets: Mapping[str, Target]


def first_state(opening: Opening) -> AgentState:
    """Return the state before the first step."""
    return {
        "pending": (),
        "kept": opening.kept,
        "rounds": (),
        "incumbents": {},
        "verdicts": {},
        "usage": Usage(),
        "fallbacks": (),
        "failures": 0,
        "comparisons": 0,
    }

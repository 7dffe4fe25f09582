"""The state in typed form, read from and written to the JSON that LangGraph carries. Pure."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from agent.ledger import Ids
from agent.state import (
    AgentState,
    Call,
    Failure,
    Inspection,
    Plan,
    Round,
    Usage,
    Verdict,
    Win,
)
from segmenter.contract import Frozen, Share

Record = TypeVar("Record", bound=Frozen)
# As many lines as six failed steps can leave.
MAX_FALLBACKS = 12


class Answers(Frozen):
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
    presence: tuple[Share, ...]
    known: tuple[bool, ...]


def to_json(record: Frozen) -> dict[str, object]:
    """Dump a record into JSON-ready values."""
    return record.model_dump(mode="json")


def plan_of(state: AgentState) -> Plan | None:
    """Return the plan, None before there is one."""
    plan = state.get("plan")
    return None if plan is None else Plan.model_validate(plan)


def rounds_of(state: AgentState) -> tuple[Round, ...]:
    """Return the rounds so far."""
    return _all(Round, state.get("rounds", []))


def pending_of(state: AgentState) -> tuple[Call, ...]:
    """Return the calls to make next."""
    return _all(Call, state.get("pending", []))


def answers_of(state: AgentState) -> Answers | None:
    """Return what the tool answered last and nobody judged yet."""
    latest = state.get("latest")
    return None if latest is None else Answers.model_validate(latest)


def incumbents_of(state: AgentState) -> dict[str, Ids]:
    """Return per target who stands for it."""
    return {target: tuple(ids) for target, ids in state.get("incumbents", {}).items()}


def verdicts_of(state: AgentState) -> dict[str, Verdict]:
    """Return the latest word on each candidate."""
    return {
        name: Verdict.model_validate(verdict) for name, verdict in state.get("verdicts", {}).items()
    }


def usage_of(state: AgentState) -> Usage:
    """Return what the MLLM has cost so far."""
    return Usage.model_validate(state.get("usage", {}))


def failure_of(state: AgentState) -> Failure | None:
    """Return why the run failed, None if it did not."""
    error = state.get("error")
    return None if error is None else Failure.model_validate(error)


def with_fallbacks(state: AgentState, *lines: str | None) -> list[str]:
    """Return the fallbacks with the new lines, if there are any."""
    new = [line for line in lines if line]
    return [*state.get("fallbacks", []), *new][:MAX_FALLBACKS]


def to_round(answers: Answers, inspection: Inspection, *, by: str, wins: tuple[Win, ...]) -> Round:
    """Join what the tool answered and what the inspector said."""
    return Round(
        number=answers.number,
        calls=answers.calls,
        candidates=answers.candidates,
        reasons=answers.reasons,
        inspection=inspection,
        planner=by,
        wins=wins,
        presence=answers.presence,
        known=answers.known,
    )


def dump_incumbents(incumbents: Mapping[str, Ids]) -> dict[str, list[str]]:
    """Return who stands, JSON-ready."""
    return {target: list(ids) for target, ids in incumbents.items()}


def dump_verdicts(verdicts: Mapping[str, Verdict]) -> dict[str, dict[str, object]]:
    """Return the verdicts, JSON-ready."""
    return {name: to_json(verdict) for name, verdict in verdicts.items()}


def _all(kind: type[Record], dumps: Sequence[Mapping[str, object]]) -> tuple[Record, ...]:
    return tuple(kind.model_validate(dump) for dump in dumps)

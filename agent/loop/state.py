"""The state in typed form, read from and written to the JSON that LangGraph carries. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypedDict, TypeVar, cast

from agent.policy.ledger import Ids
from agent.schemas.plan import Call, Plan
from agent.schemas.rounds import Failure, Inspection, Round, Usage, Verdict, Win
from segmenter.contract import Fraction, Frozen

Record = TypeVar("Record", bound=Frozen)
# As many lines as six failed steps can leave.
MAX_FALLBACKS = 12


class AgentState(TypedDict, total=False):
    """LangGraph's state: JSON-ready dumps of small records, ids and words.

    Masks and thread records are heavy and ride in the run's context (`agent.loop.context`).
    """

    run_id: str
    kept_steps: int
    plan: dict[str, object] | None
    pending: list[dict[str, object]]
    kept: list[str]
    latest: dict[str, object] | None
    rounds: list[dict[str, object]]
    incumbents: dict[str, list[str]]
    verdicts: list[dict[str, object]]
    usage: dict[str, object]
    fallbacks: list[str]
    failures: int
    step: Literal["refine", "finish"]
    comparisons: int
    error: dict[str, object] | None
    outcome: dict[str, object] | None


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


def to_json(record: Frozen) -> dict[str, object]:
    """Dump a record into JSON-ready values; what is by default is left out."""
    return record.model_dump(mode="json", exclude_defaults=True)


def plan_of(state: AgentState) -> Plan | None:
    """Return the plan, None before there is one."""
    plan = state.get("plan")
    return None if plan is None else Plan.model_validate(plan)


def rounds_of(state: AgentState) -> tuple[Round, ...]:
    """Return the rounds so far."""
    return tuple(_load_round(one) for one in state.get("rounds", []))


def pending_of(state: AgentState) -> tuple[Call, ...]:
    """Return the calls to make next."""
    return _all(Call, state.get("pending", []))


def answers_of(state: AgentState) -> RoundResult | None:
    """Return what the tool answered last and nobody judged yet."""
    latest = state.get("latest")
    return None if latest is None else RoundResult.model_validate(latest)


def incumbents_of(state: AgentState) -> dict[str, Ids]:
    """Return per target who stands for it."""
    return {target: tuple(ids) for target, ids in state.get("incumbents", {}).items()}


def verdicts_of(state: AgentState) -> dict[str, Verdict]:
    """Return the latest word on each candidate."""
    return {verdict.candidate: verdict for verdict in _ungrouped(state.get("verdicts", []))}


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


def to_round(
    answers: RoundResult, inspection: Inspection, *, by: str, wins: tuple[Win, ...]
) -> Round:
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


def dump_verdicts(verdicts: Mapping[str, Verdict]) -> list[dict[str, object]]:
    """Return the verdicts, JSON-ready."""
    return _grouped(verdicts.values())


def dump_round(done: Round) -> dict[str, object]:
    """Return a round, JSON-ready."""
    inspection = to_json(done.inspection.model_copy(update={"verdicts": ()}))
    inspection["verdicts"] = _grouped(done.inspection.verdicts)
    return {**to_json(done), "inspection": inspection}


def _load_round(dump: Mapping[str, object]) -> Round:
    inspection = dict(cast(Mapping[str, object], dump["inspection"]))
    groups = cast(Sequence[Mapping[str, object]], inspection["verdicts"])
    inspection["verdicts"] = _ungrouped(groups)
    return Round.model_validate({**dump, "inspection": inspection})


def _grouped(verdicts: Iterable[Verdict]) -> list[dict[str, object]]:
    """Write equal words in a row once: pictures of cells have hundreds of candidates."""
    groups: list[tuple[dict[str, object], list[str]]] = []
    for verdict in verdicts:
        word = to_json(verdict)
        name = str(word.pop("candidate"))
        if not groups or groups[-1][0] != word:
            groups.append((word, []))
        groups[-1][1].append(name)
    return [{**word, "candidates": " ".join(names)} for word, names in groups]


def _ungrouped(groups: Iterable[Mapping[str, object]]) -> tuple[Verdict, ...]:
    return tuple(
        Verdict.model_validate(
            {key: value for key, value in group.items() if key != "candidates"}
            | {"candidate": name}
        )
        for group in groups
        for name in str(group["candidates"]).split()
    )


def _all(kind: type[Record], dumps: Sequence[Mapping[str, object]]) -> tuple[Record, ...]:
    return tuple(kind.model_validate(dump) for dump in dumps)

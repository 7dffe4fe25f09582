"""What the ledger of a client proves: every kind of fault is counted, and nothing else is."""

import random
from typing import Any

import pytest

from benchmarks.chaos.ledger import CallEntry, Ledger, RunEntry, digest_of_call, digest_of_run
from benchmarks.chaos.scenario import Size, pauses_s, plan
from benchmarks.chaos.verdict import Reference, Verdict, judge

REFERENCE = Reference(runs={"a": "right"}, calls={"a": "right"})
STREAM = [(1, "run.created"), (2, "round.started"), (3, "run.completed")]
GOOD = Verdict(0, 0, 0, 0, 0, 0, 0, 0)


def entry(**changes: Any) -> RunEntry:
    good: dict[str, Any] = {
        "key": "k",
        "case": "a",
        "is_async": True,
        "is_asked": True,
        "ids": ["run_1", "run_1"],
        "digests": ["right", "right"],
        "events": list(STREAM),
        "final": "done",
        "thread_runs": ("run_1",),
    }
    return RunEntry(**(good | changes))


def verdict_of(*runs: RunEntry, calls: tuple[CallEntry, ...] = (), kept: int = 0) -> Verdict:
    return judge(Ledger(list(runs), list(calls)), REFERENCE, kept_runs=kept)


def test_a_run_that_ends_as_it_should_is_no_fault() -> None:
    assert verdict_of(entry(), calls=(CallEntry("a", ["right"], is_asked=True),), kept=1) == GOOD
    assert GOOD.is_good


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        pytest.param({"final": "gone"}, {"lost": 1}, id="its id is unknown"),
        pytest.param({"final": "running"}, {"lost": 1}, id="it never ends"),
        pytest.param({"final": ""}, {"lost": 1}, id="it could not be read"),
        pytest.param({"events": STREAM[:2]}, {"unended": 1}, id="its stream breaks off"),
        pytest.param({"events": []}, {"unended": 1}, id="it has no stream"),
        pytest.param(
            {"events": [*STREAM[:2], (3, "run.failed")]}, {"torn": 1}, id="stream and run differ"
        ),
        pytest.param({"ids": ["run_1", "run_2"]}, {"doubled": 1}, id="its key has two runs"),
        pytest.param({"thread_runs": ("run_1", "run_9")}, {"doubled": 1}, id="a run beside it"),
        pytest.param(
            {"events": [STREAM[0], *STREAM]}, {"doubled": 1}, id="an event comes a second time"
        ),
        pytest.param({"digests": ["right", "other"]}, {"wrong": 1}, id="other masks"),
        pytest.param(
            {"ids": [], "final": "", "events": [], "digests": [], "thread_runs": ()},
            {"unanswered": 1},
            id="it was never accepted",
        ),
        pytest.param(
            {
                "ids": [],
                "final": "",
                "events": [],
                "digests": [],
                "thread_runs": (),
                "refusal": "run-failed",
            },
            {"failed": 1},
            id="it was refused",
        ),
        pytest.param(
            {"final": "failed", "refusal": "x", "events": [*STREAM[:2], (3, "run.failed")]},
            {"lost": 1},
            id="it failed, and all say so",
        ),
    ],
)
def test_each_fault_of_a_run_is_counted_once(
    changes: dict[str, Any], faults: dict[str, int]
) -> None:
    verdict = verdict_of(entry(), entry(**changes), kept=2)
    assert verdict == GOOD._replace(**faults)
    assert not verdict.is_good


def test_more_kept_runs_than_were_asked_for_are_doubled_ones() -> None:
    assert verdict_of(entry(), kept=3).doubled == 2


@pytest.mark.parametrize(
    ("call", "faults"),
    [
        (CallEntry("a", is_asked=True), {"unanswered": 1}),
        (CallEntry("a"), {"unasked": 1}),
        (CallEntry("a", ["other"], is_asked=True), {"wrong": 1}),
        (CallEntry("a", refusal="model-failed", is_asked=True), {"failed": 1}),
    ],
)
def test_faults_of_direct_segmentations_are_counted(
    call: CallEntry, faults: dict[str, int]
) -> None:
    assert verdict_of(calls=(call,)) == GOOD._replace(**faults)


def mask(**changes: Any) -> dict[str, Any]:
    rle = {"size": [4, 4], "counts": "abc"}
    return {"concept": "polyp", "rle": rle, "area_px": 3, "id": "m1", "png_url": "/x"} | changes


def test_a_digest_is_of_what_was_found_alone() -> None:
    def of(**changes: Any) -> str:
        target = {"status": "found", "masks": [mask(**changes)]}
        return digest_of_run({"targets": [target], "id": "run_1"})

    assert of() == of(id="m2", png_url="/y")
    assert len({of(), of(area_px=4), of(rle={"size": [4, 4], "counts": "abd"})}) == 3
    assert digest_of_call({"results": [{"masks": []}]}) != digest_of_call(
        {"results": [{"masks": [mask()]}]}
    )


@pytest.mark.parametrize(("start_s", "between_s"), [(10.0, (2.0, 6.0)), (100.0, (3.0, 10.0))])
def test_a_slow_machine_is_left_time_but_not_without_end(
    start_s: float, between_s: tuple[float, float]
) -> None:
    assert pauses_s(start_s) == pytest.approx(between_s)


def test_a_plan_depends_on_its_seed_alone_and_half_of_it_is_asynchronous() -> None:
    size = Size(runs=100, calls=10, limit_s=1.0)
    first, again, other = (plan(size, ["a", "b"], random.Random(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert sum(run.is_async for run in first.runs) == 50
    killing = [run for run in first.runs if run.kills_acceptor]
    assert len(killing) == 9
    assert all(run.is_async for run in killing)
    assert len({run.key for run in first.runs}) == 100

"""The benchmark's table, as it stands in the documentation."""

from collections.abc import Iterable

from benchmarks.chaos.scenario import Outcome

MEANINGS = {
    "lost": "lost: accepted, and gone, never ended or without a result",
    "doubled": "doubled: done twice under one key",
    "wrong": "wrong: other masks than undisturbed",
    "failed": "failed: answered with an error",
    "unanswered": "unanswered: no answer, however often it was tried",
    "unasked": "not asked, for the time was up",
    "unended": "streams of events without an end",
    "torn": "streams and runs that say different ends",
}


def table(outcome: Outcome) -> str:
    """Write what was done and what came of it, in Markdown."""
    rows = [*_done(outcome), *_faults(outcome)]
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])


def _done(outcome: Outcome) -> Iterable[tuple[str, str]]:
    ledger, kills = outcome.ledger, outcome.kills
    half = sum(run.is_async for run in ledger.runs)
    yield "agent runs", f"{len(ledger.runs)}, {half} of them asynchronous"
    yield "direct segmentations", str(len(ledger.calls))
    yield "time", f"{outcome.load_s:.0f} s"
    names = sorted(name for name in kills if name != "redis")
    counted = ", ".join(f"{name} {kills[name]}" for name in names)
    yield "processes killed", f"{sum(kills[name] for name in names)} ({counted})"
    yield "of these on the reading of a 202", str(outcome.kills_on_202)
    yield "Redis restarted", str(kills["redis"])
    yield "requests tried again", str(ledger.retries.total())


def _faults(outcome: Outcome) -> Iterable[tuple[str, str]]:
    for name, count in outcome.verdict._asdict().items():
        yield MEANINGS[name], f"**{count}**"

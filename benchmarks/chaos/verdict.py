"""What a ledger proves: pure counts, each of which must be 0."""

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from benchmarks.chaos.ledger import CallEntry, Ledger, RunEntry

ENDED = ("done", "failed", "cancelled")


class Reference(NamedTuple):
    """Digests of what each case gives when nothing disturbs it."""

    runs: Mapping[str, str]
    calls: Mapping[str, str]


class Verdict(NamedTuple):
    """Faults, by kind.

    Attributes:
        lost: a run was accepted and is gone, never ends, or ends without a result.
        doubled: a key has two runs, a conversation another run than its own, a stream an event
            twice; or more runs are kept than were asked for.
        wrong: masks differ from those of the same request undisturbed.
        failed: a request that nothing is wrong with was answered with an error.
        unanswered: a request got no answer, however often it was tried.
        unasked: the benchmark's time was up before; the machine is too slow for its size.
        unended: the stream of an accepted run does not end.
        torn: the stream and the run itself say different ends.
    """

    lost: int
    doubled: int
    wrong: int
    failed: int
    unanswered: int
    unasked: int
    unended: int
    torn: int

    @property
    def is_good(self) -> bool:
        """Whether nothing went wrong."""
        return not any(self)


def judge(ledger: Ledger, reference: Reference, *, kept_runs: int) -> Verdict:
    """Count the faults of a whole ledger.

    Args:
        ledger: after all requests, and all reads afterwards.
        reference: of every case.
        kept_runs: finished runs that the service keeps of this ledger's requests.
    """
    runs, calls = ledger.runs, ledger.calls
    accepted = [run for run in runs if run.ids]
    return Verdict(
        lost=sum(run.final != "done" for run in accepted),
        doubled=sum(map(is_doubled, accepted)) + max(0, kept_runs - len(runs)),
        wrong=sum(_is_wrong(entry, reference.runs[entry.case]) for entry in runs)
        + sum(_is_wrong(entry, reference.calls[entry.case]) for entry in calls),
        failed=sum(bool(call.refusal) for call in calls)
        + sum(bool(run.refusal) and not run.ids for run in runs),
        unanswered=sum(run.is_asked and not run.ids and not run.refusal for run in runs)
        + sum(call.is_asked and not call.digests and not call.refusal for call in calls),
        unasked=sum(not run.is_asked for run in runs) + sum(not call.is_asked for call in calls),
        unended=sum(not run.end for run in accepted),
        torn=sum(bool(run.end) and run.final in ENDED and run.end != run.final for run in accepted),
    )


def is_doubled(run: RunEntry) -> bool:
    """Tell whether a request was done twice, as far as its client can see."""
    numbers = [number for number, _ in run.events]
    in_order = all(before < after for before, after in pairwise(numbers))
    alone = set(run.thread_runs) <= set(run.ids)
    return len(set(run.ids)) > 1 or not in_order or not alone


def _is_wrong(entry: RunEntry | CallEntry, expected: str) -> bool:
    return any(digest != expected for digest in entry.digests)

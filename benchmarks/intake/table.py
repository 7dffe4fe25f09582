"""The table of all inputs, as Markdown."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import get_args

from benchmarks.intake.contract import Outcome, Verdict

COLUMNS = ("input", "kind", "ours", "truth", "largest difference", "verdict")


def summary(outcomes: Sequence[Outcome]) -> str:
    """Say in a line how many rows are right, wrong and refused."""
    counted = Counter(outcome.verdict for outcome in outcomes)
    verdicts = ", ".join(f"{counted[each]} {each}" for each in get_args(Verdict))
    return f"{len(outcomes)} inputs: {verdicts}"


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{' --- |' * len(COLUMNS)}"
    for outcome in outcomes:
        cells = (
            outcome.name,
            outcome.kind,
            outcome.ours,
            outcome.truth,
            outcome.difference or "none",
            outcome.verdict,
        )
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"

"""Tables of an evaluation for people: padded on a terminal, Markdown in the report."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from benchmarks.evaluation.provenance import Provenance
from benchmarks.evaluation.records import Score, SummaryRow

# A long list of failures hides what they have in common.
FAILURES_SHOWN = 20


class Column(NamedTuple):
    """One column: its title and what it shows of a row, "" for nothing."""

    title: str
    cell: Callable[[SummaryRow], str]
    left: bool = False


def figure(value: float | None, *, digits: int = 3) -> str:
    """Write a number, nothing for None."""
    return "" if value is None else f"{value:.{digits}f}"


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """Write a mean with its 95 % interval, as far as both are there."""
    if value is None or low is None or high is None:
        return figure(value)
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _count(value: int) -> str:
    return str(value) if value else ""


COLUMNS = (
    Column("set", lambda row: row.set, left=True),
    Column("concept", lambda row: row.concept, left=True),
    Column("asked as", lambda row: row.phrase if row.phrase != row.concept else "", left=True),
    Column("mode", lambda row: row.mode, left=True),
    Column("n", lambda row: _count(row.n)),
    Column("Dice [95 %]", lambda row: interval(row.dice, row.dice_low, row.dice_high)),
    Column("IoU", lambda row: figure(row.iou)),
    Column("HD95", lambda row: f"{row.hd95:.1f} {row.unit}" if row.hd95 is not None else ""),
    Column("surface Dice", lambda row: figure(row.surface_dice)),
    Column("AJI", lambda row: figure(row.aji)),
    Column("PQ", lambda row: figure(row.pq)),
    Column("sensitivity", lambda row: figure(row.sensitivity)),
    Column("absent", lambda row: _count(row.n_absent)),
    Column(
        "specificity [95 %]",
        lambda row: interval(row.specificity, row.specificity_low, row.specificity_high),
    ),
    Column("uncertain", lambda row: _count(row.uncertain)),
    Column("failed", lambda row: _count(row.failures)),
    Column("s", lambda row: figure(row.seconds, digits=2)),
)


class Grid(NamedTuple):
    """Columns that say something, and their cells row by row."""

    columns: tuple[Column, ...]
    cells: list[list[str]]


def grid(rows: Sequence[SummaryRow]) -> Grid:
    """Lay rows out; a column with nothing in it is left out."""
    shown = tuple(column for column in COLUMNS if any(map(column.cell, rows)))
    return Grid(shown, [[column.cell(row) for column in shown] for row in rows])


def to_text(rows: Sequence[SummaryRow]) -> str:
    """Return the table for a terminal."""
    columns, cells = grid(rows)
    lines = [[column.title for column in columns], *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column.left else cell.rjust(width)
            for column, cell, width in zip(columns, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def to_markdown(rows: Sequence[SummaryRow]) -> str:
    """Return the table as Markdown."""
    columns, cells = grid(rows)
    rule = ["---" if column.left else "--:" for column in columns]
    lines = [[column.title for column in columns], rule, *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def refusals(rows: Iterable[SummaryRow]) -> list[str]:
    """Say for each set and mode how many questions of other modalities got no mask."""
    answered = (row for row in rows if row.foreign and row.n_absent)
    asked = sorted(answered, key=lambda row: (row.set, row.mode))
    lines = []
    for (name, mode), part in groupby(asked, key=lambda row: (row.set, row.mode)):
        counts = [(row.n_absent, round((row.specificity or 0.0) * row.n_absent)) for row in part]
        total, refused = (sum(column) for column in zip(*counts, strict=True))
        lines.append(f"{name}, {mode}: {refused} of {total} refused")
    return lines


def failures(scores: Iterable[Score]) -> list[str]:
    """Name the answers that failed, with their errors, as far as they fit."""
    lines = [
        f"{score.dataset} {score.image_id}, {score.phrase}, {score.mode}: {score.error}"
        for score in scores
        if score.status == "failed"
    ]
    rest = len(lines) - FAILURES_SHOWN
    return lines[:FAILURES_SHOWN] + ([f"and {rest} more"] if rest > 0 else [])


def to_report(
    rows: Sequence[SummaryRow],
    scores: Sequence[Score],
    provenance: Provenance,
    *,
    beside: str,
    pictures: Sequence[str],
) -> str:
    """Return the whole report as Markdown.

    Args:
        rows: the summary.
        scores: of all answers; the failed ones are listed.
        provenance: of the figures.
        beside: Markdown that sets the rows beside a paper's; "" for none.
        pictures: file names, relative to the report.
    """
    own = [row for row in rows if not row.foreign]
    parts = ["# Evaluation", _origin(provenance), to_markdown(own) if own else "", DEFINITIONS]
    foreign = refusals(rows)
    if foreign:
        parts += ["## Concepts of other modalities", _bullets(foreign)]
    failed = failures(scores)
    if failed:
        parts += ["## Failed answers", _bullets(failed)]
    parts += ["## Beside the paper", beside.strip()] if beside else []
    if pictures:
        parts += ["## Pictures", "\n\n".join(f"![{name}]({name})" for name in pictures)]
    return "\n\n".join(part for part in parts if part) + "\n"


DEFINITIONS = """Dice, IoU and surface Dice are means over the images with a target; an image \
without an answer counts 0. HD95 is the mean over those with a mask. Intervals are bootstrap 95 % \
intervals over groups (patients, sequences), not images. Specificity is the share of images \
without the target that got no mask. Failed answers are in no figure but their own count. Seconds \
are the median from bytes to masks; later questions about an image find it encoded."""


def _origin(origin: Provenance) -> str:
    threshold = origin.model_threshold if origin.threshold is None else origin.threshold
    sets = ", ".join(origin.data_sha256)
    lines = [
        f"weights {origin.weights_id} (sha256 {origin.weights_sha256}), backend {origin.backend},"
        f" threshold {threshold:g}",
        f"{f'split {origin.split} of ' if origin.split else ''}{sets};"
        f" {f'{origin.limit} images per set' if origin.limit is not None else 'all images'}",
        f"medsam3-agent {origin.version}, commit {origin.git or 'unknown'},"
        f" started {origin.started}",
    ]
    if origin.planner is not None:
        model = f" ({origin.planner_model})" if origin.planner_model else ""
        lines.append(
            f"planner {origin.planner}{model}; the rules took over {origin.fallbacks} steps;"
            f' asked: "{origin.request}"'
        )
    return _bullets(lines)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)

"""Writes what an evaluation found: scores, summary, report and pictures; prints the table."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from api.cli.output import FAILED, OK, say
from benchmarks.evaluation import tables
from benchmarks.evaluation.intervals import SEED
from benchmarks.evaluation.pictures import write_pictures
from benchmarks.evaluation.provenance import Environment, Provenance, look_around
from benchmarks.evaluation.records import Case, Frozen, Score, SummaryRow
from benchmarks.evaluation.store import Store
from benchmarks.evaluation.summary import summarise
from benchmarks.evaluation.surfaces import TOLERANCE
from benchmarks.paper.beside import render_beside

SCORES_CSV, SUMMARY, REPORT, PICTURES = "scores.csv", "summary.json", "report.md", "pictures"


class Summary(Frozen):
    """What ``summary.json`` holds."""

    rows: tuple[SummaryRow, ...]
    provenance: Provenance


def report(
    out: Path, store: Store, cases: Sequence[Case], *, pictures: bool, beside_the_paper: bool
) -> int:
    """Write the files, print the table, and return whether every answer came as an exit code.

    Args:
        out: folder to write to.
        store: with all answers.
        cases: that were asked about.
        pictures: whether to draw contact sheets.
        beside_the_paper: whether to set the figures beside the paper's.
    """
    scores = store.scores()
    rows = summarise(scores)
    provenance = to_provenance(store, look_around())
    summary = Summary(rows=tuple(rows), provenance=provenance)
    write_csv(out / SCORES_CSV, scores)
    (out / SUMMARY).write_text(summary.model_dump_json(indent=2) + "\n", "utf-8")
    text = tables.to_report(
        rows,
        scores,
        provenance,
        beside=render_beside(rows) if beside_the_paper else "",
        pictures=_draw(out, cases, store) if pictures else [],
    )
    (out / REPORT).write_text(text, "utf-8")
    failed = tables.failures(scores)
    _show(rows, failed)
    say(f"written to {out}/")
    return FAILED if failed else OK


def _show(rows: Sequence[SummaryRow], failed: Iterable[str]) -> None:
    own = [row for row in rows if not row.foreign]
    for part in (tables.to_text(own) if own else "", *tables.refusals(rows)):
        print(part)
    for line in failed:
        say(f"failed: {line}")


def to_provenance(store: Store, around: Environment) -> Provenance:
    """Join what was asked, on what, and how it went."""
    scores = store.scores()
    failures = sum(score.status == "failed" for score in scores)
    return Provenance(
        **dict(store.note.configuration),
        **dict(around),
        started=store.note.started,
        answers=len(scores) - failures,
        failures=failures,
        fallbacks=store.fallbacks(),
        surface_tolerance=TOLERANCE,
        bootstrap_seed=SEED,
    )


def write_csv(path: Path, scores: Sequence[Score]) -> None:
    """Write one line per score, all fields; what is not defined is empty."""
    with path.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, fieldnames=list(Score.model_fields))
        writer.writeheader()
        writer.writerows(score.model_dump() for score in scores)


def _draw(out: Path, cases: Iterable[Case], store: Store) -> list[str]:
    known = {(case.dataset, case.image_id, case.concept): case for case in cases}
    paths = write_pictures(out / PICTURES, store.scores(), known, store.mask)
    return [path.relative_to(out).as_posix() for path in paths]

"""The table of a folder: one row a mask, or one of a picture without any."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.cli.output import UsageFault
from api.render.table import COLUMNS, Row, to_rows, to_text
from api.schemas.run_answers import RunAnswer

TABLE = "results.csv"
# One that is not complete yet must not look as if it were.
PART = "results.csv.part"
OF_PICTURE = ("image", "request", "status")
PICTURE_COLUMNS = (
    "file",
    "status",
    "needs_review",
    "message",
    "answer",
    "not_understood",
    "fallbacks",
)
# Of the table of one picture, which says the picture, the request and the status in its own way.
MASK_COLUMNS = ("target_status", *(name for name in COLUMNS if name not in OF_PICTURE))


class Table:
    """Takes pictures as they get done."""

    def __init__(self, writer: "csv.DictWriter[str]") -> None:
        self._writer = writer

    def add(self, file: str, answer: RunAnswer) -> None:
        """Add what came of a picture."""
        planner = answer.provenance.planner
        common = {
            "file": to_text(file),
            "status": answer.status,
            "needs_review": str(answer.needs_review).lower(),
            "message": to_text(answer.error or answer.message),
            "answer": to_text(answer.answer),
            "not_understood": to_text("; ".join(answer.not_understood)),
            "fallbacks": to_text("; ".join(planner.fallbacks if planner else ())),
        }
        rows = [_cells(row) for row in to_rows(answer)]
        self._writer.writerows(common | row for row in rows)

    def add_fault(self, file: str, words: str) -> None:
        """Add a picture of which nothing came, and why."""
        fault = {"file": to_text(file), "status": "error", "message": to_text(words)}
        self._writer.writerow(fault)


@contextmanager
def written_table(folder: Path) -> Iterator[Table]:
    """Write a table into a folder; it takes the place of one that is there when it is complete.

    Raises:
        UsageFault: it cannot be written.
    """
    part = folder / PART
    try:
        with part.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, [*PICTURE_COLUMNS, *MASK_COLUMNS], restval="")
            writer.writeheader()
            yield Table(writer)
        part.replace(folder / TABLE)
    except OSError as error:
        raise UsageFault(f"cannot write to {folder}: {error.strerror}") from error


def _cells(row: Row) -> dict[str, str]:
    cells = {name: to_text(cell) for name, cell in row.items() if name not in OF_PICTURE}
    return {"target_status": to_text(row["status"]), **cells}

"""The table of a folder says of a mask what the table of its picture says, and more."""

import csv
from pathlib import Path

import pytest

from api.cli.ask.table import MASK_COLUMNS, TABLE, written_table
from api.render.table import COLUMNS, to_csv, to_rows
from api.schemas.run_answers import RunAnswer
from tests.paths import ROOT

EXAMPLE = ROOT / "api" / "http" / "openapi" / "examples" / "answers" / "RunAnswer.json"
FOUND = RunAnswer.model_validate_json(EXAMPLE.read_bytes())
HOSTILE = "=HYPERLINK(1)"


def read(folder: Path) -> list[dict[str, str]]:
    with (folder / TABLE).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_both_tables_have_the_same_measures(tmp_path: Path) -> None:
    with written_table(tmp_path) as table:
        table.add("a.png", FOUND)
    of_picture = list(csv.DictReader(to_csv(to_rows(FOUND)).splitlines()))
    shared = [name for name in COLUMNS if name in MASK_COLUMNS]
    assert [[row[name] for name in shared] for row in read(tmp_path)] == [
        [row[name] for name in shared] for row in of_picture
    ]
    assert "longest_diameter_px" in shared


@pytest.mark.parametrize("column", ["message", "answer", "not_understood"])
def test_no_cell_is_taken_for_a_formula(tmp_path: Path, column: str) -> None:
    value = (HOSTILE,) if column == "not_understood" else HOSTILE
    with written_table(tmp_path) as table:
        table.add("a.png", FOUND.model_copy(update={column: value}))
    assert {row[column] for row in read(tmp_path)} == {f"'{HOSTILE}"}

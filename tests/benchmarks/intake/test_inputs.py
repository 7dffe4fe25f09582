"""Every row of the intake table: our pictures are DCMTK's, our places ITK's and the tags'."""

import shutil
from collections import Counter

import pytest

from benchmarks.intake.__main__ import filled, main
from benchmarks.intake.check import check
from benchmarks.intake.contract import Input, Outcome, Picture
from benchmarks.intake.inputs import INPUTS
from benchmarks.intake.table import summary, table

needs_dcmtk = pytest.mark.skipif(
    shutil.which("dcmj2pnm") is None, reason="DCMTK is not installed: make tools"
)


def named(given: Input) -> str:
    return f"{given.kind}: {given.name}"


@needs_dcmtk
@pytest.mark.parametrize("given", INPUTS, ids=named)
def test_nothing_is_shown_or_placed_wrongly(given: Input) -> None:
    outcome = check(given)
    assert outcome.verdict != "wrong", outcome
    if isinstance(given, Picture):
        expected = "right" if given.truth else "refused with words"
        assert outcome.verdict == expected, outcome


def test_there_are_at_least_sixty_inputs_and_no_two_of_one_name() -> None:
    assert len(INPUTS) >= 60
    assert {name: n for name, n in Counter(map(named, INPUTS)).items() if n > 1} == {}


RIGHT = Outcome("a", "grey", "identity", "dcmj2pnm", "0 of 255", "right")
WRONG = RIGHT._replace(name="b|c", difference="", verdict="wrong")


def test_the_table_has_a_row_for_each_input() -> None:
    assert list(table([RIGHT, WRONG])) == [
        "| input | kind | ours | truth | largest difference | verdict |",
        "| --- | --- | --- | --- | --- | --- |",
        "| a | grey | identity | dcmj2pnm | 0 of 255 | right |",
        "| b/c | grey | identity | dcmj2pnm | none | wrong |",
    ]
    assert summary([RIGHT, WRONG]) == "2 inputs: 1 right, 1 wrong, 0 refused with words"


def test_the_table_is_written_into_its_place_in_a_page() -> None:
    page = "# Page\n\n<!-- table: intake -->\n{}<!-- end -->\n\nafter\n"
    assert filled(page.format("old\n"), "new") == page.format("\nnew\n\n")
    other = "<!-- table: figures -->\nold\n<!-- end -->\n"
    assert filled(other, "new") == other


@needs_dcmtk
def test_the_command_writes_its_table(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--kind", "colour", "--out", str(tmp_path / "table.md")]) == 0
    assert "right" in capsys.readouterr().out
    assert "| RGB in planes | colour |" in (tmp_path / "table.md").read_text("utf-8")

"""Renders the paper's tables with our rows in the same columns."""

from collections.abc import Iterable, Sequence
from itertools import compress
from string import ascii_lowercase

from benchmarks.evaluation.records import MODES, Mode, SummaryRow
from benchmarks.paper.ours import Match, match_column
from benchmarks.paper.tables import SOURCE, TABLE_2, TABLE_3, TABLE_4, TABLE_6, Table

BLANK = "\N{EN DASH}"
_DIRECT: tuple[Mode, ...] = tuple(mode for mode in MODES if mode != "agent")
_SHOWN: tuple[tuple[Table, tuple[Mode, ...]], ...] = (
    (TABLE_2, _DIRECT),
    (TABLE_3, ("T+I", "agent")),
    (TABLE_4, _DIRECT),
    (TABLE_6, _DIRECT),
)


def render_beside(rows: Iterable[SummaryRow]) -> str:
    """Return Markdown: Tables 2, 3, 4 and 6 of the paper, each followed by our rows.

    Ours are the mean Dice with its 95 % interval and the number of images; every one of ours has
    a letter, explained below its table, that tells how the data differ.

    Args:
        rows: our summary; nothing that is not in it is printed as ours.
    """
    known = [row for row in rows if not row.foreign and row.dice is not None]
    return "\n".join(_render(table, modes, known) for table, modes in _SHOWN)


def _render(table: Table, modes: Sequence[Mode], rows: Sequence[SummaryRow]) -> str:
    answers = {mode: [_row(column, mode, rows) for column in table.columns] for mode in modes}
    letters = _letters(table, answers.values())
    lines = [
        f"### Table {table.number}: {table.title}",
        "",
        _line(("Dice", *table.columns)),
        _line(("---", *("---:" for _ in table.columns))),
        *(_line((method, *values)) for method, values in table.rows),
        *(
            _line((f"ours {mode}", *_cells(table, found, letters)))
            for mode, found in answers.items()
            if any(found)
        ),
        "",
        f"Values of the other methods: {SOURCE}, Table {table.number}. {BLANK}: no figure of ours.",
        *_notes(letters),
        "",
    ]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _split(column: str) -> tuple[str, str | None]:
    """Return the paper's data and, for Table 6, the phrase."""
    name, _, phrase = column.partition(": ")
    return name, phrase or None


def _row(column: str, mode: Mode, rows: Sequence[SummaryRow]) -> SummaryRow | None:
    name, phrase = _split(column)
    ours = match_column(name)
    if ours is None:
        return None
    wanted = (ours.dataset, ours.concept, phrase or ours.concept, mode)
    return next(
        (row for row in rows if (row.set, row.concept, row.phrase, row.mode) == wanted), None
    )


def _letters(table: Table, answers: Iterable[Sequence[SummaryRow | None]]) -> dict[Match, str]:
    """Give a letter to each match that has a figure, in the order of the columns."""
    filled = [any(column) for column in zip(*answers, strict=True)]
    named = (_split(column)[0] for column in compress(table.columns, filled))
    found = dict.fromkeys(ours for name in named if (ours := match_column(name)))
    return dict(zip(found, ascii_lowercase, strict=False))


def _cells(
    table: Table, found: Sequence[SummaryRow | None], letters: dict[Match, str]
) -> list[str]:
    return [
        _cell(row, match_column(_split(column)[0]), letters)
        for column, row in zip(table.columns, found, strict=True)
    ]


def _cell(row: SummaryRow | None, ours: Match | None, letters: dict[Match, str]) -> str:
    if row is None or ours is None:
        return BLANK
    interval = (
        f" [{row.dice_low:.4f}, {row.dice_high:.4f}]"
        if row.dice_low is not None and row.dice_high is not None
        else ""
    )
    return f"{row.dice:.4f}{interval}, n={row.n} ({letters[ours]})"


def _notes(letters: dict[Match, str]) -> list[str]:
    return [
        line
        for ours, letter in letters.items()
        for line in ("", f"({letter}) `{ours.dataset}` beside {ours.column}: {ours.note}.")
    ]

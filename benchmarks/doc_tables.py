"""Writes the tables of the docs that say how well the bundled model does, from its model card.

python -m benchmarks.doc_tables        rewrites them in docs/

The card itself is made of measurements (`benchmarks.model_card`), so every figure has one source.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.paper.tables import TABLE_2

ROOT = Path(__file__).resolve().parents[1]
CARD = ROOT / "segmenter" / "weights" / "compact" / "MODEL_CARD.md"
PAGES = (ROOT / "docs" / "model.md", ROOT / "docs" / "evaluation.md")
FIGURES, DATA, TARGETS = "Figures on the test split", "Data and licences", "Targets"
PLACE = re.compile(r"(<!-- table: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
# Columns of the paper's Table 2 and the sets they are of; RIM-ONE is another set of the same kind.
PAPER = {"busi": 0, "drishti_gs": 1, "isic2018": 2, "kvasir_seg": 3}
PAPER_CONCEPT = {"drishti_gs": "optic cup"}

Row = Mapping[str, str]


def rows_of(card: str, heading: str) -> list[Row]:
    """Return the first table under a heading, a mapping of column to cell for each row."""
    section = card.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    first = [_cells(line) for line in lines]
    width = len(first[0])
    rows: list[Row] = []
    for cells in first[2:]:
        if len(cells) != width:
            break
        rows.append(dict(zip(first[0], cells, strict=True)))
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def concepts_table(card: str) -> Iterator[str]:
    """Yield every concept of the model, weakest sets included, with the picture each is for."""
    pictures = {row["set"]: row["modality"] for row in rows_of(card, DATA)}
    yield (
        "| concept | kind of picture | set | images | words | words and box | the agent |"
        " empty, refused |"
    )
    yield "| --- | --- | --- | --: | --- | --- | --- | --- |"
    for row in sorted(rows_of(card, FIGURES), key=lambda row: row["concept"]):
        name = row["set"].split()[0]
        figures = [_figure(row[mode]) for mode in ("T", "T+I", "agent")]
        start = (row["concept"], pictures[name], name, _images(row["T"]))
        cells = (*start, *figures, row["specificity, T"])
        yield f"| {' | '.join(cells)} |"


def paper_table(card: str) -> Iterator[str]:
    """Yield our figures beside the paper's, for the sets that both have."""
    theirs = dict(TABLE_2.rows)
    yield "| set | concept | words | words and box | MedSAM-3 T | MedSAM-3 T+I |"
    yield "| --- | --- | --: | --: | --: | --: |"
    for row in rows_of(card, FIGURES):
        column = PAPER.get(row["set"])
        if column is None or row["concept"] != PAPER_CONCEPT.get(row["set"], row["concept"]):
            continue
        title = f"{row['set']} (paper: {TABLE_2.columns[column]})"
        paper = [theirs[name][column] for name in ("MedSAM-3 T", "MedSAM-3 T+I")]
        cells = (title, row["concept"], _dice(row["T"]), _dice(row["T+I"]), *paper)
        yield f"| {' | '.join(cells)} |"


def figures_table(card: str) -> Iterator[str]:
    """Yield the card's own table of every set, concept and mode."""
    rows = rows_of(card, FIGURES)
    yield f"| {' | '.join(rows[0])} |"
    yield "| --- " * len(rows[0]) + "|"
    for row in rows:
        yield f"| {' | '.join(row.values())} |"


def targets_table(card: str) -> Iterator[str]:
    """Yield what was aimed for and not reached."""
    yield "| aim | wanted | measured |"
    yield "| --- | --- | --- |"
    for row in rows_of(card, TARGETS):
        if "not reached" in row[""]:
            yield f"| {row['target']} | {row['wanted']} | {row['measured']} |"


def _figure(cell: str) -> str:
    """Leave the number of images away."""
    return cell.split(" (n")[0]


def _images(cell: str) -> str:
    return cell.split("(n = ")[1].rstrip(")")


def _dice(cell: str) -> str:
    """Leave interval and number of images away."""
    return cell.split(" ")[0]


TABLES: Mapping[str, Callable[[str], Iterator[str]]] = {
    "concepts": concepts_table,
    "figures": figures_table,
    "missed-targets": targets_table,
    "paper": paper_table,
}


def filled(page: str, card: str) -> str:
    """Return a page with the table of each of its places written anew."""

    def table(place: "re.Match[str]") -> str:
        lines = "\n".join(TABLES[place["name"]](card))
        return f"{place[1]}\n{lines}\n\n{place[3]}"

    return PLACE.sub(table, page)


def main(pages: Sequence[Path] = PAGES) -> int:
    """Rewrite the pages and return the exit status."""
    card = CARD.read_text("utf-8")
    for page in pages:
        page.write_text(filled(page.read_text("utf-8"), card), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Reads inputs of every kind, made in code, and compares with DCMTK, ITK and nibabel.

python -m benchmarks.intake                       prints the table
python -m benchmarks.intake --out FILE            writes it as Markdown
python -m benchmarks.intake --page docs/intake.md writes it into a page of the docs
python -m benchmarks.intake --kind colour         rows of one kind alone

The exit status is 1 if a row is wrong. DCMTK must be there: `make tools`.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.doc_tables import PLACE
from benchmarks.intake.check import check_all
from benchmarks.intake.contract import TruthIsMissing
from benchmarks.intake.inputs import INPUTS
from benchmarks.intake.table import summary, table

NAME = "intake"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print or write the table and return the exit status."""
    options = _options(arguments)
    chosen = [given for given in INPUTS if not options.kind or given.kind in options.kind]
    try:
        outcomes = check_all(chosen)
    except TruthIsMissing as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    said, lines = summary(outcomes), "\n".join(table(outcomes))
    if options.out:
        options.out.write_text(f"{said}\n\n{lines}\n", "utf-8")
    elif not options.page:
        print(lines)
    if options.page:
        options.page.write_text(filled(options.page.read_text("utf-8"), f"{said}.\n\n{lines}"))
    print(said)
    return int(any(outcome.verdict == "wrong" for outcome in outcomes))


def filled(page: str, text: str) -> str:
    """Return a page with its place for the table written anew."""

    def written(place: "re.Match[str]") -> str:
        return f"{place[1]}\n{text}\n\n{place[3]}" if place["name"] == NAME else place[0]

    return PLACE.sub(written, page)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.intake", description=__doc__)
    parser.add_argument("--out", type=Path, help="file that the table is written to")
    parser.add_argument("--page", type=Path, help="page of the docs with a place for the table")
    parser.add_argument("--kind", nargs="*", help="kinds of rows; all by default")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())

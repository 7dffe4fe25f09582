"""Command line: ``python -m benchmarks.paper list`` and ``convert NAME SOURCE OUT``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.paper.convert import convert, find
from benchmarks.paper.datasets import DATASETS
from benchmarks.paper.errors import ConversionError
from segmenter.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it succeeded, 1 if the data is not as described."""
    asked = _parser().parse_args(argv)
    if asked.command == "list":
        _print_list()
        return 0
    try:
        dataset = find(asked.name)
        count = convert(dataset, asked.source, asked.out, asked.split, keep_empty=asked.keep_empty)
    except (ConversionError, InputError) as error:
        print(f"not converted: {error}", file=sys.stderr)
        return 1
    print(f"{dataset.name}: {count} rows in {asked.out / 'manifest.csv'}")
    return 0


def _print_list() -> None:
    for dataset in DATASETS:
        print(f"{dataset.name} ({dataset.form}, {dataset.modality}): {', '.join(dataset.phrases)}")
        print(f"  page:   {dataset.page}\n  access: {dataset.access}\n  layout: {dataset.layout}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the datasets of the paper")
    conversion = commands.add_parser("convert", help="a download folder to the evaluation layout")
    conversion.add_argument("name", help="of the dataset, as listed")
    conversion.add_argument("source", type=Path, help="download folder")
    conversion.add_argument("out", type=Path, help="folder of the new set; must not exist")
    conversion.add_argument("--split", choices=("train", "test"), help="of all rows")
    conversion.add_argument(
        "--keep-empty", action="store_true", help="keep slices without the target, as absent"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

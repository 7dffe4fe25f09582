"""Compares SAM 3 as we load it with recorded outputs of the original code.

python -m benchmarks.vectors DIR [--lora FILE --lora-config FILE --cases FILE] [--merge|--adapter]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.sam3.vectors import differences
from segmenter.backends.sam3.errors import WeightsError
from segmenter.backends.sam3.weights.load import load_network

CASES = "cases.pt"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the largest differences as JSON and return the exit status."""
    asked = _parser().parse_args(argv)
    try:
        network = load_network(
            asked.folder,
            lora=asked.lora,
            lora_config=asked.lora_config,
            alpha=asked.alpha,
            merged=asked.merge,
        )
        found = differences(network, asked.cases or _recorded(asked.folder, asked.lora))
    except (WeightsError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps({"max_abs_difference": found}))
    return 0


def _recorded(folder: Path, lora: Path | None) -> Path:
    """Return the cases beside the LoRA, if there are any, else those beside the weights."""
    beside = folder if lora is None else lora.parent
    return next((at / CASES for at in (beside, folder) if (at / CASES).is_file()), folder / CASES)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vectors", description=__doc__)
    parser.add_argument("folder", metavar="DIR", type=Path, help="weights, tokenizer, cases.pt")
    parser.add_argument("--lora", type=Path, help="MedSAM-3's LoRA file")
    parser.add_argument("--lora-config", type=Path, help="its YAML")
    parser.add_argument("--alpha", type=float, help="of the LoRA, where there is no YAML")
    parser.add_argument("--cases", type=Path, help="other recorded cases than DIR's")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--merge", action="store_true", help="merge the LoRA into the weights")
    how.add_argument("--adapter", action="store_true", help="keep it apart (the default)")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Kill every process of a deployment again and again, and count what clients lose.

    python -m benchmarks.chaos [--seed N] [--runs N] [--calls N] [--minutes M] [--logs DIR]

Everything runs on this machine's loopback, around a Redis of its own. Exits with 1 if any count of
a fault is not 0.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks.chaos.report import table
from benchmarks.chaos.scenario import Outcome, Size, carry_out

FAULTS_SHOWN = 20


def main(argv: list[str] | None = None) -> int:
    """Run it, print the table, and return the exit status."""
    arguments = _parser().parse_args(argv)
    size = Size(arguments.runs, arguments.calls, arguments.minutes * 60.0)
    with tempfile.TemporaryDirectory(prefix="medsam3-chaos-") as scratch:
        logs = Path(scratch) if arguments.logs is None else arguments.logs
        logs.mkdir(parents=True, exist_ok=True)
        outcome = asyncio.run(carry_out(size, arguments.seed, logs))
    print(f"seed {arguments.seed}\n\n{table(outcome)}")
    _tell(outcome)
    return 0 if outcome.verdict.is_good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=8.0, help="limit of the whole benchmark")
    parser.add_argument("--logs", type=Path, help="folder that the processes' logs are kept in")
    return parser


def _tell(outcome: Outcome) -> None:
    """Say on stderr why requests were tried again, and which of them went wrong."""
    for reason, count in outcome.ledger.retries.most_common():
        print(f"tried again {count} times: {reason}", file=sys.stderr)
    print(f"ended by themselves: {dict(outcome.own_ends)}", file=sys.stderr)
    if not outcome.verdict.is_good:
        suspects = [run for run in outcome.ledger.runs if run.final != "done" or run.end != "done"]
        for run in suspects[:FAULTS_SHOWN]:
            print(run, file=sys.stderr)
        for call in [call for call in outcome.ledger.calls if call.refusal][:FAULTS_SHOWN]:
            print(call, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

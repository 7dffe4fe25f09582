"""``python -m tests.contract``: schemathesis against a served process, with a fixed seed.

Every answer is held to the document that the process serves, and the document to every answer.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.api.test_processes import KEY, free_port, process, until_ready
from tests.paths import ROOT

SEED, SECONDS = 20261128, 120
# Of requests that follow each other only valid ones are made: schemathesis fails by itself where it
# breaks a form with a file in it ("Unsupported type: 'Binary'").
PHASES = (("examples,coverage,fuzzing", "all", 0.7), ("stateful", "positive", 0.3))
# After its time schemathesis ends the request that it is at.
SLACK_S = 120
HOOKS = "tests.contract.hooks"


def main() -> int:
    """Serve, test, and return the exit status of schemathesis."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    asked = parser.parse_args()
    environ = {"PATH": os.environ["PATH"], "MEDSAM3_API_KEYS": KEY, "MEDSAM3_CLIENT_SHARE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        port, log = free_port(), Path(folder) / "serve.log"
        with process("serve", "--port", str(port), environ=environ, log=log):
            url = f"http://127.0.0.1:{port}"
            until_ready(url, 1, log)
            status = max(
                subprocess.run(
                    command(url, asked.seed, round(share * asked.seconds), phases, mode),
                    cwd=folder,
                    env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": HOOKS},
                    timeout=asked.seconds + SLACK_S,
                    check=False,
                ).returncode
                for phases, mode, share in PHASES
            )
            # A failure's place, which the check of the log's end may not show.
            faults = [line for line in log.read_text().splitlines() if '"exception"' in line]
            sys.stderr.write("\n".join(faults))
            return status


def command(url: str, seed: int, seconds: int, phases: str, mode: str) -> list[str]:
    """Return what to run; the check that is left out is called by our own in `hooks`."""
    program = Path(sys.executable).parent / "schemathesis"
    return [
        str(program),
        "--no-color",
        "run",
        f"{url}/openapi.json",
        f"--header=Authorization: Bearer {KEY}",
        f"--seed={seed}",
        f"--max-time={seconds}",
        f"--phases={phases}",
        f"--mode={mode}",
        "--checks=all",
        "--exclude-checks=positive_data_acceptance",
        "--continue-on-failure",
        "--generation-database=none",
        "--request-timeout=60",
    ]


if __name__ == "__main__":
    sys.exit(main())

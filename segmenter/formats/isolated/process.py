"""Runs a program of ours in a child process, which a damaged file may end.

The child gets no environment, so no secrets, and bounds its own memory and time.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_BOUNDED = Path(__file__).with_name("bounded.py")
# No secrets; and a thread per core would count against the child's memory limit.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Bounds(NamedTuple):
    """What a child may take.

    Attributes:
        memory_bytes: of addresses.
        cpu_s: of a processor.
        timeout_s: of the clock; longer than `cpu_s`, which comes first unless the machine is
            overloaded.
    """

    memory_bytes: int
    cpu_s: int
    timeout_s: float


class Ended(NamedTuple):
    """How a child ended: its exit status, and what it wrote to standard output."""

    status: int
    output: bytes


def run_isolated(program: Path, arguments: Sequence[str], given: bytes, bounds: Bounds) -> Ended:
    """Run a script of ours, which must import nothing of ours, in silence.

    Args:
        program: the script.
        arguments: of its command line.
        given: its standard input.
        bounds: of memory and time.

    Raises:
        TimeoutError: it took too long.
    """
    limits = (str(bounds.memory_bytes), str(bounds.cpu_s))
    try:
        # -P: the folder of the script must not shadow modules of a library.
        child = subprocess.run(
            [sys.executable, "-P", str(_BOUNDED), *limits, str(program), *arguments],
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=bounds.timeout_s,
            env=_ENVIRONMENT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"no answer within {bounds.timeout_s:.0f} s") from None
    return Ended(child.returncode, child.stdout)

"""Program that bounds its own memory and time, then becomes another: bytes, seconds, script, ...

Run as a script, not as a module.
"""

import resource
import runpy
import sys
from contextlib import suppress


def main() -> None:
    """Bound this process and run the script; leave no core file, it would hold pixels."""
    _, memory_bytes, cpu_s, *sys.argv = sys.argv
    for kind, bound in (
        (resource.RLIMIT_AS, int(memory_bytes)),
        (resource.RLIMIT_CPU, int(cpu_s)),
        (resource.RLIMIT_CORE, 0),
    ):
        # Some systems refuse some limits.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (bound, bound))
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()

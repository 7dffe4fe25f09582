"""Where the process of ``medsam3`` begins: takes Ctrl-C before anything that takes time.

Exit codes: 0 done (found, not found or uncertain), 1 failed, 2 bad input, 130 ended by Ctrl-C.
"""

import os
from collections.abc import Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from api.cli.interrupts import INTERRUPTED, end_in_one_line, leave

if TYPE_CHECKING:
    from api.settings import Settings
    from segmenter.backends.contract import Backend


def main(
    argv: Sequence[str] | None = None,
    environ: MutableMapping[str, str] = os.environ,
    load: "Callable[[Settings], Backend[Any]] | None" = None,
) -> int:
    """Run one command and return its exit code.

    Args:
        argv: None for the process's own, whose Ctrl-C is taken then.
        environ: of the settings; tracing is switched off in it.
        load: gives the model; None for the one that the settings name.
    """
    if argv is None:
        end_in_one_line()
    try:
        # Seconds on a cold disk.
        from api.cli.commands import run_command

        code = run_command(argv, environ, load)
    except KeyboardInterrupt:
        code = INTERRUPTED
    return leave(code)

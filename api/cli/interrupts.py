"""Ctrl-C ends the process in one line, whatever it is doing.

The first one unwinds what runs, and is told on stderr; what is still there after `UNWIND_S` (a
model that loads in a thread cannot be stopped), or at the second one, ends at once. From the first
on nothing else is written to stderr. Imports nothing that takes time: imports can be interrupted.
"""

import os
import signal
import sys
import threading

# What shells use for a program ended by Ctrl-C.
INTERRUPTED = 130
UNWIND_S = 2.0
LINE = b"interrupted\n"


def end_in_one_line() -> None:
    """Take Ctrl-C from here on, unless whoever started the process has it ignored."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _unwind)


def _unwind(number: int, frame: object) -> None:
    signal.signal(signal.SIGINT, _end)
    # The terminal has written ^C, or a bar stands in the line.
    os.write(2, b"\n" + LINE if os.isatty(2) else LINE)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    last = threading.Timer(UNWIND_S, _end)
    last.daemon = True
    last.start()
    raise KeyboardInterrupt


def _end(number: int = signal.SIGINT, frame: object = None) -> None:
    os._exit(INTERRUPTED)


def leave(code: int) -> int:
    """Return the exit code; after an interruption end here, for threads may still be at work."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is _end:
        sys.stdout.flush()
        os._exit(INTERRUPTED)
    if handler is _unwind:
        # All is done and told: half a second of clearing up is no more to be interrupted.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code

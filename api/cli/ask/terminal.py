"""Lines that a person types or a program pipes in, read without holding up the event loop."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Far beyond any request; what is longer is refused as one.
MAX_LINE_BYTES = 2**20


async def read_line(prompt: str) -> str | None:
    """Read a line; None at the end of the input. A piped one is printed behind its prompt.

    The thread that reads is a daemon: a line that never comes does not keep the process.
    """
    loop = asyncio.get_running_loop()
    read: asyncio.Future[str | None] = loop.create_future()

    def deliver(line: str | None) -> None:
        if not read.done():
            read.set_result(line)

    def wait() -> None:
        line: str | None = None
        with suppress(OSError):
            line = _ask(prompt)
        # The loop may be gone meanwhile.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver, line)

    threading.Thread(target=wait, daemon=True).start()
    return await read


def _ask(prompt: str) -> str | None:
    if sys.stdin.isatty() and sys.stdout.isatty():
        try:
            return input(prompt)
        except EOFError:
            print()
            return None
    line = sys.stdin.buffer.readline(MAX_LINE_BYTES).decode("utf-8", "replace")
    if not line:
        return None
    print(f"{prompt}{line.strip()}", flush=True)
    return line


@contextmanager
def line_editing() -> Iterator[None]:
    """Let lines be edited and found again, where that is installed; leave the terminal as it was.

    An interruption comes while a line is read, and the terminal would stay without echo.
    """
    with suppress(ImportError):
        import readline  # noqa: F401 - importing it is its use
    try:
        import termios
    except ImportError:
        yield
        return
    if sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)

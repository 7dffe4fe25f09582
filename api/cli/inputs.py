"""What commands read: a file, or standard input where ``-`` stands in its place."""

import sys
from pathlib import Path

from api.cli.output import UsageFault, read_image
from api.settings import Settings

STDIN = Path("-")
PIPE = "give the name of a file, or pipe one in: medsam3 ask - REQUEST < FILE"


def read_input(path: Path, max_bytes: int) -> bytes:
    """Read a file, or standard input up to a limit.

    Raises:
        UsageFault: there is none, nothing in it, or more than the limit.
    """
    if path != STDIN:
        return read_image(path)
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageFault(f"- is standard input, and nothing is piped into it; {PIPE}")
    content = sys.stdin.buffer.read(max_bytes + 1)
    if not content:
        raise UsageFault(f"standard input is empty; {PIPE}")
    if len(content) > max_bytes:
        raise UsageFault(f"standard input holds more than {max_bytes} bytes, which is the limit")
    return content


def max_input_bytes(settings: Settings) -> int:
    """Return the larger limit, of one image and of one volume: which it is, its content tells."""
    return max(settings.max_upload_bytes, settings.for_segmenter().volume.max_bytes)

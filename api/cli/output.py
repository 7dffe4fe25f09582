"""How commands speak: progress on stderr, results on stdout."""

import argparse
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, TypeVar

from pydantic import BaseModel

from api.bootstrap.setup import Setup
from api.errors import InvalidFields
from api.schemas.answers import MaskOut
from api.schemas.measure_answers import MeasuresOut
from segmenter.contract import BinaryMask
from segmenter.masks import rle

# Exit codes: done (found, not found or uncertain), failed, bad input.
OK, FAILED, BAD_INPUT = 0, 1, 2
Command: TypeAlias = Callable[[argparse.Namespace, Setup], int]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Result = TypeVar("Result", bound=BaseModel)
BAR_CHARS = 30
# Between two lines where nobody watches a terminal.
QUIET_STEP = 0.1
# Back to its start, and erase it. Source: ECMA-48.
CLEAR_LINE = "\r\x1b[K"


class UsageFault(ValueError):
    """The command line cannot be met as it stands."""


def say(line: str) -> None:
    """Tell a person how it goes."""
    print(line, file=sys.stderr, flush=True)


def explain(error: Exception) -> str:
    """Say in one line what went wrong."""
    if isinstance(error, InvalidFields):
        return "; ".join(f"{fault.field}: {fault.message}" for fault in error.faults)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def show(answer: BaseModel) -> None:
    """Print a result as JSON."""
    print(answer.model_dump_json(indent=2))


def tell(result: Result, arguments: argparse.Namespace, in_words: Callable[[Result], None]) -> None:
    """Print a result as JSON where ``--json`` asks for it, else for a person."""
    if arguments.json:
        show(result)
    else:
        in_words(result)


@contextmanager
def optional(packages: Collection[str], what: str, install: str) -> Iterator[None]:
    """Import optional packages.

    Raises:
        UsageFault: one of them is not installed; says how to get it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in packages:
            raise
        raise UsageFault(f"{what} needs {error.name}: {install}") from error


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--json`` and ``--out``."""
    parser.add_argument("--json", action="store_true", help="print the whole result as JSON")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write masks, overlay.png, result.json and measures.csv there",
    )


def read_image(path: Path) -> bytes:
    """Read a file.

    Raises:
        UsageFault: there is none, or nothing in it.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise UsageFault(f"cannot read {path}: {error.strerror}") from error
    if not content:
        raise UsageFault(f"{path} is empty")
    return content


def print_footer(needs_review: bool | None, seconds: float) -> None:
    """Say what every result ends with."""
    review = "a person should look at this; " if needs_review else ""
    print(f"{review}{seconds:.1f} s; not a medical device")


def pixels_of(mask: MaskOut) -> BinaryMask:
    """Decode a mask of an answer: bool, shape (H, W)."""
    return rle.decode(mask.rle)


def describe_mask(mask: MaskOut) -> str:
    """Say in one line what a mask is."""
    x0, y0, x1, y1 = (f"{side:g}" for side in mask.box)
    area = f"{mask.area_px} px"
    if mask.area_mm2 is not None:
        area += f" ({mask.area_mm2:.1f} mm2 by {mask.spacing_source})"
    if mask.measures is not None:
        area += f", {describe_diameters(mask.measures)}"
    judged = f", {mask.verdict}" if mask.verdict else ""
    place = f"box {x0},{y0},{x1},{y1}"
    return f"  {mask.id}  {mask.label}: {area}, {place}, score {mask.joint:.2f}{judged}"


def describe_diameters(measures: MeasuresOut) -> str:
    """Say the longest diameter and the short axis: in mm where they are known, else in px."""
    longest, short = measures.longest, measures.short
    if longest.mm is not None and short.mm is not None:
        return f"{longest.mm:.1f} x {short.mm:.1f} mm"
    return f"{longest.px:.0f} x {short.px:.0f} px across"


def progress_line(done: int, total: int, what: str = "frames") -> str:
    """Draw a bar of text."""
    filled = BAR_CHARS * done // max(total, 1)
    return f"[{'#' * filled}{'.' * (BAR_CHARS - filled)}] {done}/{total} {what}"


class Bar:
    """A bar that moves in place on a terminal, and a line now and then elsewhere."""

    def __init__(self, what: str = "frames") -> None:
        self._what = what
        self._shown = -1.0

    def show(self, done: int, total: int) -> None:
        """Show how far it is."""
        share = done / max(total, 1)
        moving = sys.stderr.isatty()
        if share == self._shown or (not moving and share < min(self._shown + QUIET_STEP, 1.0)):
            return
        self._shown = share
        end = "\r" if moving and done < total else "\n"
        line = progress_line(done, total, self._what)
        print(line, end=end, file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """Tell something else; the bar is drawn again when it moves."""
        say(f"{CLEAR_LINE}{line}" if sys.stderr.isatty() else line)

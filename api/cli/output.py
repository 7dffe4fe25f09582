"""How commands speak: progress on stderr, results on stdout, files in one folder."""

import argparse
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, TypeVar

from pydantic import BaseModel

from api.bootstrap.setup import Setup
from api.render.table import to_csv, to_rows
from api.schemas.answers import MaskOut, SegmentAnswer
from api.schemas.measure_answers import MeasuresOut
from api.schemas.run_answers import RunAnswer
from segmenter.contract import BinaryMask
from segmenter.formats.raster.image import encode_mask_png
from segmenter.masks import rle

# Exit codes: done (found, not found or uncertain), failed, bad input.
OK, FAILED, BAD_INPUT = 0, 1, 2
Command: TypeAlias = Callable[[argparse.Namespace, Setup], int]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Result = TypeVar("Result", bound=BaseModel)


class UsageFault(ValueError):
    """The command line cannot be met as it stands."""


def say(line: str) -> None:
    """Tell a person how it goes."""
    print(line, file=sys.stderr, flush=True)


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


def write_results(
    folder: Path,
    answer: SegmentAnswer | RunAnswer,
    masks: Iterable[MaskOut],
    overlay: bytes,
    *,
    name: str | None = None,
) -> None:
    """Write ``result.json``, ``measures.csv``, ``overlay.png`` and a PNG per mask into a folder.

    Args:
        folder: is made if it is not there.
        answer: of one picture.
        masks: of it.
        overlay: PNG.
        name: of the picture, for the table.

    Raises:
        UsageFault: it cannot be written to.
    """
    # Ids are ours (m1, m2 ...): nothing a model or caller said becomes a path.
    pngs = {f"{mask.id}.png": encode_mask_png(pixels_of(mask)) for mask in masks}
    texts = {"result.json": to_json(answer), "measures.csv": to_csv(to_rows(answer, name)).encode()}
    write_files(folder, {**texts, "overlay.png": overlay, **pngs})


def to_json(answer: BaseModel, indent: int = 2) -> bytes:
    """Write an answer as the text of a file."""
    return (answer.model_dump_json(indent=indent) + "\n").encode()


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files into a folder, by name.

    Raises:
        UsageFault: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise UsageFault(f"cannot write to {folder}: {error.strerror}") from error
    say(f"written to {folder}/")

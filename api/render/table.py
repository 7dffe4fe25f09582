"""Writes masks and their measures as a table: CSV, one row a mask, units in the columns' names.

Empty means that it is not known: millimetres without a spacing, values that were not read. The
first columns say what was asked; a picture without masks has one row for each target or prompt.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from api.schemas.answers import ConceptResult, MaskOut, SegmentAnswer
from api.schemas.measure_answers import LengthOut, LineOut, MeasuresOut
from api.schemas.run_answers import RunAnswer, TargetOut

Cell: TypeAlias = str | int | float | None
Row: TypeAlias = Mapping[str, Cell]

LENGTHS = (
    "longest_diameter",
    "short_axis",
    "width",
    "height",
    "perimeter",
    "equivalent_diameter",
    "edge_distance",
)
ENDS = ("start_x_px", "start_y_px", "end_x_px", "end_y_px")
COLUMNS = (
    *("image", "request", "target", "status", "mask_id", "verdict", "score"),
    *("area_px", "area_mm2"),
    *(f"{name}_{unit}" for name in LENGTHS for unit in ("px", "mm")),
    *(f"{name}_{end}" for name in LENGTHS[:2] for end in ENDS),
    *("centroid_x_px", "centroid_y_px", "circularity", "picture_share", "image_side"),
    *("touches_edge", "pieces", "mean_value", "std_value", "value_unit", "spacing_source"),
)
# Of a prompt that the model cannot look for, which is not the same as finding nothing.
UNKNOWN = "unknown"
# Digits that are written of a number: no picture has more to say.
DIGITS = 7
# What a spreadsheet takes for the beginning of a formula. Source: OWASP, CSV Injection.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(rows: Iterable[Row], *, header: bool = True) -> str:
    """Write rows as text; `header`: begin with the names of the columns."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows({name: to_text(cell) for name, cell in row.items()} for row in rows)
    return stream.getvalue()


def to_rows(answer: SegmentAnswer | RunAnswer, name: str | None = None) -> list[Row]:
    """Return the rows of a result.

    Args:
        answer: of one picture.
        name: of the picture; its id where there is none.
    """
    image = name or answer.image.image_id
    if isinstance(answer, SegmentAnswer):
        return [row for result in answer.results for row in _prompt_rows(result, image)]
    rows = [row for target in answer.targets for row in _target_rows(target, answer, image)]
    # A run that broke off before it had a target is no picture without findings.
    return rows or [{"image": image, "request": answer.request, "status": answer.status}]


def _prompt_rows(result: ConceptResult, image: str) -> Iterator[Row]:
    asked = result.text or "box"
    status = "found" if result.masks else "not_found" if result.known else UNKNOWN
    known: Row = {"image": image, "request": asked, "target": asked, "status": status}
    return _rows(known, result.masks)


def _target_rows(target: TargetOut, run: RunAnswer, image: str) -> Iterator[Row]:
    known: Row = {
        "image": image,
        "request": run.request,
        "target": target.label,
        "status": target.status,
    }
    return _rows(known, target.masks)


def _rows(known: Row, masks: Iterable[MaskOut]) -> Iterator[Row]:
    rows: list[Row] = [{**known, **_mask_cells(mask)} for mask in masks]
    yield from rows or [known]


def _mask_cells(mask: MaskOut) -> dict[str, Cell]:
    return {
        "mask_id": mask.id,
        "verdict": mask.verdict,
        "score": mask.joint,
        "area_px": mask.area_px,
        "area_mm2": mask.area_mm2,
        "spacing_source": mask.spacing_source,
        **({} if mask.measures is None else _measure_cells(mask.measures)),
    }


def _measure_cells(found: MeasuresOut) -> dict[str, Cell]:
    x, y = found.centroid
    values = found.intensity
    cells: dict[str, Cell] = {
        "centroid_x_px": x,
        "centroid_y_px": y,
        "circularity": found.circularity,
        "picture_share": found.picture_share,
        "image_side": found.image_side,
        "touches_edge": "yes" if found.touches_edge else "no",
        "pieces": found.pieces,
        "mean_value": None if values is None else values.mean,
        "std_value": None if values is None else values.std,
        "value_unit": None if values is None else values.unit,
    }
    for name, length in zip(LENGTHS, _lengths(found), strict=True):
        cells |= {f"{name}_px": length.px, f"{name}_mm": length.mm}
    for name, line in zip(LENGTHS, (found.longest, found.short), strict=False):
        cells |= _ends(name, line)
    return cells


def _lengths(found: MeasuresOut) -> tuple[LengthOut, ...]:
    return (
        found.longest,
        found.short,
        found.width,
        found.height,
        found.perimeter,
        found.equivalent_diameter,
        found.edge_distance,
    )


def _ends(name: str, line: LineOut) -> dict[str, Cell]:
    places = (*line.start, *line.end)
    return {f"{name}_{end}": place for end, place in zip(ENDS, places, strict=True)}


def to_text(cell: Cell) -> str:
    """Write a cell; "" for what is not known."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(FORMULA) else cell
    return f"{cell:.{DIGITS}g}" if isinstance(cell, float) else str(cell)

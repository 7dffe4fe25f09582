"""Measures as a table: a row a mask, units in the names, nothing made up."""

import csv
import io
import json
from typing import Any

import pytest

from api.render.table import COLUMNS, UNKNOWN, to_csv, to_rows
from api.schemas.answers import SegmentAnswer
from api.schemas.run_answers import RunAnswer
from tests.paths import ROOT

EXAMPLES = ROOT / "api/http/openapi/examples/answers"


def example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return found


def segment_answer(**mask: Any) -> SegmentAnswer:
    answer = example("SegmentAnswer")
    answer["results"][0]["masks"][0].update(mask)
    return SegmentAnswer.model_validate_json(json.dumps(answer))


def run_answer(**changes: Any) -> RunAnswer:
    return RunAnswer.model_validate_json(json.dumps(example("RunAnswer") | changes))


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_mask_of_a_prompt_is_a_row_with_all_that_was_measured() -> None:
    answer = segment_answer()
    [row] = read(to_csv(to_rows(answer, "scan.jpg")))
    assert tuple(row) == COLUMNS
    named = [row[name] for name in ("image", "request", "target", "status", "mask_id")]
    assert named == ["scan.jpg", "breast tumor", "breast tumor", "found", "m1"]
    measures = answer.results[0].masks[0].measures
    assert measures is not None
    assert float(row["longest_diameter_px"]) == pytest.approx(measures.longest.px)
    assert float(row["short_axis_end_y_px"]) == pytest.approx(measures.short.end[1])
    assert (row["touches_edge"], row["value_unit"]) == ("no", "grey level")


def test_what_is_not_known_stays_empty() -> None:
    [row] = read(to_csv(to_rows(segment_answer())))
    assert row["image"].startswith("img_")
    in_mm = [name for name in COLUMNS if "mm" in name]
    assert len(in_mm) == 8
    assert {row[name] for name in (*in_mm, "spacing_source", "verdict")} == {""}
    [bare] = read(to_csv(to_rows(segment_answer(measures=None))))
    assert (bare["area_px"], bare["longest_diameter_px"], bare["pieces"]) == ("4214", "", "")


def test_millimetres_come_with_their_source() -> None:
    measures = example("SegmentAnswer")["results"][0]["masks"][0]["measures"]
    measures["width"]["mm"], measures["spacing_source"] = 12.3456789, "PixelSpacing"
    answer = segment_answer(measures=measures, area_mm2=99.5, spacing_source="PixelSpacing")
    [row] = read(to_csv(to_rows(answer)))
    found = [row[name] for name in ("width_mm", "area_mm2", "spacing_source")]
    assert found == ["12.34568", "99.5", "PixelSpacing"]


def test_a_run_has_a_row_for_each_mask_and_for_each_target_without_one() -> None:
    run = example("RunAnswer")
    found = run["targets"][0]
    missing = found | {"id": "t2", "label": "axillary node", "status": "not_found", "masks": []}
    rows = read(to_csv(to_rows(run_answer(targets=[found, missing]))))
    told = [(row["target"], row["status"], row["mask_id"], row["verdict"]) for row in rows]
    assert told == [
        ("breast tumour", "found", "m1", "accept"),
        ("axillary node", "not_found", "", ""),
    ]
    assert {row["request"] for row in rows} == {run["request"]}


def test_a_run_that_broke_off_is_told_from_one_that_found_nothing() -> None:
    [row] = read(to_csv(to_rows(run_answer(targets=[], status="failed"))))
    assert (row["status"], row["target"], row["mask_id"]) == ("failed", "", "")


def test_what_a_model_cannot_look_for_is_not_called_not_found() -> None:
    answer = example("SegmentAnswer")
    answer["results"][0].update(known=False, masks=[])
    rows = to_rows(SegmentAnswer.model_validate_json(json.dumps(answer)))
    assert [row["status"] for row in rows] == [UNKNOWN]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"])
def test_no_text_becomes_a_formula_in_a_spreadsheet(text: str) -> None:
    [row] = read(to_csv(to_rows(run_answer(request=text))))
    assert row["request"] == f"'{text}"


def test_rows_can_be_added_to_a_table_that_has_its_header() -> None:
    rows = to_rows(segment_answer())
    table = to_csv(rows) + to_csv(rows, header=False)
    assert [row["mask_id"] for row in read(table)] == ["m1", "m1"]

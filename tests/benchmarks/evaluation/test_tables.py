"""What people read: padded text, Markdown, the report."""

from benchmarks.evaluation import tables
from benchmarks.evaluation.provenance import Provenance
from benchmarks.evaluation.records import SummaryRow
from tests.benchmarks.evaluation.test_store import configuration, score

EMPTY = dict.fromkeys(SummaryRow.model_fields)


def row(**changes) -> SummaryRow:
    fields = {
        "set": "busi",
        "concept": "breast tumor",
        "phrase": "breast tumor",
        "mode": "T",
        "foreign": False,
        "n": 3,
        "dice": 0.5,
        "dice_low": 0.25,
        "dice_high": 0.75,
        "unit": "px",
        "n_absent": 0,
        "uncertain": 0,
        "failures": 0,
    }
    return SummaryRow(**{**EMPTY, **fields, **changes})


def provenance(**changes) -> Provenance:
    around = {"python": "3.11", "system": "Linux", "cpus": 2, "packages": {}, "git": None}
    ran = {
        "started": "2026-01-01T00:00:00+00:00",
        "answers": 3,
        "failures": 0,
        "fallbacks": 0,
        "surface_tolerance": 2.0,
        "bootstrap_seed": 0,
    }
    return Provenance(**{**dict(configuration()), **around, **ran, **changes})


def test_columns_without_figures_are_left_out_and_the_rest_lines_up():
    rows = [row(), row(set="kvasir_seg", concept="polyp", phrase="polyp", n=12, hd95=3.25)]
    assert tables.to_text(rows).splitlines() == [
        "set         concept       mode   n           Dice [95 %]    HD95",
        "busi        breast tumor  T      3  0.500 [0.250, 0.750]",
        "kvasir_seg  polyp         T     12  0.500 [0.250, 0.750]  3.2 px",
    ]


def test_markdown_has_the_same_cells():
    assert tables.to_markdown([row(dice_low=None, dice_high=None, failures=2)]).splitlines() == [
        "| set | concept | mode | n | Dice [95 %] | failed |",
        "| --- | --- | --- | --: | --: | --: |",
        "| busi | breast tumor | T | 3 | 0.500 | 2 |",
    ]


def test_a_prompt_study_tells_its_phrases_apart():
    rows = [row(), row(phrase="lump")]
    cells = [line.split(" | ")[2] for line in tables.to_markdown(rows).splitlines()]
    assert cells == ["asked as", "---", "", "lump"]


def test_a_figure_of_zero_is_not_a_missing_one():
    assert tables.figure(0.0) == "0.000"
    assert tables.figure(None) == ""
    assert tables.interval(0.0, 0.0, 0.0) == "0.000 [0.000, 0.000]"


def test_refusals_are_counted_over_the_concepts_of_a_set():
    rows = [
        row(foreign=True, concept="lungs", n=0, n_absent=3, specificity=2 / 3),
        row(foreign=True, concept="polyp", n=0, n_absent=1, specificity=1.0),
        row(foreign=True, concept="nuclei", n=0, n_absent=0, failures=2),
        row(),
    ]
    assert tables.refusals(rows) == ["busi, T: 3 of 4 refused"]


def test_many_failures_are_counted_not_listed():
    failed = score("a", found=False, status="failed", dice=None, error="NoWorker: no live worker")
    lines = tables.failures([failed] * 23 + [score("b")])
    assert lines[0] == "busi a, breast tumor, T: NoWorker: no live worker"
    assert len(lines) == 21
    assert lines[-1] == "and 3 more"


def test_the_report_says_what_was_asked_of_which_weights():
    report = tables.to_report(
        [row()],
        [score("a")],
        provenance(threshold=0.4, limit=5, planner="gemini", planner_model="m", fallbacks=7),
        beside="## Paper",
        pictures=["pictures/a.png"],
    )
    for part in (
        "weights w (sha256 00), backend compact, threshold 0.4",
        "split test of busi; 5 images per set",
        "commit unknown, started 2026-01-01",
        'planner gemini (m); the rules took over 7 steps; asked: "Segment the {phrase}."',
        "| busi | breast tumor | T | 3 |",
        "## Paper",
        "![pictures/a.png](pictures/a.png)",
    ):
        assert part in report
    assert "## Failed answers" not in report

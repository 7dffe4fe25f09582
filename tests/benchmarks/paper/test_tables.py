from benchmarks.evaluation.records import SummaryRow
from benchmarks.paper.beside import BLANK, render_beside
from benchmarks.paper.datasets import DATASETS
from benchmarks.paper.tables import PHRASES, TABLES, Figure, paper_figures


def summary(name, concept, phrase, mode, dice):
    return SummaryRow(
        set=name, concept=concept, phrase=phrase, mode=mode, foreign=False, n=7,
        dice=dice, dice_low=dice and dice - 0.1, dice_high=dice and dice + 0.1,
        iou=None, hd95=None, surface_dice=None, unit="px", aji=None, pq=None, sensitivity=None,
        n_absent=0, specificity=None, specificity_low=None, specificity_high=None,
        uncertain=0, failures=0, seconds=None,
    )  # fmt: skip


def line(text, table, start):
    section = text.split(f"### Table {table}:")[1].split("###")[0]
    return next(line for line in section.splitlines() if line.startswith(f"| {start} |"))


def test_a_blank_is_a_dash() -> None:
    assert BLANK == "\u2013"


def test_every_row_of_a_table_has_a_value_per_column() -> None:
    for table in TABLES:
        assert all(len(values) == len(table.columns) for _, values in table.rows)


def test_figures_are_those_printed_for_the_same_way_of_asking() -> None:
    assert paper_figures("busi", "breast tumor", "T+I") == [
        Figure(2, "SAM 3 T+I", "BUSI", 0.7110),
        Figure(2, "MedSAM-3 T+I", "BUSI", 0.7772),
        Figure(3, "MedSAM-3 T+I", "BUSI", 0.7772),
        Figure(4, "SAM 3 T+I", "BUSI", 0.7110),
    ]
    assert paper_figures("busi", "breast tumor", "agent") == [
        Figure(3, "MedSAM-3 Agent", "BUSI", 0.8064)
    ]
    assert paper_figures("dsb2018", "cell", "T") == [Figure(6, "SAM 3 T", "DSB 2018: cell", 0.5753)]
    assert paper_figures("prostate_mini", "prostate", "T") == [
        Figure(5, "SAM 3 T", "PROMISE12", 0.6110)
    ]
    assert Figure(4, "SAM 3 T", "RIM-ONE(Disc)", 0.3858) in paper_figures(
        "drishti_gs", "optic disc", "T"
    )


def test_a_set_the_paper_does_not_have_has_no_figures() -> None:
    assert paper_figures("acdc", "myocardium", "T") == []
    assert paper_figures("busi", "polyp", "T") == []


def test_every_dataset_of_table_1_is_listed_once() -> None:
    assert [one.name for one in DATASETS] == list(PHRASES)
    assert len(PHRASES) == 14


def test_ours_stands_in_its_columns_and_the_rest_is_blank() -> None:
    text = render_beside(
        [
            summary("busi", "breast tumor", "breast tumor", "T+I", 0.65),
            summary("drishti_gs", "optic cup", "optic cup", "T+I", 0.81),
        ]
    )
    assert line(text, 2, "ours T+I") == (
        "| ours T+I | 0.6500 [0.5500, 0.7500], n=7 (a) "
        f"| 0.8100 [0.7100, 0.9100], n=7 (b) | {BLANK} | {BLANK} |"
    )
    assert line(text, 2, "MedSAM-3 T+I") == "| MedSAM-3 T+I | 0.7772 | 0.8977 | 0.9058 | 0.8831 |"
    assert line(text, 2, "SAM 3 T") == "| SAM 3 T | 0 | 0 | 0.2189 | 0 |"
    assert "(b) `drishti_gs` beside RIM-ONE(Cup): different data" in text
    assert "kvasir_seg" not in text


def test_the_prompt_study_keeps_its_phrases_apart() -> None:
    text = render_beside(
        [
            summary("monuseg", "nuclei", "cell", "T", 0.31),
            summary("dsb2018", "nuclei", "nuclei", "T", 0.72),
        ]
    )
    assert line(text, 6, "ours T") == (
        f"| ours T | {BLANK} | 0.3100 [0.2100, 0.4100], n=7 (a) "
        f"| 0.7200 [0.6200, 0.8200], n=7 (b) | {BLANK} |"
    )
    assert "0.3100" not in text.split("### Table 6")[0]


def test_nothing_of_ours_is_printed_without_rows_or_without_a_figure() -> None:
    empty = summary("busi", "breast tumor", "breast tumor", "T", None)
    foreign = summary("busi", "breast tumor", "breast tumor", "T", 0.5)
    assert "| ours" not in render_beside([empty, foreign.model_copy(update={"foreign": True})])


def test_the_agent_is_in_table_3_only() -> None:
    text = render_beside([summary("busi", "breast tumor", "breast tumor", "agent", 0.7)])
    assert text.count("ours agent") == 1
    assert "0.7000" in line(text, 3, "ours agent")

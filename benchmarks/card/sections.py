"""Words and tables of the model card; pure, every figure comes from the sources."""

from collections.abc import Iterable, Iterator

from benchmarks.card.sources import Sources
from benchmarks.evaluation.operating import most_specific
from benchmarks.evaluation.records import MODES, Mode, SummaryRow
from benchmarks.evaluation.summary import (
    dice_correlation,
    expected_calibration_error,
    reliability,
)
from benchmarks.evaluation.tables import COLUMNS
from benchmarks.targets import (
    CALIBRATION_ERROR,
    LATENCY_MS,
    SENSITIVITY,
    SIZE_MB,
    SPECIFICITY,
    Verdict,
    dice_text,
    interval_text,
    reached,
    specificity_text,
    verdicts,
)

FEW = 10
WEAK_SETS = 8
BUSI_SOURCE = (
    "Breast ultrasounds: BUSI, Al-Dhabyani et al. (2020), Data in Brief 28:104863, CC BY 4.0, "
    "scaled, with outlines drawn on them. Nuclei: BBBC038v1 (Data Science Bowl 2018), CC0 1.0."
)


def opening(sources: Sources) -> Iterator[str]:
    """Yield what the model is and is not."""
    yield f"# Model card: {sources.weights_id}"
    yield ""
    yield (
        f"A network of {sources.training.parameters:,} parameters ({sources.megabytes:.1f} MB as "
        f"ONNX graphs), trained from scratch, that outlines {len(sources.concepts)} named things "
        "in medical images on a CPU. **It is not a medical device. Research only:** it must not "
        "inform a diagnosis or a treatment, it was not validated on patients, scanners or "
        "hospitals outside the sets below, and its masks need to be looked at by a qualified "
        "person."
    )
    yield ""
    yield f"It answers: {', '.join(sources.concepts)}, and their spellings in `metadata.json`."


def targets_table(sources: Sources) -> Iterator[str]:
    """Yield every target beside its figure."""
    yield "| target | wanted | measured | |"
    yield "| --- | --- | --- | --- |"
    for verdict in [*verdicts(sources.rows), *_other_verdicts(sources)]:
        word = {None: "", True: "reached", False: "**not reached**"}[verdict.reached]
        yield f"| {verdict.name} | {verdict.goal} | {verdict.measured} | {word} |"


def _other_verdicts(sources: Sources) -> Iterator[Verdict]:
    error = expected_calibration_error(sources.validation)
    count = sum(part.n for part in reliability(sources.validation))
    yield Verdict(
        "validation: expected calibration error of presence",
        f"≤ {CALIBRATION_ERROR:.2f}",
        "not measured" if error is None else f"{error:.3f} (n = {count})",
        None if error is None else error <= CALIBRATION_ERROR,
    )
    size = sources.megabytes
    yield Verdict("size of the graphs", f"≤ {SIZE_MB:.0f} MB", f"{size:.1f} MB", size <= SIZE_MB)
    for name, spent in sources.timings.items():
        if name.startswith("bytes to masks"):
            goal = f"≤ {LATENCY_MS:.0f} ms"
            yield Verdict(f"latency, {name}, median", goal, f"{spent:.1f} ms", spent <= LATENCY_MS)


def figures_table(rows: Iterable[SummaryRow]) -> Iterator[str]:
    """Yield mean Dice of each mode, with interval and n, and specificity of text alone."""
    groups: dict[tuple[str, str], dict[Mode, SummaryRow]] = {}
    for row in rows:
        if not row.foreign and row.phrase == row.concept:
            groups.setdefault((row.set, row.concept), {})[row.mode] = row
    modes = [mode for mode in MODES if any(mode in part for part in groups.values())]
    yield f"| set | concept | {' | '.join(modes)} | specificity, T |"
    yield "| --- " * (len(modes) + 3) + "|"
    for (dataset, concept), part in sorted(groups.items()):
        cells = [dice_text(part[mode]) if mode in part else "" for mode in modes]
        absent = specificity_text(part["T"]) if "T" in part else ""
        few = f" (n < {FEW})" if any(row.n < FEW for row in part.values()) else ""
        yield f"| {dataset}{few} | {concept} | {' | '.join(cells)} | {absent} |"


def outlines_table(rows: Iterable[SummaryRow]) -> Iterator[str]:
    """Yield what Dice does not tell: overlap, distances and single instances, by words and box."""
    shown = [
        row
        for row in rows
        if row.mode in ("T", "T+I") and not row.foreign and row.phrase == row.concept
    ]
    titles = {"n", "IoU", "HD95", "surface Dice", "AJI", "PQ", "sensitivity", "s"}
    columns = [each for each in COLUMNS if each.left or each.title in titles]
    columns = [each for each in columns if any(map(each.cell, shown))]
    yield f"| {' | '.join(each.title for each in columns)} |"
    yield f"| {' | '.join('---' if each.left else '--:' for each in columns)} |"
    for row in shown:
        yield f"| {' | '.join(each.cell(row) for each in columns)} |"


def absence(sources: Sources) -> Iterator[str]:
    """Yield, for sets with images of both kinds, the best that any threshold could do."""
    yield "| set | concept | with | without | threshold | sensitivity | specificity | |"
    yield "| --- | --- | --: | --: | --: | --: | --: | --- |"
    for curve in sources.curves:
        point = most_specific(curve, sensitivity=SENSITIVITY)
        cells = ["", "", ""]
        if point is not None:
            cells = [f"{point.threshold:.3f}", *(f"{share:.3f}" for share in point[1:])]
        there = point is not None and point.specificity >= SPECIFICITY
        word = "within the target" if there else "**outside the target**"
        start = [curve.set, curve.concept, str(curve.n), str(curve.n_absent)]
        yield f"| {' | '.join([*start, *cells, word])} |"


def calibration(sources: Sources) -> Iterator[str]:
    """Yield how presence and expected Dice hold on the validation images."""
    found = dice_correlation(sources.validation)
    for name, value in (("Pearson", found.pearson), ("Spearman", found.spearman)):
        figure = "not defined" if value is None else f"{value:.3f}"
        yield f"- {name} correlation of expected and true Dice: {figure} (n = {found.n})"
    yield ""
    yield "| presence | n | mean presence | share with target |"
    yield "| --- | --: | --: | --: |"
    for part in reliability(sources.validation):
        span = f"{part.low:.1f}-{part.high:.1f}"
        yield f"| {span} | {part.n} | {part.presence:.3f} | {part.share:.3f} |"


def weaknesses(rows: Iterable[SummaryRow]) -> Iterator[str]:
    """Yield the worst sets by text, those with false alarms, and missed targets in words."""
    known = [row for row in rows if not row.foreign and row.phrase == row.concept]
    texts = sorted(
        (row for row in known if row.mode == "T" and row.dice is not None),
        key=lambda row: (row.dice, row.set),
    )
    for row in texts[:WEAK_SETS]:
        note = f"; n < {FEW}, treat as untested" if row.n < FEW else ""
        missed = "; misses its target" if reached(row) is False else ""
        yield f"- {row.concept} ({row.set}), by text: Dice {dice_text(row)}{missed}{note}"
    for row in known:
        if row.mode == "T" and row.specificity is not None and row.specificity < 1.0:
            refused = specificity_text(row)
            yield f"- {row.concept} ({row.set}), refused where there is none: {refused}"


def foreign(rows: Iterable[SummaryRow]) -> str:
    """Say how many questions about another modality were refused, over all sets."""
    asked = [row for row in rows if row.foreign and row.mode == "T" and row.specificity is not None]
    count = sum(row.n_absent for row in asked)
    if not count:
        return "Questions about other modalities: not measured."
    refused = sum((row.specificity or 0.0) * row.n_absent for row in asked) / count
    return f"Questions about other modalities refused: {interval_text(refused, None, None, count)}."


def licences(sources: Sources) -> Iterator[str]:
    """Yield the licences of the data and what follows from them."""
    yield (
        "**Several sets forbid commercial use or allow research only, and the weights inherit "
        "these doubts: use them non-commercially unless you clear each set below yourself.** The "
        "licence of the code does not extend to the weights."
    )
    yield ""
    yield "| set | modality | train (with validation) | test | licence as far as known |"
    yield "| --- | --- | --: | --: | --- |"
    for line in sources.datasets:
        cells = [line["dataset"], line["modality"], line["train"], line["test"]]
        yield f"| {' | '.join(cells)} | {line['licence_as_far_as_known']} |"

"""The figures that the bundled model is held to, and whether a row of a summary reaches its own.

All Dice targets are means over the images of the test split that have the target, a missing mask
counting 0. The mean itself is compared, not the lower end of its interval.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from benchmarks.evaluation.records import Mode, SummaryRow

DICE: Mapping[tuple[str, str, Mode], float] = {
    ("busi", "breast tumor", "T"): 0.70,
    ("drishti_gs", "optic cup", "T"): 0.85,
    ("drishti_gs", "optic disc", "T"): 0.95,
    ("isic2018", "skin lesion", "T"): 0.87,
    ("kvasir_seg", "polyp", "T"): 0.78,
    ("cvc_clinicdb", "polyp", "T"): 0.70,
    ("dsb2018", "nuclei", "T"): 0.88,
    ("cxr_lungs", "lungs", "T"): 0.93,
    ("lgg_mri", "brain tumor", "T"): 0.70,
    ("acdc", "left ventricle", "T"): 0.85,
    ("drive", "retinal vessels", "T"): 0.70,
    ("busi", "breast tumor", "T+I"): 0.87,
    ("drishti_gs", "optic cup", "T+I"): 0.94,
    ("isic2018", "skin lesion", "T+I"): 0.93,
    ("kvasir_seg", "polyp", "T+I"): 0.91,
}
# Of "T+I moved" below "T+I", on the sets that have a target for "T+I".
MOVED_LOSS = 0.06
SPECIFICITY = 0.85
SENSITIVITY = 0.90
ABSENCE_SETS = (("busi", "breast tumor"), ("lgg_mri", "brain tumor"))
CALIBRATION_ERROR = 0.05
SIZE_MB = 20.0
LATENCY_MS = 60.0


class Verdict(NamedTuple):
    """One target beside what was measured.

    Attributes:
        name: what is measured, in words.
        goal: the target, with its sign.
        measured: the figure, or ``not measured``.
        reached: None if it was not measured.
    """

    name: str
    goal: str
    measured: str
    reached: bool | None


def goal(row: SummaryRow) -> float | None:
    """Return the mean Dice that a row is held to; None without a target.

    A target belongs to the concept's own name: other phrases and foreign questions have none.
    """
    if row.foreign or row.phrase != row.concept:
        return None
    return DICE.get((row.set, row.concept, row.mode))


def reached(row: SummaryRow) -> bool | None:
    """Tell whether a row's mean Dice reaches its target; None without target or figure."""
    wanted = goal(row)
    return None if wanted is None or row.dice is None else row.dice >= wanted


def moved_loss(boxed: SummaryRow, moved: SummaryRow) -> float | None:
    """Return by how much mean Dice falls when the box is moved; None without both figures.

    Args:
        boxed: the row of mode ``T+I``.
        moved: the row of mode ``T+I moved`` of the same set and concept.
    """
    if boxed.dice is None or moved.dice is None:
        return None
    return boxed.dice - moved.dice


def tells_absence(row: SummaryRow) -> bool | None:
    """Tell whether sensitivity and specificity both reach their targets at the used threshold."""
    if row.sensitivity is None or row.specificity is None:
        return None
    return row.sensitivity >= SENSITIVITY and row.specificity >= SPECIFICITY


def verdicts(rows: Iterable[SummaryRow]) -> list[Verdict]:
    """Return every target that a summary can answer; those without a row are not measured."""
    known = {
        (row.set, row.concept, row.mode): row
        for row in rows
        if not row.foreign and row.phrase == row.concept
    }
    return [*_dice_verdicts(known), *_moved_verdicts(known), *_absence_verdicts(known)]


_Known = Mapping[tuple[str, str, Mode], SummaryRow]


def _dice_verdicts(known: _Known) -> list[Verdict]:
    found = []
    for key, wanted in DICE.items():
        row = known.get(key)
        measured = "not measured" if row is None else dice_text(row)
        name = f"{key[0]}, {key[1]}, {key[2]}: mean Dice"
        found.append(
            Verdict(name, f"≥ {wanted:.2f}", measured, None if row is None else reached(row))
        )
    return found


def _moved_verdicts(known: _Known) -> list[Verdict]:
    found = []
    for dataset, concept, mode in DICE:
        if mode != "T+I":
            continue
        boxed, moved = (known.get((dataset, concept, m)) for m in ("T+I", "T+I moved"))
        loss = moved_loss(boxed, moved) if boxed and moved else None
        name = f"{dataset}, {concept}: mean Dice lost when the box is moved"
        measured = "not measured" if loss is None else f"{loss:.3f} (n = {moved and moved.n})"
        held = None if loss is None else loss <= MOVED_LOSS
        found.append(Verdict(name, f"≤ {MOVED_LOSS:.2f}", measured, held))
    return found


def _absence_verdicts(known: _Known) -> list[Verdict]:
    found = []
    for dataset, concept in ABSENCE_SETS:
        row = known.get((dataset, concept, "T"))
        wanted = f"sensitivity ≥ {SENSITIVITY:.2f} with specificity ≥ {SPECIFICITY:.2f}"
        measured = "not measured"
        if row and row.sensitivity is not None and row.specificity is not None:
            measured = f"{row.sensitivity:.3f} (n = {row.n}), {specificity_text(row)}"
        name = f"{dataset}, {concept}, T: absence, at the used threshold"
        found.append(Verdict(name, wanted, measured, None if row is None else tells_absence(row)))
    return found


def dice_text(row: SummaryRow) -> str:
    """Return a row's mean Dice with interval and n; empty without targets."""
    return interval_text(row.dice, row.dice_low, row.dice_high, row.n)


def specificity_text(row: SummaryRow) -> str:
    """Return a row's specificity with interval and n; empty without absences."""
    return interval_text(row.specificity, row.specificity_low, row.specificity_high, row.n_absent)


def interval_text(value: float | None, low: float | None, high: float | None, n: int) -> str:
    """Return ``0.812 [0.790, 0.834] (n = 52)``; without value empty, without bounds no brackets."""
    if value is None:
        return ""
    bounds = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    return f"{value:.3f}{bounds} (n = {n})"
